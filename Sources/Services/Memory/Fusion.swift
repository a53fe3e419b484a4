/// How two rankings, by words and by vectors, become one: by reciprocal ranks.
///
/// A document gets `weight / (k + rank)` from each ranking that has it (the first has rank 1), and nothing from one that does not
/// have it. Scores are given as parts of the best there can be: 1 is the first in both rankings.
/// `k` says how much more the first counts than those after it: with 60, as is usual where many judges are fused, the
/// first 20 are all nearly worth the same, and a document that both rankings have somewhere wins over one that words hit
/// exactly. Weights and `k` are those with which, on one half of two real sets of queries, the set that gains less over words alone
/// gains most; the other halves gain, too (`memory-benchmarks quality`, docs/MEMORY.md). Source: Cormack, Clarke, Büttcher, "Reciprocal rank fusion", 2009.
public struct Fusion: Sendable, Equatable {
  public var wordsWeight: Double
  public var vectorsWeight: Double
  /// Above -1.
  public var k: Double
  /// How many documents of each ranking take part; never fewer than are wanted.
  public var depth: Int

  public init(wordsWeight: Double = 1, vectorsWeight: Double = 0.5, k: Double = 0.5, depth: Int = 100) {
    self.wordsWeight = wordsWeight
    self.vectorsWeight = vectorsWeight
    self.k = k
    self.depth = depth
  }

  /// The best first; of equal ones that which was added first. Both rankings have their best first.
  func fuse(words: [Int64], vectors: [Int64]) -> [(document: Int64, score: Double)] {
    var scores: [Int64: Double] = [:]
    let unit = (k + 1) / (wordsWeight + vectorsWeight)
    for (ranking, weight) in [(words, wordsWeight), (vectors, vectorsWeight)] where weight > 0 {
      for (index, document) in ranking.enumerated() { scores[document, default: 0] += unit * weight / (k + Double(index + 1)) }
    }
    return scores.map { (document: $0.key, score: $0.value) }.sorted { ($1.score, $0.document) < ($0.score, $1.document) }
  }
}
