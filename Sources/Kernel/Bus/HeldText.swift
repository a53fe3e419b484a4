/// Streamed text on its way to a client, in pieces that end between two characters.
struct HeldText {
  private var text: [UInt8] = []
  /// What stands before it has been taken out.
  private var head = 0

  var count: Int { text.count - head }

  mutating func append(_ more: [UInt8]) { text.append(contentsOf: more) }

  /// Takes the next piece out, of about so many bytes at most; nil: there is none.
  ///
  /// The beginning of a character waits for its rest, unless nothing more comes.
  mutating func next(isLast: Bool, atMost limit: Int) -> String? {
    if count == 0 { return nil }
    var end = min(text.count, head + max(4, limit))
    if !isLast || end < text.count {
      let whole = Self.wholeCharacters(text[head..<end])
      // Bytes that belong to no character must not stop the rest.
      if whole > head || end == text.count { end = whole }
    }
    if end == head { return nil }
    let piece = String(decoding: text[head..<end], as: UTF8.self)
    head = end
    if head == text.count { (text, head) = ([], 0) }
    return piece
  }

  /// Where the whole characters end. The text is not empty.
  private static func wholeCharacters(_ text: ArraySlice<UInt8>) -> Int {
    var start = text.endIndex - 1
    while start > text.startIndex, text.endIndex - start < 4, text[start] & 0xc0 == 0x80 { start -= 1 }
    let lead = text[start]
    let length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
    return start + length > text.endIndex && lead >= 0xc0 ? start : text.endIndex
  }
}
