import Protocol

/// The requests that have not ended, and what a gram means to them. A value: grams in, what they mean out.
struct RequestLedger: Sendable {
  private struct Entry {
    /// Who is asked. Nobody else's answer counts, but the kernel's.
    var target: String
    /// When the owner stops waiting for it; nil: never.
    var end: ContinuousClock.Instant?
  }
  private var entries: [Int: Entry] = [:]
  private var lastID = 0

  /// The kernel's name: nobody else is believed to speak for it.
  static let kernel = "KERNEL"
  /// How much longer than its deadline a request is waited for, which the kernel ends by itself.
  static let patience = Duration.seconds(2)

  /// An `id` that has not been used on this connection.
  mutating func nextID() -> Int {
    lastID += 1
    return lastID
  }

  mutating func open(_ id: Int, of target: String, deadline: Duration?, now: ContinuousClock.Instant) {
    entries[id] = Entry(target: target, end: deadline.map { now + $0 + Self.patience })
  }

  /// What still comes of it is passed over.
  mutating func close(_ id: Int) { entries[id] = nil }

  func isOpen(_ id: Int) -> Bool { entries[id] != nil }
  func end(of id: Int) -> ContinuousClock.Instant? { entries[id]?.end }

  /// Nil: it is nothing to us, as the answer to a request that was given up, or it cannot be read.
  mutating func meaning(of gram: Gram) -> Incoming? {
    if let re = gram.re {
      guard let id = Int(String(decoding: re, as: UTF8.self)), let entry = entries[id],
        gram.source == entry.target || gram.source == Self.kernel
      else { return nil }
      return answer(gram, to: id)
    }
    guard gram.source == Self.kernel else { return .gram(gram) }
    switch gram.method {
    case "receipt": return (try? gram.payload.value(Receipt.self)).map(Incoming.receipt)
    case "tap": return (try? gram.payload.value(Tap.Event.self)).map(Incoming.tap)
    case "error":
      let report = Self.report(gram)
      // The kernel could not read so much of the line that it knew its `id`: that is the end of the one that is open.
      guard entries.count == 1, let id = entries.keys.first else { return .error(report) }
      close(id)
      return .failure(request: id, report)
    default: return nil
    }
  }

  private mutating func answer(_ gram: Gram, to id: Int) -> Incoming? {
    switch gram.method {
    case "delta": return (try? gram.payload.value(Delta.self)).map { .delta(request: id, $0) }
    case "error":
      close(id)
      return .failure(request: id, Self.report(gram))
    default:
      close(id)
      return .reply(request: id, gram.payload)
    }
  }

  static func report(_ gram: Gram) -> ErrorReport {
    (try? gram.payload.value(ErrorReport.self)) ?? ErrorReport(code: Failure.Code.failed.rawValue, message: gram.payload.text)
  }
}
