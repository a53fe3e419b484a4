import Foundation
import Services
import Wire

/// How good what the store finds is, by words, by vectors, and by both fused.
///
/// What is chosen is chosen on one half of the queries, and shown on both: `chosen by` and `held back`.
struct QualityBenchmark {
  let lists: String
  let manuals: String
  private let embedder: WordEmbedder

  init(lists: String, manuals: String) throws {
    (self.lists, self.manuals) = (lists, manuals)
    embedder = try WordEmbedder.installed()
  }

  /// - Parameter tunes: whether other fusions are shown, too.
  func run(tunes: Bool) async throws {
    let sets =
      try [QualitySet.packages(lists: lists)]
      + [QualitySet.Manuals.english, .chinese, .japanese].map { try QualitySet.manuals(folder: manuals, $0) }
    var rows: [(name: String, cells: [String])] = []
    func add(_ name: String, _ values: [Double]) {
      if !rows.contains(where: { $0.name == name }) { rows.append((name, [])) }
      rows[rows.firstIndex { $0.name == name }!].cells += values.map { String(format: "%.3f", $0) }
    }
    for set in sets where !set.queries.isEmpty {
      print("\(set.name): \(set.documents.count) documents, \(set.queries.count) queries (\(set.origin))")
      let folder = FileManager.default.temporaryDirectory.path + "/bat-memory-quality-\(UUID().uuidString)"
      let store = SQLiteStore(folder: folder)
      defer {
        store.stop()
        try? FileManager.default.removeItem(atPath: folder)
      }
      try await fill(store, set)
      let vectors = try embedder.embed(set.queries.map(\.text))
      func found(_ mode: MemoryQuery.Mode, _ fusion: Fusion = Fusion(), limit: Int = 10) async throws -> [[String]] {
        var all: [[String]] = []
        for (query, vector) in zip(set.queries, vectors) {
          let embedding = vector.isEmpty ? nil : Embedding(model: embedder.id, vector: vector)
          let query = MemoryQuery(text: query.text, embedding: embedding, limit: limit, mode: mode, fusion: fusion)
          let hits = try await store.perform(.query("quality", query), as: .user)
          all.append(hits.map(\.document.id))
        }
        return all
      }
      func gains(_ found: [[String]]) -> [Double] { zip(set.queries, found).map { QualitySet.nDCG($1, $0.relevant) } }
      func show(_ name: String, _ found: [[String]]) {
        let gains = gains(found)
        add(name, [0, 1].map { half in mean(gains.enumerated().filter { $0.offset % 2 == half }.map(\.element)) } + [mean(gains)])
      }
      let (words, fused) = (try await found(.words), try await found(.fused))
      show("words alone (BM25)", words)
      show("vectors alone", try await found(.vectors))
      show("fused, as it is by default", fused)
      // Query by query, so that what makes a query hard for both is no noise.
      let differences = zip(gains(fused), gains(words)).enumerated().filter { $0.offset % 2 == 1 }.map { $0.element.0 - $0.element.1 }
      let (gain, count) = (mean(differences), Double(differences.count))
      let error = (differences.reduce(0) { $0 + ($1 - gain) * ($1 - gain) } / (count - 1) / count).squareRoot()
      print(String(format: "    fused is better than words alone by %.3f, standard error %.3f (held back)", gain, error))
      if tunes {
        for k in [0, 0.5, 1, 2, 5, 10, 60] {
          for weight in [0.3, 0.5, 0.7, 0.85, 1] {
            show("fused, k \(k), vectors' weight \(weight)", try await found(.fused, Fusion(vectorsWeight: weight, k: k)))
          }
        }
        for depth in [10, 30, 300] { show("fused, depth \(depth)", try await found(.fused, Fusion(depth: depth))) }
      }
    }
    print("\nnDCG@10: queries to choose by · held back · all")
    print("| | " + sets.filter { !$0.queries.isEmpty }.map(\.name).joined(separator: " | ") + " |")
    print("|---" + String(repeating: "|---", count: sets.count { !$0.queries.isEmpty }) + "|")
    for row in rows {
      let cells = stride(from: 0, to: row.cells.count, by: 3).map { row.cells[$0..<$0 + 3].joined(separator: " · ") }
      print("| \(row.name) | " + cells.joined(separator: " | ") + " |")
    }
  }

  private func fill(_ store: SQLiteStore, _ set: QualitySet) async throws {
    _ = try await store.perform(.create("quality"), as: .user)
    for first in stride(from: 0, to: set.documents.count, by: 500) {
      let part = set.documents[first..<min(first + 500, set.documents.count)]
      let documents = zip(part, try embedder.embed(part.map(\.text))).map {
        Document(id: $0.id, text: $0.text, embedding: Embedding(model: embedder.id, vector: $1))
      }
      _ = try await store.perform(.add("quality", documents), as: .user)
    }
  }

  private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
}
