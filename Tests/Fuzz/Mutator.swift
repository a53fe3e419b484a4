import TestSupport

/// Makes inputs out of a corpus: an entry of it, damaged one to four times. The same seed gives the same inputs.
struct Mutator {
  /// No input is longer, in bytes.
  static let longest = 8192

  /// What stands in JSON, and what does not.
  static let json: [[UInt8]] =
    [
      "\\u", "\\ud800", "\\udc00", "\\u0000", "\\\"", "1e400", "-0", "1e-400", "9223372036854775808", "true", "null", "\"target\":",
      "\"id\":null,",
      "\"hops\":99999999999,", "\"payload\":", "{}", "[]", "é", "😀", "aaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ].map { Array($0.utf8) }
    + [String(repeating: "[", count: 63), String(repeating: "]", count: 63)].map { Array($0.utf8) }
    + Array(" \n\r\t\"\\{}[],:.-+e0/".utf8).map { [$0] } + [[0], [0x1f], [0x7f], [0xc3], [0xa9], [0xed, 0xa0, 0x80], [0xf5], [0xff]]

  private let corpus: [[UInt8]]
  private let pieces: [[UInt8]]
  private var random: SplitMix

  /// `pieces`: what is put into an entry, beside what stands in the others.
  init(corpus: [[UInt8]], pieces: [[UInt8]], seed: UInt64) {
    self.corpus = corpus
    self.pieces = pieces
    random = SplitMix(state: seed)
  }

  mutating func next() -> [UInt8] {
    var bytes = corpus[random.below(corpus.count)]
    for _ in 0...random.below(4) { damage(&bytes) }
    return Array(bytes.prefix(Self.longest))
  }

  /// A number from 0 up to one below `count`, for whoever cuts the input.
  mutating func number(below count: Int) -> Int { random.below(count) }

  private mutating func damage(_ bytes: inout [UInt8]) {
    let at = random.below(bytes.count + 1)
    let length = random.below(min(bytes.count - at, random.below(8) == 0 ? 64 : 4) + 1)
    switch random.below(6) {
    case 0: if at < bytes.count { bytes[at] ^= 1 << UInt8(random.below(8)) }
    case 1: bytes.removeSubrange(at..<at + length)
    case 2: bytes.insert(contentsOf: Array(bytes[at..<at + length]), at: random.below(bytes.count + 1))
    case 3:
      let other = corpus[random.below(corpus.count)]
      bytes.replaceSubrange(at..., with: other[random.below(other.count + 1)...])
    default: bytes.replaceSubrange(at..<at + length, with: pieces[random.below(pieces.count)])
    }
  }
}

extension SplitMix {
  /// A number from 0 up to one below `count`, which is at least 1.
  fileprivate mutating func below(_ count: Int) -> Int { Int(next() % UInt64(count)) }
}
