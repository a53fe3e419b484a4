import Foundation

/// Numbers of one kind, and what is said of them.
struct Figures {
  private var sorted: [Double]
  init(_ values: [Double]) { sorted = values.sorted() }

  /// The value below which this part of them lies.
  func percentile(_ part: Double) -> Double {
    sorted.isEmpty ? .nan : sorted[min(sorted.count - 1, Int(part * Double(sorted.count)))]
  }

  /// "p50 1.20, p95 2.30, max 4.00 ms"
  func text(_ unit: String) -> String {
    "p50 \(number(percentile(0.5))), p95 \(number(percentile(0.95))), max \(number(sorted.last ?? .nan)) \(unit)"
  }
}

/// Three or four figures, as people read them.
func number(_ value: Double) -> String {
  let digits = abs(value) < 10 ? 2 : abs(value) < 100 ? 1 : 0
  return String(format: "%.\(digits)f", value)
}

/// One line: what, how much, and the target if there is one.
func show(_ what: String, _ figure: String, target: String? = nil, met: Bool? = nil) {
  let told = target.map { "   target: \($0)\(met.map { $0 ? ", met" : ", NOT met" } ?? "")" } ?? ""
  print("  \(what.padding(toLength: 30, withPad: " ", startingAt: 0)) \(figure)\(told)")
}
