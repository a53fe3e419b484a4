import Foundation
import Testing

@testable import Services

@Suite struct SafetensorsTests {
  /// A file with that head and so many bytes after it.
  static func write(_ head: String, length: UInt64? = nil, bytes: [UInt8]) throws -> String {
    let path = makeFolder() + "/table.safetensors"
    var file = withUnsafeBytes(of: (length ?? UInt64(head.utf8.count)).littleEndian) { Array($0) }
    file += Array(head.utf8) + bytes
    try Data(file).write(to: URL(filePath: path))
    return path
  }

  @Test("tensors lie where the head says")
  func read() throws {
    let head = #"""
      {"__metadata__": {"format": "np"}, "a": {"dtype": "U8", "shape": [2, 3], "data_offsets": [0, 6]},
       "b.c": {"dtype": "F16", "shape": [], "data_offsets": [6, 8]}, "none": {"dtype": "F32", "shape": [0, 7], "data_offsets": [8, 8]}}
      """#
    let file = try Safetensors(Self.write(head, bytes: [1, 2, 3, 4, 5, 6, 7, 8]))
    #expect(file.tensors.keys.sorted() == ["a", "b.c", "none"])
    #expect(file.tensors["a"]?.shape == [2, 3])
    #expect(file.withBytes(of: try #require(file.tensors["a"])) { Array($0) } == [1, 2, 3, 4, 5, 6])
    #expect(file.withBytes(of: try #require(file.tensors["b.c"])) { Array($0) } == [7, 8])
    #expect(file.withBytes(of: try #require(file.tensors["none"])) { $0.count } == 0)
  }

  @Test(
    "a head that leads out of the file is refused",
    arguments: [
      #"{"a": {"dtype": "U8", "shape": [9], "data_offsets": [0, 9]}}"#, #"{"a": {"dtype": "U8", "shape": [4], "data_offsets": [-1, 3]}}"#,
      #"{"a": {"dtype": "U8", "shape": [3], "data_offsets": [4, 1]}}"#, #"{"a": {"dtype": "F16", "shape": [4], "data_offsets": [0, 4]}}"#,
      #"{"a": {"dtype": "U8", "shape": [-2, -2], "data_offsets": [0, 4]}}"#,
      #"{"a": {"dtype": "Q4", "shape": [4], "data_offsets": [0, 4]}}"#,
      #"{"a": {"dtype": "F64", "shape": [4611686018427387904, 2], "data_offsets": [0, 0]}}"#,
      #"{"a": {"dtype": "U8", "data_offsets": [0, 4]}}"#,
      #"{"a": 1}"#, #"{"a": {"dtype": "U8", "shape": [4], "data_offsets": [0]}}"#, #"{"a": "#,
    ])
  func damagedHead(_ head: String) throws {
    let path = try Self.write(head, bytes: [1, 2, 3, 4])
    let error = #expect(throws: EmbeddingError.self) { _ = try Safetensors(path) }
    #expect(error?.reason == .damaged)
    #expect(error?.description.contains(path) == true && error?.description.contains("./bat up") == true)
  }

  @Test("a file that was cut off is refused", arguments: [3, 8, 20])
  func cut(_ size: Int) throws {
    let path = try Self.write(#"{"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}"#, bytes: [1, 2, 3, 4])
    #expect(truncate(path, size) == 0)
    #expect(throws: EmbeddingError.self) { _ = try Safetensors(path) }
  }

  @Test("a head that would be as long as memory is refused", arguments: [UInt64.max, UInt64(Int64.max), 1 << 40])
  func endless(_ length: UInt64) throws {
    let path = try Self.write("{}", length: length, bytes: [])
    #expect(throws: EmbeddingError.self) { _ = try Safetensors(path) }
  }

  @Test("a file that is not there is said to be not installed")
  func missing() {
    let error = #expect(throws: EmbeddingError.self) { _ = try Safetensors("/nowhere/x.safetensors") }
    #expect(error?.reason == .notInstalled)
    #expect(error?.description == "/nowhere/x.safetensors cannot be opened (No such file or directory): run `./bat up`")
  }
}
