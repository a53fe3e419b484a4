import Foundation

/// Vectors and queries of one size, in files that every engine reads: raw floats, and workload.json with the numbers.
struct Workload: Codable {
  /// The shares of the documents that the filters let pass.
  static let selectivities = [0.01, 0.1, 0.5]
  static let shares = 1_000_000

  var count: Int
  var dimension = 256
  var batch = 500
  var queries: Int
  var limit = 10
  var folder: String

  var vectorsPath: String { folder + "/vectors.f32" }
  var queriesPath: String { folder + "/queries.f32" }

  /// A number of each document by which filters choose.
  static func share(_ document: Int) -> Int { document * 611_953 % shares }

  static func text(_ document: Int) -> String {
    let words = ["umbrella", "riddle", "clock", "harbour", "museum", "signal", "engine", "garden", "ledger", "lantern", "bridge"]
    return "note \(document) on the \(words[document % 11]) and the \(words[document / 11 % 11]) of \(words[document / 121 % 11])"
  }

  /// Random vectors: the worst case, since nothing lies much nearer than the rest.
  static func make(count: Int, in folder: String) throws -> Workload {
    let workload = Workload(count: count, queries: count > 200_000 ? 30 : 100, folder: folder)
    try write(count, workload.dimension, seed: 1, to: workload.vectorsPath)
    try write(workload.queries, workload.dimension, seed: 2, to: workload.queriesPath)
    try JSONEncoder().encode(workload).write(to: URL(filePath: folder + "/workload.json"))
    return workload
  }

  private static func write(_ count: Int, _ dimension: Int, seed: UInt64, to path: String) throws {
    guard FileManager.default.createFile(atPath: path, contents: nil), let file = FileHandle(forWritingAtPath: path) else {
      throw BenchmarkError("\(path) cannot be written")
    }
    var state = seed &* 0x9E37_79B9_7F4A_7C15
    for first in stride(from: 0, to: count, by: 1000) {
      let floats = (0..<min(1000, count - first) * dimension).map { _ -> Float in
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        z ^= z >> 31
        // A sum of four is near enough to a bell curve.
        return (Float(z & 0xFFFF) + Float(z >> 16 & 0xFFFF) + Float(z >> 32 & 0xFFFF) + Float(z >> 48)) / 65_535 - 2
      }
      try floats.withUnsafeBytes { try file.write(contentsOf: $0) }
    }
    try file.close()
  }

  init(folder: String) throws {
    self = try JSONDecoder().decode(Workload.self, from: Data(contentsOf: URL(filePath: folder + "/workload.json")))
  }

  private init(count: Int, queries: Int, folder: String) {
    (self.count, self.queries, self.folder) = (count, queries, folder)
  }

  /// Vectors out of one of the files.
  static func read(_ path: String, _ dimension: Int, _ range: Range<Int>) throws -> [[Float]] {
    let file = try FileHandle(forReadingFrom: URL(filePath: path))
    defer { try? file.close() }
    try file.seek(toOffset: UInt64(range.lowerBound * dimension * 4))
    let data = try file.read(upToCount: range.count * dimension * 4) ?? Data()
    return data.withUnsafeBytes { raw in
      range.indices.map { index in
        let first = (index - range.lowerBound) * dimension
        return Array(raw.bindMemory(to: Float.self)[first..<first + dimension])
      }
    }
  }

  /// For each query the nearest documents: of all, then of those that each filter lets pass. In double precision.
  func truth() throws -> [[[Int]]] {
    let queries = try Self.read(queriesPath, dimension, 0..<self.queries).map(Self.normalised)
    var best = [[[(Double, Int)]]](repeating: .init(repeating: [], count: 1 + Self.selectivities.count), count: queries.count)
    for first in stride(from: 0, to: count, by: 1000) {
      for (offset, vector) in try Self.read(vectorsPath, dimension, first..<min(first + 1000, count)).enumerated() {
        let (document, vector) = (first + offset, Self.normalised(vector))
        let share = Double(Self.share(document)) / Double(Self.shares)
        for (number, query) in queries.enumerated() {
          var sums = SIMD8<Double>.zero
          for lane in vector.indices { sums.addProduct(vector[lane], query[lane]) }
          let cosine = sums.sum()
          for (series, limit) in ([1] + Self.selectivities).enumerated() where share < limit {
            if best[number][series].count == self.limit, cosine <= best[number][series].last!.0 { continue }
            best[number][series].append((cosine, document))
            best[number][series].sort { $0.0 > $1.0 }
            if best[number][series].count > self.limit { best[number][series].removeLast() }
          }
        }
      }
    }
    return best.map { $0.map { $0.map(\.1) } }
  }

  private static func normalised(_ vector: [Float]) -> [SIMD8<Double>] {
    let length = vector.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    return stride(from: 0, to: vector.count, by: 8).map { first in
      var lane = SIMD8<Double>.zero
      for index in 0..<8 { lane[index] = Double(vector[first + index]) / length }
      return lane
    }
  }
}
