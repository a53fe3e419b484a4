/// Finds values in the text of a JSON object without rebuilding them, so that the order of a schema's keys, which
/// models follow, stays the author's.
package enum RawJSON {
  /// The members of the object at the top: key (as written, without quotes) and the value's bytes.
  ///
  /// The text must be valid JSON (a decoder has accepted it). Not an object: no members.
  package static func members(of text: [UInt8]) -> [(key: String, value: ArraySlice<UInt8>)] {
    var members: [(key: String, value: ArraySlice<UInt8>)] = []
    var depth = 0
    var key: String?
    var start = 0
    var index = 0
    func close(_ end: Int) {
      guard let name = key else { return }
      members.append((name, trimmed(text[start..<end])))
      key = nil
    }
    while index < text.count {
      switch text[index] {
      case UInt8(ascii: "\""):
        let open = index + 1
        index = open
        while text[index] != UInt8(ascii: "\"") { index += text[index] == UInt8(ascii: "\\") ? 2 : 1 }
        if depth == 1, key == nil {
          key = String(decoding: text[open..<index], as: UTF8.self)
          start = text[index...].firstIndex(of: UInt8(ascii: ":"))! + 1
          index = start - 1
        }
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        if depth == 1 { close(index) }
        depth -= 1
      case UInt8(ascii: ",") where depth == 1: close(index)
      default: break
      }
      index += 1
    }
    return text.first(where: { $0 > 32 }) == UInt8(ascii: "{") ? members : []
  }

  /// The object with one more member at its end; `value` is JSON. `object` is not empty.
  package static func adding(_ name: String, _ value: some Sequence<UInt8>, to object: [UInt8]) -> [UInt8] {
    object.dropLast() + Array(",\"\(name)\":".utf8) + value + [UInt8(ascii: "}")]
  }

  private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let start = bytes.firstIndex { $0 > 32 } ?? bytes.endIndex
    let end = bytes[start...].lastIndex { $0 > 32 }.map { $0 + 1 } ?? start
    return bytes[start..<end]
  }
}
