import Glibc
import Protocol
import Wire

/// A new version that answers copies of a persona's last messages before it may live. Event loop only.
extension PersonaSlot {
  /// Prepares a library as a reload does, and plays it the last grams in a child process. `done` is called once, never in here.
  ///
  /// - Returns: what ends it early; then nothing is kept.
  func shadow(last: Int, path: String?, done: @escaping (Result<[UInt8], Failure>) -> Void) throws(Failure) -> CancellationHandle {
    guard let stage = supervisor.stage else { throw Failure(.invalid, "this kernel was started without a stage") }
    guard shadowPlay == nil else { throw Failure(.invalid, "a shadow of \(name) is being played already; wait for its end") }
    let takes = recorder.takes(.lastComparable(last))
    guard !takes.isEmpty else {
      throw Failure(.notFound, "\(name) has no recorded messages yet: talk to it first, or set `record` of [reload] above 0")
    }
    let cancellation = CancellationHandle()
    shadowPlay = cancellation
    // Two boxes: a tuple with a closure in it is released twice when it goes through a generic (Swift 6.3.1).
    let (slotBox, doneBox) = (LoopOnly(self), LoopOnly(done))
    recording(of: takes) { [self] recording in
      let order = LibraryPreparer.Order(
        name: name, library: path ?? configuration.library, configuration: configuration, number: lastNumber + 1,
        running: current?.generation, keptState: recording.state, unlessHash: nil)
      supervisor.preparer.play(order, recording.whole, on: stage, model: liveModel, cancellation: cancellation) { result, inbox in
        let answer = result.map { Self.comparison($0) }
        inbox.post { _ in
          let (slot, done) = (slotBox.value, doneBox.value)
          slot.shadowPlay = nil
          if case .success(let played) = result { slot.keepShadow(played.image, messages: played.play.messages.count) }
          done(answer)
        }
      }
    }
    return cancellation
  }

  private func keepShadow(_ image: LibraryImage, messages: Int) {
    if let old = shadowed { unlink(old.path) }
    shadowed = image
    supervisor.log.info("shadowed", ["persona": name, "version": image.about.version, "messages": messages])
  }

  /// For questions that were never asked before. Histories are neither read nor written.
  private var liveModel: ReplayHost.Model {
    let (language, name, prompt, overrides) = (supervisor.language, name, configuration.prompt, configuration.language)
    return { question, end in
      guard let language else {
        end(.failure(Failure(.llmUnreachable, "this kernel runs without a language model")))
        return NoCall()
      }
      var body = question.object ?? [:]
      body["remember"] = false
      body["thread"] = nil
      // A tool would be called for good.
      body["tools"] = nil
      body["tool_rounds"] = nil
      let request: ChatRequest
      do throws(Failure) { request = try ChatRequest(JSON.object(body).bytes, of: name) } catch {
        end(.failure(error))
        return NoCall()
      }
      let order = LanguageQuestion(persona: name, prompt: prompt, overrides: overrides, request: request)
      return language.chat(order) { event in
        if case .finished(let result) = event { end(result.map { (try? JSON(parsing: $0)) ?? .null }) }
      }
    }
  }

  private struct NoCall: LanguageCall {
    func cancel() {}
  }

  /// What `personas.shadow` answers: for each message what came of it then and now. Any thread.
  private static func comparison(_ played: LibraryPreparer.Played) -> [UInt8] {
    var messages: [JSON] = []
    for (index, then) in played.recording.messages.enumerated() {
      var entry: [String: JSON] = ["then": then.json]
      if index < played.play.messages.count {
        entry["now"] = played.play.messages[index].json
        entry["same"] = .bool(then.isSame(as: played.play.messages[index]))
      } else if index == played.play.messages.count, let broke = played.play.broke {
        entry["broke"] = .string(broke.message)
      }
      messages.append(.object(entry))
    }
    let json: JSON = [
      "persona": .string(played.recording.persona), "version": .string(played.image.about.version), "hash": .string(played.image.hash),
      "messages": .array(messages),
    ]
    return json.bytes
  }

  /// The shadowed version becomes the running one, exactly as it was tried.
  func promote(done: @escaping (Result<Receipt, Failure>) -> Void) {
    guard let image = shadowed else { return done(.failure(Self.noShadow(name))) }
    load(.image(image), force: true) { [self] receipt in
      if receipt.outcome != .refused, shadowed == image { shadowed = nil }
      done(.success(receipt))
    }
  }

  func dropShadow() throws(Failure) {
    guard let image = shadowed else { throw Self.noShadow(name) }
    // One that is just being promoted still needs its copy.
    if attempt == nil { unlink(image.path) }
    shadowed = nil
  }

  private static func noShadow(_ name: String) -> Failure {
    Failure(.notFound, "\(name) has no shadow: `parlor reload \(name) --shadow 20` makes one")
  }
}
