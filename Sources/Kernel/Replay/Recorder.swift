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

  private var open: [UInt64: RecordedMessage] = [:]
  /// The gram on whose behalf a request was made.
  private var causes: [UInt64: UInt64] = [:]
  /// Those that have ended begin at `head`, oldest first.
  private var ended: [RecordedMessage?] = []
  private var head = 0
  private var used = 0

  init(limit: Int) { self.limit = limit }

  // MARK: What passes

  func began(_ mail: Mail, generation: Int) {
    if limit == 0 { return }
    var take = RecordedMessage(mail: mail, generation: generation, began: MachineClock.now())
    if take.weight > longest { take.shed() }
    open[mail.token] = take
  }

  /// It goes to another generation, or to nobody.
  func gaveBack(_ token: UInt64) {
    guard let take = open.removeValue(forKey: token) else { return }
    for step in take.steps { causes[step.request] = nil }
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
      open[cause]!.add(step, atMost: longest)
      if step.request != 0 { causes[step.request] = cause }
    } else if step.request == 0, let index = ended[head...].lastIndex(where: { $0?.mail.token == cause }), var take = ended[index] {
      // It has answered, and then sends: that belongs to the gram, too.
      used -= take.weight
      take.add(step, atMost: longest)
      used += take.weight
      ended[index] = take
      trim()
    }
  }

  func ended(request: UInt64, _ result: Result<[UInt8], Failure>) {
    guard let cause = causes.removeValue(forKey: request) else { return }
    open[cause]?.end(request: request, result, atMost: longest)
  }

  func ended(_ token: UInt64, _ result: Result<[UInt8], Failure>) {
    guard var take = open.removeValue(forKey: token) else { return }
    for step in take.steps { causes[step.request] = nil }
    take.end(result, at: MachineClock.now(), atMost: longest)
    ended.append(take)
    used += take.weight
    trim()
    onEnd?(take)
  }

  private func trim() {
    while head < ended.count, ended.count - head > limit || used > room {
      used -= ended[head]?.weight ?? 0
      ended[head] = nil
      head += 1
    }
    if head == ended.count || head > 32 && head > ended.count / 2 {
      ended.removeFirst(head)
      head = 0
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
  func takes(_ choice: Choice) -> [RecordedMessage] {
    let kept = ended[head...].compactMap(\.self)
    switch choice {
    case .last(let count): return kept.suffix(max(0, count))
    case .lastFailed(let count): return kept.filter(\.hasFailed).suffix(max(0, count))
    case .token(let token): return kept.filter { $0.mail.token == token }
    case .lastComparable(let count): return kept.filter { !$0.wasTakenBack && !$0.isTooLarge }.suffix(max(0, count))
    }
  }
}
