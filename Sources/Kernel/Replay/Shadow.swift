import Glibc
import Protocol
import Wire

/// A new version that answers copies of a persona's last messages before it may live. Event loop only.
final class Shadow {
  private unowned let slot: PersonaSlot
  /// A version that has been played, and waits to be promoted or dropped.
  private var image: LibraryImage?
  /// Ends the play that is under way.
  private var cancellation: CancellationHandle?

  init(of slot: PersonaSlot) { self.slot = slot }

  /// While one waits, a changed file is not taken up by itself.
  var isWaiting: Bool { image != nil }

  /// Ends the play that is under way, if there is one.
  func cancel() { cancellation?.cancel() }

  /// Prepares a library as a reload does, and plays it the last grams in a child process. `done` is called once, never in here.
  ///
  /// - Returns: what ends it early; then nothing is kept.
  func play(
    last: Int, path: String?, messages: MessageCapture, done: @escaping (Result<[UInt8], Failure>) -> Void
  ) throws(Failure) -> CancellationHandle {
    guard let stage = slot.supervisor.stage else { throw Failure(.invalid, "this kernel was started without a stage") }
    guard cancellation == nil else {
      throw Failure(.invalid, "a shadow of \(slot.name) is being played already; wait for its end")
    }
    let recorded = slot.recorder.messages(.lastComparable(last))
    guard !recorded.isEmpty else {
      throw Failure(.notFound, "\(slot.name) has no recorded messages yet: talk to it first, or set `record` of [reload] above 0")
    }
    let cancellation = CancellationHandle()
    self.cancellation = cancellation
    messages.recording(of: recorded) { [slot] captured in
      let request = LibraryPreparer.Request(
        library: path ?? slot.configuration.library, configuration: slot.configuration, running: slot.current?.instance,
        keptState: captured.state)
      slot.supervisor.preparer.play(
        request, captured.whole, on: stage, model: slot.shadows.liveModel, cancellation: cancellation,
        then: Self.comparing(
          slot.supervisor.inbox.onLoop { result in
            slot.shadows.cancellation = nil
            if case .success(let compared) = result { slot.shadows.keep(compared.image, messages: compared.messages) }
            done(result.map(\.json))
          }))
    }
    return cancellation
  }

  private func keep(_ new: LibraryImage, messages: Int) {
    if let image { unlink(image.path) }
    image = new
    slot.supervisor.log.info("shadowed", ["persona": slot.name, "version": new.about.version, "messages": messages])
  }

  /// For questions that were never asked before. Histories are neither read nor written.
  private var liveModel: ReplayHost.Model {
    let (language, name) = (slot.supervisor.language, slot.name)
    let (prompt, overrides) = (slot.configuration.prompt, slot.configuration.language)
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
      let question = LanguageQuestion(persona: name, prompt: prompt, overrides: overrides, request: request)
      return language.chat(question) { event in
        if case .finished(let result) = event { end(result.map { (try? JSON(parsing: $0)) ?? .null }) }
      }
    }
  }

  private struct NoCall: LanguageCall {
    func cancel() {}
  }

  // MARK: What came of it

  private struct Compared: Sendable {
    var image: LibraryImage
    var messages: Int
    /// What `personas.shadow` answers.
    var json: [UInt8]
  }

  /// Compares on the thread that has played: the event loop has no time for it.
  private static func comparing(_ end: @escaping StepEnd<Compared>) -> StepEnd<LibraryPreparer.Played> {
    { result in
      end(result.map { Compared(image: $0.image, messages: $0.play.messages.count, json: comparison($0)) })
    }
  }

  /// For each message what came of it then and now.
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

  // MARK: What becomes of it

  /// The shadowed version becomes the running one, exactly as it was tried.
  func promote(done: @escaping (Result<Receipt, Failure>) -> Void) {
    guard let image else { return done(.failure(noShadow)) }
    slot.load(.image(image), force: true) { [slot] receipt in
      if receipt.outcome != .refused, slot.shadows.image == image { slot.shadows.image = nil }
      done(.success(receipt))
    }
  }

  func drop() throws(Failure) {
    guard let image else { throw noShadow }
    // One that is just being promoted still needs its copy.
    if !slot.reload.isAttempting { unlink(image.path) }
    self.image = nil
  }

  private var noShadow: Failure {
    Failure(.notFound, "\(slot.name) has no shadow: `parlor reload \(slot.name) --shadow 20` makes one")
  }
}
