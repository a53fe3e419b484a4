/// One thing that was done on the keyboard.
enum Key: Equatable, Sendable {
  case text(String)
  /// What came between the marks of a bracketed paste, newlines as "\n".
  case paste(String)
  case enter, newline, tab
  case backspace, delete, killToEnd, killToStart, killWord
  case left, right, up, down, home, end, wordLeft, wordRight
  case interrupt, endOfInput, suspend, redraw
}

/// Bytes of a terminal in raw mode → keys. What is cut in the middle waits for its rest.
struct KeyReader {
  private var pending: [UInt8] = []

  mutating func append(_ bytes: some Sequence<UInt8>) { pending.append(contentsOf: bytes) }

  /// Takes Ctrl-C out of what waits, and everything before it; says whether there was one.
  mutating func takeInterrupt() -> Bool {
    guard let place = pending.lastIndex(of: 0x03) else { return false }
    pending.removeSubrange(...place)
    return true
  }

  /// The next key; `nil` when nothing whole is there.
  mutating func next() -> Key? {
    while let first = pending.first {
      let (length, key): (Int?, Key?) =
        switch first {
        case 0x1B: escape()
        case 0x00...0x1F, 0x7F: (1, Self.control(first))
        default: text()
        }
      guard let length else { return nil }
      pending.removeSubrange(..<length)
      if let key { return key }
    }
    return nil
  }

  private static func control(_ byte: UInt8) -> Key? {
    switch byte {
    case 0x01: .home
    case 0x02: .left
    case 0x03: .interrupt
    case 0x04: .endOfInput
    case 0x05: .end
    case 0x06: .right
    case 0x08, 0x7F: .backspace
    case 0x09: .tab
    case 0x0B: .killToEnd
    case 0x0C: .redraw
    // What is typed before the terminal is in raw mode comes with a line feed for Enter.
    case 0x0A, 0x0D: .enter
    case 0x0E: .down
    case 0x10: .up
    case 0x15: .killToStart
    case 0x17: .killWord
    case 0x1A: .suspend
    default: nil
    }
  }

  /// A run of text up to the next control byte; a character cut at the end stays.
  private func text() -> (Int?, Key?) {
    var end = pending.firstIndex { $0 < 0x20 || $0 == 0x7F } ?? pending.count
    if end == pending.count {
      // At most three bytes before the end a character may have begun that is not whole.
      for back in 1...4 where back <= end {
        let byte = pending[end - back]
        if byte & 0xC0 == 0x80 { continue }
        let needed = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
        if needed > back { end -= back }
        break
      }
    }
    return end == 0 ? (nil, nil) : (end, .text(String(decoding: pending[..<end], as: UTF8.self)))
  }

  /// `ESC [ parameters letter`, `ESC O letter`, or `ESC` and a key (Alt).
  private func escape() -> (Int?, Key?) {
    guard pending.count > 1 else { return (nil, nil) }
    switch pending[1] {
    case UInt8(ascii: "["):
      guard let end = pending.dropFirst(2).firstIndex(where: { 0x40...0x7E ~= $0 }) else { return (nil, nil) }
      let parameters = String(decoding: pending[2..<end], as: UTF8.self)
      if pending[end] == UInt8(ascii: "~"), parameters == "200" { return paste(from: end + 1) }
      return (end + 1, Self.sequence(parameters, pending[end]))
    case UInt8(ascii: "O"):
      return pending.count > 2 ? (3, Self.sequence("", pending[2])) : (nil, nil)
    case UInt8(ascii: "b"): return (2, .wordLeft)
    case UInt8(ascii: "f"): return (2, .wordRight)
    case 0x0D, 0x0A: return (2, .newline)
    case 0x7F: return (2, .killWord)
    default: return (1, nil)
    }
  }

  private static func sequence(_ parameters: String, _ letter: UInt8) -> Key? {
    let withControl = parameters.hasSuffix(";5") || parameters.hasSuffix(";3")
    switch (letter, parameters) {
    case (UInt8(ascii: "A"), _): return .up
    case (UInt8(ascii: "B"), _): return .down
    case (UInt8(ascii: "C"), _): return withControl ? .wordRight : .right
    case (UInt8(ascii: "D"), _): return withControl ? .wordLeft : .left
    case (UInt8(ascii: "H"), _), (UInt8(ascii: "~"), "1"), (UInt8(ascii: "~"), "7"): return .home
    case (UInt8(ascii: "F"), _), (UInt8(ascii: "~"), "4"), (UInt8(ascii: "~"), "8"): return .end
    case (UInt8(ascii: "~"), "3"): return .delete
    default: return nil
    }
  }

  private func paste(from start: Int) -> (Int?, Key?) {
    let mark = Array("\u{1B}[201~".utf8)
    var place = start
    while place + mark.count <= pending.count {
      if pending[place] == 0x1B, pending[place..<place + mark.count].elementsEqual(mark) {
        let text = String(decoding: pending[start..<place], as: UTF8.self)
        return (place + mark.count, .paste(text.split(separator: "\r\n", omittingEmptySubsequences: false).joined(separator: "\n")))
      }
      place += 1
    }
    return (nil, nil)
  }
}
