import Testing

@testable import Services

@Suite("Fusion") struct FusionTests {
  @Test("a document has of each order the order's weight by its rank; 1 is the first in both")
  func ranks() {
    let fused = Fusion(wordsWeight: 2, vectorsWeight: 1, k: 1).fuse(words: [1, 2], vectors: [2, 3, 1])
    // (k + 1) / (2 + 1) · (2 / (k + rank by words) + 1 / (k + rank by vectors))
    #expect(fused.map(\.document) == [1, 2, 3])
    for (score, wanted) in zip(fused.map(\.score), [2.0 / 3 * (1 + 0.25), 2.0 / 3 * (2.0 / 3 + 0.5), 2.0 / 9]) {
      #expect(abs(score - wanted) < 1e-12)
    }
    #expect(Fusion().fuse(words: [7, 8], vectors: [7]).first?.score == 1)
    #expect(Fusion(wordsWeight: 0).fuse(words: [1], vectors: [2]).map(\.document) == [2])
  }

  @Test("what words hit first stands above what both orders have far behind")
  func first() {
    let crowd = Array(Int64(10)..<20)
    let vectors = [2, 3, 4, 5, 6] + crowd
    let fused = Fusion().fuse(words: [1] + crowd, vectors: vectors)
    #expect(fused.prefix(2).map(\.document) == [1, 10])
    #expect(Fusion(k: 60).fuse(words: [1] + crowd, vectors: vectors).first?.document == 10, "with a large k it does not")
  }

  @Test("one order alone is kept, and equal documents stand by age")
  func edges() {
    #expect(Fusion().fuse(words: [], vectors: [5, 4]).map(\.document) == [5, 4])
    #expect(Fusion(vectorsWeight: 1).fuse(words: [5], vectors: [4]).map(\.document) == [4, 5])
    #expect(Fusion().fuse(words: [], vectors: []).isEmpty)
  }
}
