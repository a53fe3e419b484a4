import Protocol
import System
import Wire

/// What a persona has done, for people and for a replay. Event loop only.
final class MessageCapture {
  private unowned let slot: PersonaSlot
  /// The instance that has been asked for its state and has not answered; those that wait for it.
  private weak var asked: InstanceContext?
  private var waiting: [Waiter] = []

  init(of slot: PersonaSlot) { self.slot = slot }

  /// What is kept, a line each.
  func list(last: Int) -> [UInt8] {
    let lines = slot.recorder.messages(.last(last)).map(\.summary)
    return JSON.object(["persona": .string(slot.name), "messages": .array(lines)]).bytes
  }

  /// Answers with a recording: the grams with all that belongs to them, state and values of now.
  func capture(_ choice: Recorder.Choice, _ answer: @escaping (Result<[UInt8], Failure>) -> Void) throws(Failure) {
    let messages = slot.recorder.messages(choice)
    if case .token(let token) = choice, messages.isEmpty {
      throw Failure(
        .notFound, "\(slot.name) has no recorded message \(token), or not any more: `parlor capture \(slot.name) --list` shows them")
    }
    let (inbox, captures) = (slot.supervisor.inbox, slot.supervisor.captures)
    recording(of: messages) { captured in
      let end: StepEnd<[UInt8]> = inbox.onLoop(answer)
      // Values and state may be large: the loop does not wait until they are text.
      if case .failure(let refusal) = captures.post({ end(.success(captured.whole().json.bytes)) }) {
        answer(.failure(Failure(.queueFull, "this recording cannot be made now (\(refusal)): wait for others to end, and ask again")))
      }
    }
  }

  /// A recording, still as the bytes that passed.
  struct Captured: Sendable {
    var persona: String
    var library: String?
    var configuration: [UInt8]
    var state: SavedState?
    var values: [String: [UInt8]]
    var messages: [RecordedMessage]

    /// Any thread.
    @Sendable func whole() -> Recording {
      var recording = Recording(persona: persona)
      recording.library = library
      recording.configuration = (try? JSON(parsing: configuration)) ?? [:]
      recording.state = state.map { ($0.schema, $0.bytes) }
      recording.values = values
      recording.messages = messages.filter { !$0.isTooLarge }.map(\.message)
      recording.leftOut = messages.count(where: \.isTooLarge)
      return recording
    }
  }

  /// `done` is called once, never in here.
  func recording(of messages: [RecordedMessage], done: @escaping (Captured) -> Void) {
    var captured = Captured(
      persona: slot.name, library: slot.current?.instance.image.originalPath, configuration: slot.configuration.json,
      state: slot.saved.last, values: [:], messages: messages)
    for key in slot.store.keys(prefix: "") { captured.values[key] = slot.store.get(key) }
    state { state in
      if let state { captured.state = state }
      done(captured)
    }
  }

  /// The state of now, asked for between two grams. Nil: there is none, or the code does not come back within a second: then the
  /// last one that was saved is the newest that there is.
  private func state(_ done: @escaping (SavedState?) -> Void) {
    guard let context = slot.current, let schema = context.instance.image.about.state?.writes else {
      slot.loop.after(milliseconds: 0) { done(nil) }
      return
    }
    let waiter = Waiter(done)
    waiting.append(waiter)
    slot.loop.after(milliseconds: 1000) { [weak self] in
      self?.waiting.removeAll { $0 === waiter }
      waiter.end(nil)
    }
    // One question at a time, so that they do not pile up where the code does not come back.
    if asked === context { return }
    asked = context
    context.instance.save(
      then: slot.supervisor.inbox.onLoop { [slot] result in
        let bytes = (try? result.get()) ?? nil
        slot.messages.saved(by: context, bytes.map { SavedState(schema: schema, bytes: $0) })
      })
  }

  private func saved(by context: InstanceContext, _ state: SavedState?) {
    guard asked === context else { return }
    asked = nil
    let all = waiting
    waiting = []
    for waiter in all { waiter.end(state) }
  }

  /// Somebody who waits for a state. The first end counts.
  private final class Waiter {
    private var done: ((SavedState?) -> Void)?
    init(_ done: @escaping (SavedState?) -> Void) { self.done = done }
    func end(_ state: SavedState?) {
      let done = done
      self.done = nil
      done?(state)
    }
  }
}
