/// Bytes, as a report shows them.
enum CheckText {
  /// The first bytes in quotes, with control characters escaped, and the number of bytes if there are more.
  static func short(_ bytes: [UInt8], limit: Int = 60) -> String {
    let beginning = String(decoding: bytes.prefix(limit), as: UTF8.self)
    // The limit may cut a character in two, which does not make the text binary.
    if beginning.unicodeScalars.dropLast(3).contains("\u{FFFD}") {
      let digits = bytes.prefix(16).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
      return "<\(digits.joined(separator: " "))\(bytes.count > 16 ? "…" : "")> (\(bytes.count) bytes)"
    }
    var text = "\""
    for scalar in beginning.unicodeScalars {
      text += scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) ? scalar.escaped(asASCII: true) : String(scalar)
    }
    return bytes.count > limit ? "\(text)…\" (\(bytes.count) bytes)" : text + "\""
  }
}
