import Glibc
import Kernel
import PersonaABI
import Synchronization
import System
import Wire

/// The host of one instance, in place of a kernel: it answers as the test wants, and records what the persona calls.
///
/// It is never freed, as persona.h demands of a host. Any thread, except where it says lane only.
final class CheckHost: @unchecked Sendable {
  /// How requests end, and whether calls are refused.
  enum Answers: Sendable {
    /// A request succeeds at once; timers run out when nothing else is left to do.
    case promptly
    /// A request stays open until the test ends it.
    case hold
    /// A request fails at once with this error.
    case fail(Int32)
    /// No request is begun: every call returns this error.
    case refuse(Int32)
    /// A request succeeds at once with an unusual result.
    case oddly
  }

  /// How a gram ended.
  enum Ending: Sendable, Equatable {
    case replied([UInt8])
    case failed(Int32, String)
    /// receive() returned PERSONA_OK and had not replied.
    case done
  }
  enum Token {
    case open
    case ended(Ending)
    /// The asker has gone away.
    case gone
  }

  struct Request: @unchecked Sendable {
    enum Kind: String { case ask, chat, memory, timer }
    let number: UInt64
    let kind: Kind
    let cause: UInt64
    /// Whom and what it asks.
    var target = ""
    var method = ""
    var milliseconds: UInt64 = 0
    let part: persona_part?
    let done: persona_done
    let context: UnsafeMutableRawPointer?

    var words: String {
      switch kind {
      case .ask: "ask \(target) \(method)"
      case .memory: "memory \(method)"
      case .chat, .timer: kind.rawValue
      }
    }
  }

  struct Record {
    var answers = Answers.promptly
    var tokens: [UInt64: Token] = [:]
    var requests: [UInt64: Request] = [:]
    /// The grams in words, for reports.
    var words: [UInt64: String] = [:]
    var lastNumber: UInt64 = 0
    /// How many requests there have been.
    var begun = 0
    var values: [String: [UInt8]] = [:]
    var topics: Set<String> = []
    var config: [UInt8] = []
    var explanation = ""
    var isRetired = false
    /// When destroy() returned; nil before that.
    var destroyed: ContinuousClock.Instant?
    /// Calls from threads other than the lane after destroy(), and how long after it.
    var late: [(call: String, after: Duration)] = []
    /// When the persona was last heard of.
    var heard = ContinuousClock.now
    var random = SeededRandom(seed: 0)
  }

  let record: Monitor<Record>
  let lane: Lane
  let log: CheckLog
  /// Services that service() does not offer.
  let absent: Set<String>
  let tables: HostShape.Tables
  private(set) var host: UnsafeMutablePointer<persona_host>

  init(name: String, shape: HostShape = .plain, absent: Set<String> = [], config: [UInt8], random: SeededRandom, log: CheckLog) {
    var first = Record()
    first.config = config
    first.random = random
    record = Monitor(first)
    do throws(Errno) { lane = try Lane(name: name) } catch {
      // This process is one test's: nothing of it can be done.
      print("no thread can be started: \(error)")
      exit(EX_OSERR)
    }
    self.log = log
    self.absent = absent
    tables = HostShape.tables(shape)
    host = shape.keep(HostTable.host(shape))
    host.pointee.kernel = Unmanaged.passRetained(self).toOpaque()
  }

  static func of(_ host: UnsafePointer<persona_host>) -> CheckHost {
    Unmanaged<CheckHost>.fromOpaque(host.pointee.kernel).takeUnretainedValue()
  }

  /// Records a call of any function of a table.
  func entered(_ call: String, laneOnly: Bool = false) {
    let onLane = lane.isCurrent
    if laneOnly, !onLane {
      log.fail("calls \(call) on a thread of its own; persona.h allows it on the lane alone: post() a job there that does it")
    }
    record.withLock { record in
      record.heard = .now
      if let destroyed = record.destroyed, !onLane, record.late.count < 10_000 { record.late.append((call, .now - destroyed)) }
    }
  }

  /// The status that a call is refused with; nil: it is not refused.
  func refusal() -> Int32? {
    record.withLock { record in
      if record.isRetired { return Int32(PERSONA_E_RETIRED) }
      if case .refuse(let status) = record.answers { return status }
      return nil
    }
  }

  var isRetired: Bool { record.withLock { $0.isRetired } }

  func service(_ name: String) -> UnsafeRawPointer? {
    entered("service")
    return absent.contains(name) ? nil : tables.services[name]
  }

  /// Takes the text that explain() set for the status that was just returned.
  func takeExplanation() -> String {
    record.withLock { record in
      defer { record.explanation = "" }
      return record.explanation
    }
  }

  // MARK: Tokens

  /// `words`: what the gram is, for reports.
  func open(_ words: String) -> UInt64 {
    record.withLock { record in
      record.lastNumber += 1
      record.tokens[record.lastNumber] = .open
      record.words[record.lastNumber] = words
      record.heard = .now
      return record.lastNumber
    }
  }

  /// Ends a token, once.
  func end(_ token: UInt64, _ ending: Ending, by call: String) -> persona_status {
    enum Found { case ended(Ending), gone, unknown, fine }
    let found: Found = record.withLock { record in
      switch record.tokens[token] {
      case .open?:
        record.tokens[token] = .ended(ending)
        return .fine
      case .ended(let before)?: return .ended(before)
      case .gone?: return .gone
      case nil: return .unknown
      }
    }
    switch found {
    case .fine: return 0
    case .gone: break
    case .ended(let before):
      // A token that the kernel ended meanwhile is nobody's fault; a token that the persona ends twice is.
      log.fail(
        "answers a gram twice: \(call) after it \(Self.words(before)). A token ends once; what comes later is lost, and the asker has the first"
      )
    case .unknown: log.fail("calls \(call) for the token \(token), which it was never given")
    }
    return Int32(PERSONA_E_NOT_FOUND)
  }

