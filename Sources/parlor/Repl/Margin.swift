import Protocol

/// What is to be told beside the answers, and waits until it can be printed: notes for the end of a line, and receipts until no more
/// come with them. A value; the clock is a parameter.
struct Margin {
  private var notes: [String] = []
  private var receipts: [Receipt] = []
  private var due: ContinuousClock.Instant?
  /// The receipts are told by then, however many still come.
  private var latest: ContinuousClock.Instant?

  /// Receipts that come within this time of each other are told together.
  private static let together = Duration.milliseconds(250)
  private static let longest = Duration.seconds(3)

  var isEmpty: Bool { notes.isEmpty && receipts.isEmpty }

  mutating func add(_ note: String) { notes.append(note) }

  mutating func add(_ receipt: Receipt, now: ContinuousClock.Instant) {
    let end = latest ?? now + Self.longest
    latest = end
    due = min(now + Self.together, end)
    receipts.append(receipt)
  }

  /// How long until there are receipts to be told; nil: there are none.
  func left(_ now: ContinuousClock.Instant) -> Duration? { due.map { max(.zero, $0 - now) } }

  /// What is to be told now, in its order; `all`: also receipts to which others might still come.
  mutating func take(_ now: ContinuousClock.Instant, all: Bool, paint: (ReceiptDigest.Line) -> String) -> [String] {
    var told: [String] = []
    if let due, all || due <= now {
      told = ReceiptDigest.lines(receipts).map(paint)
      (receipts, self.due, latest) = ([], nil, nil)
    }
    defer { notes = [] }
    return notes + told
  }
}
