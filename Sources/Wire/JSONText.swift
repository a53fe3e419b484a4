/// Resolves the escapes of a JSON string's bytes (without the quotes), which the scanner has checked.
///
/// A lone surrogate becomes U+FFFD.
public func unescaped(_ raw: UnsafeRawBufferPointer) -> [UInt8] {
  var out: [UInt8] = []
  out.reserveCapacity(raw.count)
  var i = 0
  func hex(_ at: Int) -> UInt32 {
    var value: UInt32 = 0
    for k in at..<at + 4 {
      let c = raw[k]
      value = value << 4 | UInt32(c <= 57 ? c - 48 : (c | 32) - 87)
    }
    return value
  }
  while i < raw.count {
    let c = raw[i]
    if c != 0x5c {
      out.append(c)
      i += 1
      continue
    }
    switch raw[i + 1] {
    case 0x62: out.append(8)
    case 0x66: out.append(12)
    case 0x6e: out.append(10)
    case 0x72: out.append(13)
    case 0x74: out.append(9)
    case 0x75:
      var scalar = hex(i + 2)
      if scalar >= 0xd800, scalar < 0xdc00, i + 12 <= raw.count, raw[i + 6] == 0x5c, raw[i + 7] == 0x75 {
        let low = hex(i + 8)
        if low >= 0xdc00, low < 0xe000 {
          scalar = 0x10000 + (scalar - 0xd800) << 10 + (low - 0xdc00)
          i += 6
        }
      }
      out.append(contentsOf: String(Unicode.Scalar(scalar) ?? "\u{fffd}").utf8)
      i += 4
    default: out.append(raw[i + 1])
    }
    i += 2
  }
  return out
}

extension [UInt8] {
  /// Appends the text as a JSON string, quotes included.
  @inlinable public mutating func appendJSON(_ text: some Sequence<UInt8>) {
    append(0x22)
    for c in text {
      switch c {
      case 0x22:
        append(0x5c)
        append(0x22)
      case 0x5c:
        append(0x5c)
        append(0x5c)
      case 0x0a:
        append(0x5c)
        append(0x6e)
      case 0x0d:
        append(0x5c)
        append(0x72)
      case 0x09:
        append(0x5c)
        append(0x74)
      case 0..<0x20:
        append(contentsOf: "\\u00".utf8)
        append("0123456789abcdef".utf8.withContiguousStorageIfAvailable { $0[Int(c >> 4)] }!)
        append("0123456789abcdef".utf8.withContiguousStorageIfAvailable { $0[Int(c & 15)] }!)
      default: append(c)
      }
    }
    append(0x22)
  }

  /// Appends the text as a JSON string, quotes included.
  public mutating func appendJSON(_ text: String) { appendJSON(text.utf8) }

  /// Appends bytes as they are.
  public mutating func append(_ text: StaticString) {
    append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }
}
