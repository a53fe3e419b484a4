import Protocol

/// Receipts that come together, in few lines: when all personas are started again, that is one thing to tell.
enum ReceiptDigest {
  struct Line: Equatable {
    var text: String
    var isRefused = false
  }

  /// Of each persona what came last; of several that ended alike one line.
  static func lines(_ receipts: [Receipt]) -> [Line] {
    var last: [Receipt] = []
    for receipt in receipts {
      last.removeAll { $0.persona == receipt.persona }
      last.append(receipt)
    }
    if last.count == 1 { return last.map { Line(text: $0.sentence.oneLine(1000), isRefused: $0.isRefused) } }
    let outcomes: [Receipt.Outcome] = [.loaded, .reloaded, .configured, .rolledBack, .unloaded, .unchanged, .unwell, .refused]
    // Those that are not well are told one by one: each has its own reason.
    let unwell = last.filter { $0.outcome == .unwell }.map { Line(text: $0.sentence.oneLine(1000), isRefused: $0.isRefused) }
    return outcomes.flatMap { outcome -> [Line] in outcome == .unwell ? unwell : line(last, outcome).map { [$0] } ?? [] }
  }

  private static func line(_ last: [Receipt], _ outcome: Receipt.Outcome) -> Line? {
    let these = last.filter { $0.outcome == outcome }
    if these.count < 2 { return these.first.map { Line(text: $0.sentence.oneLine(1000), isRefused: $0.isRefused) } }
    if outcome == .refused {
      let reasons = these.prefix(4).map { "\($0.persona.shownName) (\(($0.reason ?? "no reason was given").oneLine(100)))" }
      let rest = these.count > 4 ? " and \(these.count - 4) others" : ""
      return Line(text: "not changed: " + reasons.joined(separator: ", ") + rest + "; `parlor show NAME` says why", isRefused: true)
    }
    return Line(text: names(these) + " " + word(outcome))
  }

  private static func names(_ receipts: [Receipt]) -> String {
    let names = receipts.map(\.persona.shownName)
    if names.count > 12 { return names.prefix(11).joined(separator: ", ") + " and \(names.count - 11) others" }
    return names.dropLast().joined(separator: ", ") + " and " + (names.last ?? "")
  }

  private static func word(_ outcome: Receipt.Outcome) -> String {
    switch outcome {
    case .loaded: "loaded"
    case .reloaded: "reloaded"
    case .rolledBack: "rolled back"
    case .unloaded: "unloaded"
    case .unchanged: "unchanged"
    case .configured: "go on with their new part of personas.toml"
    case .unwell: "are not well"
    case .refused: "not changed"
    }
  }
}
