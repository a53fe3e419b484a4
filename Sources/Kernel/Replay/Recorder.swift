import Protocol
import System

/// Keeps the last grams that a persona has worked on, with all that came of them, as they pass. Event loop only.
///
/// What it keeps is what is there already (lines and payloads, not copied); JSON trees are made when somebody asks.
final class Recorder {
  /// How many grams are kept; 0: none.
  var limit: Int { didSet { trim() } }
  /// What all that is kept may weigh, in bytes.
  var room = 4 << 20
  /// What one gram may weigh; of a heavier one is kept that it was there, and how it ended.
  var longest = 256 << 10
  /// Called when a gram has ended.
  var onEnd: ((RecordedMessage) -> Void)?

  /// Those that are being worked on, by token.
  private var open: [UInt64: RecordedMessage] = [:]
  /// The gram on whose behalf a request was made.
  private var causes: [UInt64: UInt64] = [:]
  /// Those that have ended, by token, and in their order, oldest first.
  private var ended: [UInt64: RecordedMessage] = [:]
  private var order = Deque<UInt64>()
  private var used = 0

  init(limit: Int) { self.limit = limit }

  // MARK: What passes

  func began(_ mail: Mail, generation: Int) {
    if limit == 0 { return }
    var message = RecordedMessage(mail: mail, generation: generation, began: MachineClock.now())
    if message.weight > longest { message.shed() }
    open[mail.token] = message
  }

  /// It goes to another generation, or to nobody.
  func gaveBack(_ token: UInt64) {
    guard let message = open.removeValue(forKey: token) else { return }
    for step in message.steps { causes[step.request] = nil }
  }

  func chat(_ request: UInt64, cause: UInt64, question: [UInt8]) { add(.init(request: request, want: .chat(question)), cause) }

  func memory(_ request: UInt64, cause: UInt64, operation: String, arguments: [UInt8]) {
    add(.init(request: request, want: .memory(operation: operation, arguments: arguments)), cause)
  }

  /// `request` 0: it is only sent.
  func gram(_ request: UInt64, cause: UInt64, target: [UInt8], method: [UInt8], payload: [UInt8]) {
    let want = RecordedMessage.Want.gram(target: target, method: method, payload: payload, isAsk: request != 0)
    add(.init(request: request, want: want), cause)
  }

  private func add(_ step: RecordedMessage.Step, _ cause: UInt64) {
    if limit == 0 || cause == 0 { return }
    if open[cause] != nil {
      open[cause]?.add(step, atMost: longest)
      if step.request != 0 { causes[step.request] = cause }
    } else if step.request == 0, var message = ended[cause] {
      // It has answered, and then sends: that belongs to the gram, too.
      used -= message.weight
      message.add(step, atMost: longest)
      used += message.weight
      ended[cause] = message
      trim()
    }
  }

  func ended(request: UInt64, _ result: Result<[UInt8], Failure>) {
    guard let cause = causes.removeValue(forKey: request) else { return }
    open[cause]?.end(request: request, result, atMost: longest)
  }

  func ended(_ token: UInt64, _ result: Result<[UInt8], Failure>) {
    guard var message = open.removeValue(forKey: token) else { return }
    for step in message.steps { causes[step.request] = nil }
    message.end(result, at: MachineClock.now(), atMost: longest)
    ended[token] = message
    order.append(token)
    used += message.weight
    trim()
    onEnd?(message)
  }

  private func trim() {
    while order.count > limit || used > room, let oldest = order.popFirst() {
      used -= ended.removeValue(forKey: oldest)?.weight ?? 0
    }
    if limit == 0 { (open, causes) = ([:], [:]) }
  }

  // MARK: What is kept

  /// Which of the kept grams.
  enum Choice: Equatable {
    case last(Int)
    case lastFailed(Int)
    case token(UInt64)
    /// The last that a new version can be compared by: their askers did not take them back, and they are whole.
    case lastComparable(Int)
  }

  /// Oldest first.
  func messages(_ choice: Choice) -> [RecordedMessage] {
    let kept = order.compactMap { ended[$0] }
    switch choice {
    case .last(let count): return kept.suffix(max(0, count))
    case .lastFailed(let count): return kept.filter(\.hasFailed).suffix(max(0, count))
    case .token(let token): return kept.filter { $0.mail.token == token }
    case .lastComparable(let count): return kept.filter { !$0.wasTakenBack && !$0.isTooLarge }.suffix(max(0, count))
    }
  }
}