  private static func words(_ ending: Ending) -> String {
    switch ending {
    case .replied: "had replied"
    case .failed: "had failed it"
    case .done: "had returned PERSONA_OK without a reply, which ends the token"
    }
  }

  /// Notes the return of receive(): unless it returned PERSONA_LATER, a token that is still open ends now. Lane only.
  func returned(_ token: UInt64, _ status: persona_status) {
    if status == Int32(PERSONA_LATER) { return }
    let wasOpen = record.withLock { record in
      guard case .open? = record.tokens[token] else { return false }
      record.tokens[token] = .ended(status < 0 ? .failed(status, record.explanation) : .done)
      return true
    }
    if !wasOpen, status < 0 {
      log.warn("returns \(StatusText.name(status)) from receive() after it has ended the gram itself: the error is lost")
    }
  }

  func stream(_ token: UInt64, _ piece: [UInt8]) -> persona_status {
    let isOpen = record.withLock { record in if case .open? = record.tokens[token] { true } else { false } }
    if isOpen, String(validating: piece, as: UTF8.self) == nil { log.warn("streams a piece that is not UTF-8: \(CheckText.short(piece))") }
    return isOpen ? 0 : Int32(PERSONA_E_NOT_FOUND)
  }

  /// Makes the asker go away: requests that the gram led to are cancelled.
  func abandon(_ token: UInt64) {
    let children = record.withLock { record in
      if case .open? = record.tokens[token] { record.tokens[token] = .gone }
      return record.requests.values.filter { $0.cause == token }.map(\.number).sorted()
    }
    for request in children { complete(request, Int32(PERSONA_E_CANCELLED), Array("the asker has gone".utf8)) }
  }

  // MARK: Requests

  /// Begins a request, and ends it at once if the test wants that. Its number is written before it can end.
  func begin(_ make: (UInt64) -> Request, _ number: UnsafeMutablePointer<UInt64>) -> persona_status {
    if let status = refusal() { return status }
    let (request, answers) = record.withLock { record in
      record.lastNumber += 1
      record.begun += 1
      let request = make(record.lastNumber)
      record.requests[request.number] = request
      number.pointee = request.number
      return (request, record.answers)
    }
    switch answers {
    case .promptly where request.kind != .timer, .oddly where request.kind != .timer: answer(request.number)
    case .fail(let status): complete(request.number, status, Array("the check wants this to fail".utf8))
    default: break
    }
    return 0
  }

  /// Ends a request with a usual result, or an unusual one if the test wants that.
  func answer(_ number: UInt64) {
    let found = record.withLock { record -> (Request, [UInt8])? in
      guard let request = record.requests[number] else { return nil }
      if case .oddly = record.answers { return (request, CannedResult.odd(request, &record.random)) }
      return (request, CannedResult.good(request))
    }
    guard let (request, result) = found else { return }
    if request.part != nil { for piece in ["One, ", "two."] { part(number, Array(piece.utf8)) } }
    complete(number, 0, result)
  }

  /// Ends a request on the lane, if nothing has ended it before.
  func complete(_ number: UInt64, _ status: Int32, _ result: [UInt8]) {
    lane.run { [self] in
      guard let request = record.withLock({ $0.requests.removeValue(forKey: number) }) else { return }
      call(request, status, result)
    }
  }

  /// Lane only.
  func call(_ request: Request, _ status: Int32, _ result: [UInt8]) {
    log.begins("done() of \(request.words), with status \(status)\(origin(of: request))")
    lend(result, guarded: tables.isGuarded) { request.done(request.context, request.number, status, $0) }
    log.returned()
  }

  /// The gram on whose behalf it was made.
  private func origin(of request: Request) -> String {
    guard request.cause != 0, let words = record.withLock({ $0.words[request.cause] }) else { return "" }
    return ", for the gram \(words)"
  }

  private func part(_ number: UInt64, _ piece: [UInt8]) {
    lane.run { [self] in
      guard let request = record.withLock({ $0.requests[number] }), let part = request.part else { return }
      log.begins("part() of \(request.words)\(origin(of: request))")
      lend(piece, guarded: tables.isGuarded) { part(request.context, number, $0) }
      log.returned()
    }
  }

  /// Ends the timer that is due first; false if there is none.
  func fireTimer() -> Bool {
    let due = record.withLock { record in
      record.requests.values.filter { $0.kind == .timer }.min { ($0.milliseconds, $0.number) < ($1.milliseconds, $1.number) }?.number
    }
    guard let due else { return false }
    complete(due, 0, [])
    return true
  }

  /// Ends every open request as retired; from now on calls return PERSONA_E_RETIRED. Lane only.
  func retire() {
    let open = record.withLock { record in
      defer { record.requests = [:] }
      record.isRetired = true
      return record.requests.values.sorted { $0.number < $1.number }
    }
    for request in open { call(request, Int32(PERSONA_E_RETIRED), Array("this generation has been replaced".utf8)) }
  }

  /// Notes the return of destroy(), and frees all that calls that come too late do not need.
  func destroyed() {
    record.withLock { record in
      record.destroyed = .now
      record.tokens = [:]
      record.words = [:]
      record.values = [:]
      record.config = []
    }
  }
}
