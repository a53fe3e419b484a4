/// Makes text of bytes that come in pieces, wherever a character is cut: in the middle of its UTF-8, or between the two halves
/// of a surrogate pair, each of which is then coded in three bytes. What belongs to no character becomes U+FFFD. A value.
struct TextJoiner {
  /// The beginning of a character that is not whole.
  private var held: [UInt8] = []

  /// The text that is whole now.
  mutating func add(_ bytes: [UInt8]) -> String {
    held += bytes
    let whole = held.count - Self.openTail(held)
    defer { held.removeFirst(whole) }
    return Self.text(held[..<whole])
  }

  /// Nothing comes any more: what is left.
  mutating func end() -> String {
    defer { held = [] }
    return Self.text(held)
  }

  /// All of a text at once.
  static func text(_ bytes: some Collection<UInt8>) -> String {
    // Halves of surrogate pairs begin with this byte, and so do some characters that are whole.
    guard bytes.contains(0xed) else { return String(decoding: bytes, as: UTF8.self) }
    let bytes = Array(bytes)
    var out: [UInt8] = []
    var at = 0
    while at < bytes.count {
      guard let half = surrogate(bytes, at) else {
        out.append(bytes[at])
        at += 1
        continue
      }
      at += 3
      if half < 0xdc00, let low = surrogate(bytes, at), low >= 0xdc00,
        let scalar = Unicode.Scalar(0x10000 + (half - 0xd800) << 10 + (low - 0xdc00))
      {
        out += Array(String(scalar).utf8)
        at += 3
      } else {
        out += [0xef, 0xbf, 0xbd]
      }
    }
    return String(decoding: out, as: UTF8.self)
  }

  /// The half of a pair that is coded there.
  private static func surrogate(_ bytes: [UInt8], _ at: Int) -> UInt32? {
    guard at + 3 <= bytes.count, bytes[at] == 0xed, bytes[at + 1] >= 0xa0, bytes[at + 1] < 0xc0, bytes[at + 2] & 0xc0 == 0x80 else {
      return nil
    }
    return 0xd000 | UInt32(bytes[at + 1] & 0x3f) << 6 | UInt32(bytes[at + 2] & 0x3f)
  }

  /// How many bytes at the end may be the beginning of a character.
  private static func openTail(_ bytes: [UInt8]) -> Int {
    var tail = 0
    for length in 1...3 where length <= bytes.count {
      let lead = bytes[bytes.count - length]
      if lead & 0xc0 == 0x80 { continue }
      let needed = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 1
      if lead < 0xf5, needed > length { tail = length }
      break
    }
    // The first half of a pair waits for its second, also where that has only begun.
    let place = bytes.count - tail - 3
    guard place >= 0, let half = surrogate(bytes, place), half < 0xdc00 else { return tail }
    return tail == 0 || bytes[bytes.count - tail] == 0xed ? tail + 3 : tail
  }
}
