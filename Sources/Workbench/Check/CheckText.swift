/// Bytes, as a report shows them.
enum CheckText {
  /// The beginning, in quotes, harmless for a terminal; and how many bytes there are when that is not all.
  static func short(_ bytes: [UInt8], limit: Int = 60) -> String {
    var text = "\""
    for scalar in String(decoding: bytes.prefix(limit), as: UTF8.self).unicodeScalars {
      text += scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) ? scalar.escaped(asASCII: true) : String(scalar)
    }
    return bytes.count > limit ? "\(text)…\" (\(bytes.count) bytes)" : text + "\""
  }
}
