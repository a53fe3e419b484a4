import Testing

@testable import Client

@Suite("Lines out of bytes") struct LineReaderTests {
  @Test("lines cut anywhere are the same lines")
  func linesCutAnywhere() {
    let bytes = Array("one\n\ntwo\nrest".utf8)
    for cut in bytes.indices {
      var reader = LineReader()
      var lines: [String] = []
      for piece in [bytes[..<cut], bytes[cut...]] {
        reader.append(piece)
        while let line = reader.next() { lines.append(String(decoding: line, as: UTF8.self)) }
      }
      #expect(lines == ["one", "", "two"])
      #expect(reader.pending == 4)
      #expect(reader.rest().map { String(decoding: $0, as: UTF8.self) } == "rest")
      #expect(reader.rest() == nil)
    }
  }
}
