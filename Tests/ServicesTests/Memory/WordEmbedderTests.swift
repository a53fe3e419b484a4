import Foundation
import Testing

@testable import Services

@Suite struct WordEmbedderTests {
  struct Reference: Decodable {
    struct Entry: Decodable {
      var text: String
      var tokens: [Int32]
      var vector: [Float]
    }
    /// Of the Python package; nil in the recorded one.
    var folder: String?
    var version: String
    var entries: [Entry]
  }

  static let here = URL(filePath: #filePath).deletingLastPathComponent()
  static let isCI = environmentVariable("CI") != nil
  static let python = environmentVariable("BAT_TEST_PYTHON").flatMap { python in
    (try? run(python, ["-c", "import wordllama"])) == nil ? nil : python
  }
  static let isInstalled = (try? WordEmbedder.installed()) != nil

  /// Nil if it fails.
  static func run(_ program: String, _ arguments: [String]) throws -> Data? {
    let process = Process()
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return process.terminationStatus == 0 ? data : nil
  }

  func compare(_ embedder: WordEmbedder, with reference: Reference) throws {
    let vectors = try embedder.embed(reference.entries.map(\.text))
    for (entry, vector) in zip(reference.entries, vectors) {
      #expect(try embedder.tokens(of: entry.text) == entry.tokens, "\(entry.text.debugDescription.prefix(200))")
      let isNear = vector.isEmpty == entry.vector.isEmpty && zip(vector, entry.vector).allSatisfy { abs($0 - $1) < 1e-5 }
      #expect(isNear, "\(entry.text.debugDescription.prefix(200))")
    }
  }

  @Test(
    "token for token and number for number, a thousand texts are to it what they are to the Python package",
    .enabled(if: python != nil || isCI, "BAT_TEST_PYTHON names no python with the package wordllama"))
  func live() throws {
    let python = try #require(Self.python, "BAT_TEST_PYTHON names no python with the package wordllama")
    let output = try #require(try Self.run(python, [Self.here.path + "/reference.py", "1000"]))
    let reference = try JSONDecoder().decode(Reference.self, from: output)
    #expect(reference.entries.count == 1000)
    let embedder = try WordEmbedder(folder: try #require(reference.folder), version: reference.version)
    #expect(embedder.id == "wordllama-0.4.0.post1/256" && embedder.dimension == 256)
    try compare(embedder, with: reference)
  }

  @Test("the installed one makes of recorded texts what the Python package made", .enabled(if: isInstalled || isCI))
  func recorded() throws {
    let recorded = try JSONDecoder().decode(Reference.self, from: Data(contentsOf: Self.here.appending(path: "wordllama.json")))
    let embedder = try WordEmbedder.installed()
    #expect(embedder.id == "wordllama-\(recorded.version)/256")
    #expect(recorded.entries.count == 60)
    try compare(embedder, with: recorded)
  }

  @Test("what means something similar lies nearer than what does not", .enabled(if: isInstalled || isCI))
  func meaning() throws {
    let v = try WordEmbedder.installed().embed([
      "The cat sleeps on the sofa", "A kitten is napping on the couch", "Interest rates were raised",
    ])
    func similarity(_ a: Int, _ b: Int) -> Float { zip(v[a], v[b]).reduce(0) { $0 + $1.0 * $1.1 } }
    #expect(similarity(0, 1) > similarity(0, 2) + 0.2)
    #expect(abs(similarity(0, 0) - 1) < 1e-5)
  }

  // MARK: A small one of our own

  /// A package with a table of that many rows of 16 columns: row r has r in its first column and 1 in its second.
  static func package(rows: Int, in folder: String = makeFolder(), tokenizer: [UInt8]? = nil) throws -> String {
    for part in ["weights", "tokenizers"] {
      try FileManager.default.createDirectory(atPath: "\(folder)/\(part)", withIntermediateDirectories: true)
    }
    let head = #"{"embedding.weight":{"dtype":"F16","shape":[\#(rows),16],"data_offsets":[0,\#(rows * 32)]}}"#
    var bytes: [UInt8] = []
    for row in 0..<rows {
      for column in 0..<16 {
        let number = column == 0 ? Float16(row) : column == 1 ? 1 : 0
        withUnsafeBytes(of: number.bitPattern.littleEndian) { bytes += Array($0) }
      }
    }
    let table = try SafetensorsTests.write(head, bytes: bytes)
    try FileManager.default.moveItem(atPath: table, toPath: folder + "/weights/l2_supercat_256.safetensors")
    let file = tokenizer ?? BytePairTokenizerTests.file(["▁", "a"], merges: [])
    try Data(file).write(to: URL(filePath: folder + "/tokenizers/l2_supercat_tokenizer_config.json"))
    return folder
  }

  @Test("a vector is the mean of the tokens' rows, brought to length 1")
  func mean() throws {
    let embedder = try WordEmbedder(folder: Self.package(rows: 258), version: "1")
    #expect(embedder.id == "wordllama-1/16" && embedder.dimension == 16)
    // Rows 256 (▁), 257 (a) and 257: the mean is 256.67, 1.
    let length = (770.0 / 3 * (770.0 / 3) + 1).squareRoot()
    let vector = try embedder.embed(["aa", ""])
    #expect(abs(vector[0][0] - Float(770 / 3 / length)) < 1e-6 && abs(vector[0][1] - Float(1 / length)) < 1e-6)
    #expect(vector[0].dropFirst(2).allSatisfy { $0 == 0 })
    #expect(vector[1] == [])
  }

  @Test("a token that the table does not have is its last row, as in the Python package")
  func beyond() throws {
    let embedder = try WordEmbedder(folder: Self.package(rows: 100), version: "1")
    #expect(try embedder.embed(["a"])[0] == embedder.embed(["a a a"])[0])
  }

  @Test("every half-precision number is read exactly")
  func halves() {
    for bits in UInt16.min...UInt16.max {
      let half = Float16(bitPattern: bits)
      if half.isFinite { #expect(WordEmbedder.floats(SIMD16(repeating: bits))[3].bitPattern == Float(half).bitPattern) }
    }
  }

  @Test("a file that is damaged is named when the first text comes")
  func damaged() throws {
    let embedder = try WordEmbedder(folder: Self.package(rows: 258, tokenizer: Array("{".utf8)), version: "1")
    let error = #expect(throws: EmbeddingError.self) { _ = try embedder.embed(["a"]) }
    #expect(error?.reason == .damaged && error?.description.contains("l2_supercat_tokenizer_config.json: ") == true)
  }

  @Test("the installed one is found in the data folder, with its version")
  func installed() throws {
    let data = makeFolder()
    let packages = data + "/bat/model/venv/lib/python3.99/site-packages"
    try FileManager.default.createDirectory(atPath: packages + "/wordllama-9.9.dist-info", withIntermediateDirectories: true)
    _ = try Self.package(rows: 258, in: packages + "/wordllama")
    #expect(try WordEmbedder.installed { $0 == "XDG_DATA_HOME" ? data : nil }.id == "wordllama-9.9/16")
  }

  @Test("where it is not installed, the error says how to install it")
  func notInstalled() {
    let error = #expect(throws: EmbeddingError.self) { _ = try WordEmbedder.installed { $0 == "HOME" ? "/nowhere" : nil } }
    #expect(error?.reason == .notInstalled)
    #expect(error?.description.contains("/nowhere/.local/share/bat/model/venv: run `./bat up`") == true)
    let homeless = #expect(throws: EmbeddingError.self) { _ = try WordEmbedder.installed { _ in nil } }
    #expect(homeless?.description.contains("HOME") == true)
  }
}
