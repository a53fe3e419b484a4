/// One thing that was done on the keyboard.
enum Key: Equatable, Sendable {
  case text(String)
  /// What came between the marks of a bracketed paste, newlines as "\n".
  case paste(String)
  /// A paste that is longer than a line may be, and so many bytes long: it is left out.
  case tooLong(Int)
  case enter, newline, tab
  case backspace, delete, killToEnd, killToStart, killWord
  case left, right, up, down, home, end, wordLeft, wordRight
  case interrupt, endOfInput, suspend, redraw
}

/// Bytes of a terminal in raw mode → keys. What is cut in the middle waits for its rest.
struct KeyReader {
  private var pending: [UInt8] = []
  /// Within a paste: up to where its end mark does not begin.
  private var searched = 0
  /// So many bytes have been looked through for a key that interrupts or suspends.
  private var watched = 0

  /// The longest paste that is taken.
  static let longestPaste = 1 << 20
  private static let pasteStart = Array("\u{1B}[200~".utf8)
  private static let pasteEnd = Array("\u{1B}[201~".utf8)

  /// What a byte of the keyboard means whatever is under way.
  enum Control: Equatable { case interrupt, suspend }

  var isEmpty: Bool { pending.isEmpty }

  mutating func append(_ bytes: some Sequence<UInt8>) { pending.append(contentsOf: bytes) }

  /// Takes the last Ctrl-C out of what waits, and everything before it; else the first Ctrl-Z, and nothing more. Nil: neither was pressed.
  ///
  /// What was pasted was not pressed.
  mutating func takeControl() -> Control? {
    if pending.count == watched { return nil }
    watched = pending.count
    var interrupt: Int?
    var suspend: Int?
    var place = 0
    while place < pending.count {
      if pending[place...].starts(with: Self.pasteStart) {
        guard let end = pending[place...].firstRange(of: Self.pasteEnd)?.upperBound else {
          // One whose end mark is lost is ended by the key that was pressed last.
          if pending.last == 0x03 { interrupt = pending.count - 1 }
          break
        }
        place = end
        continue
      }
      if pending[place] == 0x03 { interrupt = place }
      if pending[place] == 0x1A, suspend == nil { suspend = place }
      place += 1
    }
    if let interrupt {
      pending.removeSubrange(...interrupt)
      (searched, watched) = (0, 0)
      return .interrupt
    }
    guard let suspend else { return nil }
    pending.remove(at: suspend)
    watched = 0
    return .suspend
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
      (searched, watched) = (0, 0)
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
  private mutating func escape() -> (Int?, Key?) {
    guard pending.count > 1 else { return (nil, nil) }
    switch pending[1] {
    case UInt8(ascii: "["):
      let parameterBytes = pending.dropFirst(2).prefix(32).prefix { 0x20...0x3F ~= $0 }
      let end = parameterBytes.endIndex
      if end == pending.count, parameterBytes.count < 32 { return (nil, nil) }
      // What is no sequence (a key was pressed in the middle of one) is passed over, up to there.
      guard end < pending.count, 0x40...0x7E ~= pending[end] else { return (end, nil) }
      let parameters = String(decoding: parameterBytes, as: UTF8.self)
      if pending[end] == UInt8(ascii: "~"), parameters == "200" { return paste(from: end + 1) }
      return (end + 1, Self.sequence(parameters, pending[end]))
    case UInt8(ascii: "O"):
      if pending.count < 3 { return (nil, nil) }
      return pending[2] < 0x20 ? (2, nil) : (3, Self.sequence("", pending[2]))
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

  /// The text up to the end mark. Where that is lost, Ctrl-C ends the paste: it is the last byte that has come.
  private mutating func paste(from start: Int) -> (Int?, Key?) {
    let from = max(start, searched)
    if let mark = pending[from...].firstRange(of: Self.pasteEnd) { return (mark.upperBound, pasted(pending[start..<mark.lowerBound])) }
    if pending.last == 0x03 { return (pending.count, pasted(pending[start..<(pending.count - 1)])) }
    // Its first bytes may be there already.
    searched = max(start, pending.count - Self.pasteEnd.count + 1)
    return (nil, nil)
  }

  private func pasted(_ bytes: ArraySlice<UInt8>) -> Key {
    if bytes.count > Self.longestPaste { return .tooLong(bytes.count) }
    let text = String(decoding: bytes, as: UTF8.self)
    return .paste(text.split(separator: "\r\n", omittingEmptySubsequences: false).joined(separator: "\n"))
  }
}
