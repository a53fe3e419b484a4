/// How two orders of merit, by words and by vectors, become one: by the sum of their scores, each divided by its best.
///
/// So the best document by words has `wordsWeight` of them, one that matches half as well has half of it, and what an order
/// does not name has nothing of it. Unlike a fusion by ranks it sees when one order knows the answer and the other guesses:
/// words that hit one document alone leave the others far behind, while the cosines of a vague text are all alike.
/// The weights are those that were best on one half of two real sets of queries; both sets' other halves gain
/// (`memory-benchmarks quality`, docs/MEMORY.md).
public struct Fusion: Sendable, Equatable {
  public var wordsWeight: Double
  public var vectorsWeight: Double
  /// How many documents of each order take part; never fewer than are wanted.
  public var depth: Int

  public init(wordsWeight: Double = 1, vectorsWeight: Double = 1, depth: Int = 100) {
    self.wordsWeight = wordsWeight
    self.vectorsWeight = vectorsWeight
    self.depth = depth
  }

  /// The best first; of equal ones that which was added first.
  ///
  /// Both orders have their best first; scores below 0, as those of vectors that point away, count as 0.
  func fuse(words: [(document: Int64, score: Double)], vectors: [(document: Int64, score: Double)]) -> [(document: Int64, score: Double)] {
    var scores: [Int64: Double] = [:]
    for (order, weight) in [(words, wordsWeight), (vectors, vectorsWeight)] where weight > 0 {
      guard let best = order.first?.score else { continue }
      for (document, score) in order { scores[document, default: 0] += best > 0 ? weight * max(0, score) / best : 0 }
    }
    return scores.map { (document: $0.key, score: $0.value) }.sorted { ($1.score, $0.document) < ($0.score, $1.document) }
  }
}
