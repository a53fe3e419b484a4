import Protocol
import System
import Wire

/// What a persona has done, for people and for a replay. Event loop only.
extension PersonaSlot {
  /// What is kept, a line each.
  func list(last: Int) -> [UInt8] {
    let lines = recorder.takes(.last(last)).map(\.summary)
    return JSON.object(["persona": .string(name), "messages": .array(lines)]).bytes
  }

  /// Answers with a recording: the grams with all that belongs to them, state and values of now.
  func capture(_ choice: Recorder.Choice, _ answer: @escaping (Result<[UInt8], Failure>) -> Void) throws(Failure) {
    let takes = recorder.takes(choice)
    if case .token(let token) = choice, takes.isEmpty {
      throw Failure(.notFound, "\(name) has no recorded message \(token), or not any more: `parlor capture \(name) --list` shows them")
    }
    recording(of: takes) { [self] recording in
      let (inbox, box) = (supervisor.inbox, LoopOnly(answer))
      // Values and state may be large: the loop does not wait until they are text.
      startThread(name: "capture") {
        let bytes = recording.whole().json.bytes
        inbox.post { _ in box.value(.success(bytes)) }
      }
    }
  }

  /// A recording, still as the bytes that passed.
  struct Captured: Sendable {
    var persona: String
    var library: String?
    var configuration: [UInt8]
    var state: (schema: UInt32, bytes: [UInt8])?
    var values: [String: [UInt8]]
    var takes: [RecordedMessage]

    /// Any thread.
    @Sendable func whole() -> Recording {
      var recording = Recording(persona: persona)
      recording.library = library
      recording.configuration = (try? JSON(parsing: configuration)) ?? [:]
      recording.state = state
      recording.values = values
      recording.messages = takes.filter { !$0.isTooLarge }.map(\.message)
      recording.leftOut = takes.count(where: \.isTooLarge)
      return recording
    }
  }

  /// The state is asked for between two grams; a lane that does not come back is not waited for, and the last kept state is taken.
  func recording(of takes: [RecordedMessage], done: @escaping (Captured) -> Void) {
    var captured = Captured(
      persona: name, library: current?.generation.library.image.originalPath, configuration: configuration.json,
      state: lastSchema.flatMap { schema in states[schema].map { (schema, $0) } }, values: [:], takes: takes)
    for key in store.keys(prefix: "") { captured.values[key] = store.get(key) }
    guard let generation = current?.generation, let schema = generation.library.image.about.state?.writes else {
      loop.after(milliseconds: 0) { done(captured) }
      return
    }
    let waiting = Waiting(captured, done)
    let box = LoopOnly(waiting)
    generation.lane.lane.run {
      let state = (try? generation.save()) ?? nil
      generation.inbox.post { _ in box.value.finish(state.map { (schema, $0) }) }
    }
    loop.after(milliseconds: 1000) { waiting.finish(nil) }
  }

  /// A recording that waits for the state.
  private final class Waiting {
    private var captured: Captured
    private var done: ((Captured) -> Void)?

    init(_ captured: Captured, _ done: @escaping (Captured) -> Void) {
      self.captured = captured
      self.done = done
    }

    /// The first call counts.
    func finish(_ state: (schema: UInt32, bytes: [UInt8])?) {
      guard let done else { return }
      self.done = nil
      if let state { captured.state = state }
      done(captured)
    }
  }
}
