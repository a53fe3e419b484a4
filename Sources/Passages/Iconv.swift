import CHTML
import Glibc

/// Brings bytes of any encoding that iconv(3) knows to UTF-8.
enum Iconv {
  /// There is no such encoding.
  struct Unknown: Error {}

  static func knows(_ encoding: String) -> Bool { open(encoding).map { iconv_close($0) } != nil }

  private static func open(_ encoding: String) -> iconv_t? {
    // Not "X//TRANSLIT", and nothing that means the locale's.
    guard !encoding.isEmpty, encoding.utf8.count <= 40, encoding.utf8.allSatisfy(isPartOfName) else { return nil }
    let converter = iconv_open("UTF-8", encoding)
    return converter == iconv_t(bitPattern: -1) ? nil : converter
  }

  /// The text, and how much of it was no text in that encoding and is U+FFFD now.
  static func text(_ bytes: [UInt8], from encoding: String, unit: Int = 1) throws(Unknown) -> (text: String, replaced: Int) {
    guard let converter = open(encoding) else { throw Unknown() }
    defer { iconv_close(converter) }
    var output: [UInt8] = []
    output.reserveCapacity(bytes.count + bytes.count / 8)
    var replaced = 0
    var source = bytes
    source.withUnsafeMutableBytes { source in
      var input = source.baseAddress?.assumingMemoryBound(to: CChar.self)
      var left = source.count
      while left > 0 {
        let code = step(converter, &input, &left, &output)
        if code == 0 { break }
        if code == E2BIG { continue }
        // EILSEQ: no text here. EINVAL: the last character is not whole.
        output += "\u{FFFD}".utf8
        replaced += 1
        if code == EINVAL { break }
        let skipped = min(unit, left)
        input = input?.advanced(by: skipped)
        left -= skipped
      }
    }
    return (String(decoding: output, as: UTF8.self), replaced)
  }

  /// Converts the next 64 KiB or so; 0 at the end, else errno.
  private static func step(
    _ converter: iconv_t, _ input: inout UnsafeMutablePointer<CChar>?, _ left: inout Int, _ output: inout [UInt8]
  ) -> Int32 {
    var code: Int32 = 0
    output += [UInt8](unsafeUninitializedCapacity: 1 << 16) { room, count in
      var place = UnsafeMutableRawPointer(room.baseAddress)?.assumingMemoryBound(to: CChar.self)
      var free = room.count
      code = iconv(converter, &input, &left, &place, &free) == -1 ? errno : 0
      count = room.count - free
    }
    return code
  }

  private static func isPartOfName(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: ":"): true
    default: false
    }
  }
}
