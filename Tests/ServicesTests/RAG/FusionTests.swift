import Testing

@testable import Services

@Suite("Fusion") struct FusionTests {
  @Test("a document has of each order the part of the best score that it has there")
  func sum() {
    let fused = Fusion(vectorsWeight: 0.5).fuse(words: [(1, 8), (2, 4)], vectors: [(2, 0.8), (3, 0.4), (1, -0.2)])
    #expect(fused.map(\.document) == [1, 2, 3] && fused.map(\.score) == [1, 1, 0.25])
    #expect(Fusion(wordsWeight: 0).fuse(words: [(1, 8)], vectors: [(2, 0.8)]).map(\.document) == [2])
  }

  @Test("words that match one document far better than all others outweigh vectors that hardly tell documents apart")
  func margin() {
    let fused = Fusion().fuse(words: [(9, 20), (1, 2)], vectors: [(1, 0.50), (2, 0.49), (9, 0.48)])
    #expect(fused.first?.document == 9)
  }

  @Test("one order alone is kept, equal documents stand by age, and scores that are all 0 or less are no division by 0")
  func edges() {
    #expect(Fusion().fuse(words: [], vectors: [(5, 0.3), (4, 0.3)]).map(\.document) == [4, 5])
    #expect(Fusion().fuse(words: [], vectors: [(5, -0.1), (4, -0.3)]).map(\.score) == [0, 0])
    #expect(Fusion().fuse(words: [], vectors: []).isEmpty)
  }
}
