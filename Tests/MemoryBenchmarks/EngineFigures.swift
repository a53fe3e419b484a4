import Foundation

/// What one engine was measured to do; peers.py writes the same.
struct EngineFigures: Codable {
  /// Queries of one kind.
  struct Series: Codable {
    /// "all", "1 %", "10 %", "50 %"; with "new " before it, no filter comes twice.
    var name: String
    var milliseconds: [Double]
    /// Of the query before these, which fills the caches; nil: not measured.
    var first: Double?
    /// What each has found, by the documents' numbers.
    var found: [[Int]]

    func percentile(_ part: Double) -> Double {
      let sorted = milliseconds.sorted()
      return sorted.isEmpty ? .nan : sorted[min(sorted.count - 1, Int(part * Double(sorted.count)))]
    }
  }

  var insertSeconds: Double
  var series: [Series]
  /// Bytes of all its files.
  var disk: Int
  /// Bytes of resident memory after the queries, and how much of it is no file's.
  var resident: Int
  var anonymous: Int
}
