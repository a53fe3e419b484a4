import Foundation
import Testing
import Wire

@testable import Services

@Suite("Exact search, against brute force") struct ExactSearchTests {
  /// What is in the store, as the test knows it: in the order in which the vectors came.
  private struct Known {
    var id: String
    var vector: [Float]
    var share: Int
  }

  private static func cosine(_ a: [Float], _ b: [Float]) -> Double {
    var (dot, aa, bb) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
      dot += Double(x) * Double(y)
      aa += Double(x) * Double(x)
      bb += Double(y) * Double(y)
    }
    return dot / (aa.squareRoot() * bb.squareRoot())
  }

  /// Random ones; close ones around a few centres; ones that hardly differ; few different values, so that there are ties.
  enum Shape: CaseIterable { case random, clustered, close, coarse }

  private static func vectors(_ shape: Shape, _ count: Int, _ dimension: Int, _ random: inout TestRandom) -> [[Float]] {
    let centres = (0..<5).map { _ in random.vector(dimension) }
    return (0..<count).map { _ in
      var vector: [Float]
      switch shape {
      case .random: vector = random.vector(dimension)
      case .clustered: vector = zip(random.pick(centres), random.vector(dimension)).map { $0 + 0.05 * $1 }
      case .close: vector = zip(centres[0], random.vector(dimension)).map { $0 + 1e-3 * $1 }
      case .coarse: vector = (0..<dimension).map { _ in Float(random.below(3) - 1) }
      }
      // A length is nothing to a cosine, however large or small; of powers of two not even in the last bit.
      let length = random.pick([1, 1, 1, 0x1p-40, 0x1p40] as [Float])
      if vector.allSatisfy({ $0 == 0 }) { vector[0] = 1 }
      return vector.map { $0 * length }
    }
  }

  @Test("the nearest are exactly brute force's, nearest first and older ones before equal ones", arguments: Shape.allCases)
  func exact(_ shape: Shape) async throws {
    let seed = TestRandom.seed(for: "ExactSearchTests.exact(\(shape))")
    var random = TestRandom(seed: seed)
    for (dimension, count) in [(1, 40), (2, 300), (3, 1500), (31, 400), (32, 1100), (33, 300), (256, 500), (1024, 120)] {
      let store = TemporaryStore()
      try await store(.create("c"))
      var known: [Known] = []
      var vectors = Self.vectors(shape, count, dimension, &random)
      // Some twice.
      for _ in 0..<count / 10 { vectors[random.below(count)] = vectors[random.below(count)] }
      for (n, vector) in vectors.enumerated() { known.append(Known(id: "\(n)", vector: vector, share: random.below(100))) }
      try await Self.add(known, to: store)
      // Some removed, some changed: these are the youngest from then on.
      for _ in 0..<count / 8 {
        let gone = known.remove(at: random.below(known.count))
        try await store(.delete("c", Selection(ids: [gone.id])))
        if random.once(in: 2) {
          let again = Known(id: gone.id, vector: random.pick(vectors), share: gone.share)
          known.append(again)
          try await Self.add([again], to: store)
        }
      }
      for round in 0..<12 {
        let query = round % 3 == 0 ? random.pick(vectors) : Self.vectors(shape, 1, dimension, &random)[0]
        let limit = random.pick([1, 3, 10, 60, count + 10])
        let below = random.pick([0, 1, 3, 10, 25, 40, 80, 100])
        let filter = round % 2 == 0 ? Filter.everything : .key("share", .below(.int(below), orEqual: false))
        let wanted = Self.bruteForce(query, limit, known.filter { round % 2 == 0 || $0.share < below })
        let found = try await Self.hits(store, query, limit, filter)
        #expect(
          found.map(\.id) == wanted.map(\.id), "seed \(seed), \(shape), dimension \(dimension), round \(round), limit \(limit), \(filter)")
        for (found, wanted) in zip(found, wanted) { #expect(abs(found.similarity - wanted.similarity) < 1e-12) }
      }
      // As after a restart: the slots of what was removed are there, and what they hold must not count.
      store.reopen()
      let query = random.pick(vectors)
      #expect(try await Self.hits(store, query, 10, .everything).map(\.id) == Self.bruteForce(query, 10, known).map(\.id), "seed \(seed)")
    }
  }

  @Test("filters that let many, few and the farthest pass find brute force's among several thousand")
  func large() async throws {
    let seed = TestRandom.seed(for: "ExactSearchTests.large")
    var random = TestRandom(seed: seed)
    let store = TemporaryStore()
    try await store(.create("c"))
    let query = random.vector(16)
    let vectors = Self.vectors(.random, 6000, 16, &random)
    // `share` grows with the distance: so a filter can let just the farthest pass.
    let known = vectors.sorted { Self.cosine($0, query) > Self.cosine($1, query) }.enumerated()
      .map { Known(id: "\($0)", vector: $1, share: $0 / 60) }.shuffled(using: &random)
    try await Self.add(known, to: store)
    for bound in [0, 1, 5, 30, 60, 95, 99, 100] {
      for (filter, passes): (Filter, (Known) -> Bool) in [
        (.key("share", .below(.int(bound), orEqual: false)), { $0.share < bound }),
        (.key("share", .above(.int(bound), orEqual: true)), { $0.share >= bound }),
        (.not(.key("share", .below(.int(bound), orEqual: false))), { $0.share >= bound }),
        (.not(.key("share", .above(.int(bound), orEqual: true))), { $0.share < bound }),
        (
          .all([.key("share", .above(.int(bound - 8), orEqual: false)), .key("share", .below(.int(bound), orEqual: true))]),
          { $0.share > bound - 8 && $0.share <= bound }
        ),
      ] {
        let wanted = Self.bruteForce(query, 10, known.filter(passes)).map(\.id)
        // The store answers a filter in another way when it comes again.
        for time in 1...3 {
          #expect(try await Self.hits(store, query, 10, filter).map(\.id) == wanted, "seed \(seed), \(filter), time \(time)")
        }
      }
    }
  }

  private static func bruteForce(_ query: [Float], _ limit: Int, _ known: [Known]) -> [(id: String, similarity: Double)] {
    let all = known.enumerated().map { (age: $0, id: $1.id, similarity: cosine($1.vector, query)) }
    return all.sorted { ($1.similarity, $0.age) < ($0.similarity, $1.age) }.prefix(limit).map { ($0.id, $0.similarity) }
  }

  private static func add(_ known: [Known], to store: TemporaryStore) async throws {
    for first in stride(from: 0, to: known.count, by: 1000) {
      let part = known[first..<min(first + 1000, known.count)]
      try await store(
        .add(
          "c", part.map { Document(id: $0.id, metadata: ["share": .int($0.share)], embedding: Embedding(model: "m", vector: $0.vector)) }))
    }
  }

  private static func hits(_ store: TemporaryStore, _ query: [Float], _ limit: Int, _ filter: Filter) async throws
    -> [(id: String, similarity: Double)]
  {
    let hits = try await store(.query("c", MemoryQuery(embedding: Embedding(model: "m", vector: query), limit: limit, filter: filter)))
    return hits.map { ($0.document.id, $0.similarity ?? .nan) }
  }
}
