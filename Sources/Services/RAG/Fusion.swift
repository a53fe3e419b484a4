/// How two orders of merit, by words and by vectors, become one: by reciprocal rank.
///
/// A document gets weight / (k + rank) of each order that it stands in, with ranks from 1.
public struct Fusion: Sendable, Equatable {
  public var k: Double
  public var wordsWeight: Double
  public var vectorsWeight: Double
  /// How many documents of each order take part; never fewer than are wanted.
  public var depth: Int

  public init(k: Double = 60, wordsWeight: Double = 1, vectorsWeight: Double = 1, depth: Int = 100) {
    self.k = k
    self.wordsWeight = wordsWeight
    self.vectorsWeight = vectorsWeight
    self.depth = depth
  }

  /// The best first; of equal ones that which was added first.
  func fuse(words: [Int64], vectors: [Int64]) -> [(document: Int64, score: Double)] {
    var scores: [Int64: Double] = [:]
    for (order, weight) in [(words, wordsWeight), (vectors, vectorsWeight)] where weight > 0 {
      for (index, document) in order.enumerated() { scores[document, default: 0] += weight / (k + Double(index + 1)) }
    }
    return scores.map { (document: $0.key, score: $0.value) }.sorted { ($1.score, $0.document) < ($0.score, $1.document) }
  }
}
