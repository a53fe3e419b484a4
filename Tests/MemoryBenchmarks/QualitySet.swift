import Foundation

/// Documents, queries, and which documents are relevant to which query.
struct QualitySet {
  var name: String
  /// What it was made of, in words.
  var origin: String
  var documents: [(id: String, text: String)]
  var queries: [(text: String, relevant: Set<String>)]

  /// Normalised discounted cumulative gain of the first ten.
  static func nDCG(_ found: [String], _ relevant: Set<String>) -> Double {
    func gain(_ rank: Int) -> Double { 1 / log2(Double(rank + 2)) }
    let ideal = (0..<min(10, relevant.count)).reduce(0) { $0 + gain($1) }
    return found.prefix(10).enumerated().reduce(0) { $0 + (relevant.contains($1.element) ? gain($1.offset) : 0) } / ideal
  }

  /// The same order in every run, and none that the names have.
  static func shuffled<T>(_ items: [T], by name: (T) -> String) -> [T] {
    func hash(_ text: String) -> UInt64 { text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 } }
    return items.map { (hash(name($0)), $0) }.sorted { $0.0 < $1.0 }.map(\.1)
  }

  static func output(of arguments: [String]) throws -> String { String(decoding: try Program.output(of: arguments), as: UTF8.self) }
}
