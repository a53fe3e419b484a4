import FoundationEssentials
import Wire

/// What a persona has done, for a replay; and a new version that answers copies of it before it may live. Event loop only.
extension PersonaSlot {
  /// The last grams with all that belongs to them. State and values are those of now.
  func capture(last: Int, failedOnly: Bool, done: @escaping (Recording) -> Void) {
    var recording = Recording(persona: name)
    recording.library = current?.generation.library.image.originalPath
    recording.configuration = (try? JSON(parsing: configuration.json)) ?? [:]
    recording.messages = recorder.messages(last: last, failedOnly: failedOnly)
    for key in store.keys(prefix: "") { recording.values[key] = store.get(key) }
    recording.state = lastSchema.flatMap { schema in states[schema].map { (schema, $0) } }
    guard let generation = current?.generation, let schema = generation.library.image.about.state?.writes else { return done(recording) }
    // Asked between two grams; one that does not come back is not waited for.
    let box = LoopOnly(Capture(recording, done))
    generation.lane.lane.run {
      let state = (try? generation.save()) ?? nil
      generation.inbox.post { _ in box.value.finish(state.map { (schema, $0) }) }
    }
    loop.after(milliseconds: 1000) { box.value.finish(nil) }
  }

  /// A recording that waits for the state.
  private final class Capture {
    private var recording: Recording
    private var done: ((Recording) -> Void)?

    init(_ recording: Recording, _ done: @escaping (Recording) -> Void) {
      self.recording = recording
      self.done = done
    }

    /// The first call counts.
    func finish(_ state: (schema: UInt32, bytes: [UInt8])?) {
      guard let done else { return }
      self.done = nil
      if let state { recording.state = state }
      done(recording)
    }
  }

  /// A version that has been prepared, and waits to be promoted or dropped. While it does, a changed file is not taken up by itself.
  final class Shadow {
    let image: LibraryImage
    init(_ image: LibraryImage) { self.image = image }
  }

  /// Prepares a library as a reload does, and plays it the last grams in a child process.
  func shadow(last: Int, path: String?, done: @escaping (Result<[UInt8], Failure>) -> Void) {
    guard let stage = supervisor.stage else { return done(.failure(Failure(.invalid, "this kernel was started without a stage"))) }
    capture(last: last, failedOnly: false) { [self] recording in
      guard !recording.messages.isEmpty else {
        return done(
          .failure(Failure(.notFound, "\(name) has no recorded messages yet: talk to it first, or set `record` of [reload] above 0")))
      }
      let order = Workshop.Order(
        name: name, library: path ?? configuration.library, configuration: configuration, number: lastNumber + 1,
        running: current?.generation, keptState: recording.state.map { ($0.schema, $0.bytes) }, unlessHash: nil)
      let model = model()
      // Two boxes: a tuple with a closure in it is released twice when it goes through a generic (Swift 6.3.1).
      let (slotBox, doneBox) = (LoopOnly(self), LoopOnly(done))
      supervisor.workshop.play(order, recording, on: stage, model: model) { result, inbox in
        inbox.post { _ in
          let (slot, done) = (slotBox.value, doneBox.value)
          switch result {
          case .success(let (image, play)):
            slot.shadowed = Shadow(image)
            slot.supervisor.log.info("shadowed", ["persona": slot.name, "version": image.about.version, "messages": play.messages.count])
            done(.success(Self.comparison(recording, image, play)))
          case .failure(let failure): done(.failure(failure))
          }
        }
      }
    }
  }

  /// The live model, for questions that were never asked before. Histories are neither read nor written.
  private func model() -> Stage.Model? {
    guard let language = supervisor.language else { return nil }
    let (name, prompt, overrides) = (name, configuration.prompt, configuration.language)
    return { question, end in
      var body = question.object ?? [:]
      body["remember"] = false
      body["thread"] = nil
      let order = LanguageQuestion(persona: name, prompt: prompt, overrides: overrides, body: JSON.object(body).bytes)
      _ = language.chat(order) { event in
        if case .finished(let result) = event { end(result.map { (try? JSON(parsing: $0)) ?? .null }) }
      }
    }
  }

  /// What `personas.shadow` answers: for each message what came of it then and now.
  private static func comparison(_ recording: Recording, _ image: LibraryImage, _ play: Stage.Play) -> [UInt8] {
    var messages: [JSON] = []
    for (index, then) in recording.messages.enumerated() {
      var entry: [String: JSON] = ["then": then.json]
      if index < play.messages.count {
        entry["now"] = play.messages[index].json
        entry["same"] = .bool(then.isSame(as: play.messages[index]))
      } else if index == play.messages.count, let broke = play.broke {
        entry["broke"] = .string(broke.message)
      }
      messages.append(.object(entry))
    }
    let json: JSON = [
      "persona": .string(recording.persona), "version": .string(image.about.version), "hash": .string(image.hash),
      "messages": .array(messages),
    ]
    return json.bytes
  }

  /// The shadowed version becomes the running one, exactly as it was tried.
  func promote(done: @escaping (Result<Receipt, Failure>) -> Void) {
    guard let shadow = shadowed else { return done(.failure(Self.noShadow(name))) }
    load(.image(shadow.image), force: true) { [self] receipt in
      if receipt.outcome != .refused, shadowed === shadow { shadowed = nil }
      done(.success(receipt))
    }
  }

  func dropShadow() throws(Failure) {
    guard shadowed != nil else { throw Self.noShadow(name) }
    shadowed = nil
  }

  private static func noShadow(_ name: String) -> Failure {
    Failure(.notFound, "\(name) has no shadow: `parlor reload \(name) --shadow 20` makes one")
  }
}
