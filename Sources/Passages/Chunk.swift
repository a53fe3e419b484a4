/// A passage as the memory keeps it: long enough to mean something, short enough to be quoted.
package struct Chunk: Equatable {
  /// The headings above it, then its paragraphs.
  package var text: String
  /// "Reload › Draining, lines 10–24", "page 3"; empty if nothing is known.
  package var place: String

  /// Joins blocks under the same heading up to about `size` characters. A block longer than `limit` is divided, at the end of a
  /// sentence if possible.
  ///
  /// A heading counts with its first `longestHeading` characters; one that has more is text, too.
  package static func chunks(of blocks: [Block], size: Int = 1000, limit: Int = 2000) -> [Chunk] {
    precondition(0 < size && size <= limit, "a chunk has room, and its limit is not below its size")
    var chunks: [Chunk] = []
    var headings = HeadingPath()
    var open: [Block] = []
    var count = 0
    func close() {
      if !open.isEmpty { chunks.append(chunk(open, under: headings.use())) }
      open = []
      count = 0
    }
    /// Ends the headings of a level and below. A heading with nothing under it, such as a note of one line, becomes a chunk.
    func leave(_ level: Int) {
      close()
      let unused = headings.unused(from: level)
      if !unused.isEmpty { chunks.append(chunk(unused, under: headings.use())) }
      headings.leave(from: level)
    }
    for var block in blocks {
      if case .heading(let level) = block.kind {
        leave(level)
        let isLong = block.text.count > longestHeading || block.text.utf8.count > 8 * longestHeading
        var heading = block
        if isLong { heading.text = shortened(block.text) }
        headings.enter(heading, level: level)
        if !isLong { continue }
        block.kind = .text
      }
      for piece in pieces(of: block, limit: limit) {
        // A character may have any number of bytes.
        let length = max(piece.text.count, piece.text.utf8.count / 32)
        if !open.isEmpty, count + length > size { close() }
        open.append(piece)
        count += length
      }
    }
    leave(.min)
    return chunks
  }

  private static let longestHeading = 200
  /// In bytes, for text whose characters have many; far below what the memory takes.
  private static let longestBytes = 64 << 10

  private static func shortened(_ heading: String) -> String {
    var text = heading.prefix(longestHeading)
    // A character may have any number of accents.
    if text.utf8.count > 8 * longestHeading { text = cutAtScalar(text, bytes: 8 * longestHeading) }
    return text + "…"
  }

  /// As much of the beginning as has at most so many bytes.
  private static func cutAtScalar(_ text: Substring, bytes: Int) -> Substring {
    guard let end = text.utf8.index(text.startIndex, offsetBy: bytes, limitedBy: text.endIndex) else { return text }
    let whole = text.unicodeScalars.index(before: text.unicodeScalars.index(after: end))
    return text[..<(whole > text.startIndex ? whole : end)]
  }

  /// - Parameter headings: the headings above the blocks. Headings among the blocks count only for the place.
  private static func chunk(_ blocks: [Block], under headings: [String]) -> Chunk {
    let path = headings.joined(separator: " › ")
    var places = path.isEmpty ? [] : [path]
    let lines = blocks.compactMap(\.lines)
    let pages = blocks.compactMap(\.page)
    if let first = lines.first?.lowerBound, let last = lines.last?.upperBound {
      places.append(first == last ? "line \(first)" : "lines \(first)–\(last)")
    } else if let first = pages.first, let last = pages.last {
      places.append(first == last ? "page \(first)" : "pages \(first)–\(last)")
    }
    let body = blocks.filter { !$0.isHeading }.map(\.text)
    return Chunk(text: ((path.isEmpty ? [] : [path]) + body).joined(separator: "\n\n"), place: places.joined(separator: ", "))
  }

  /// The block, or the pieces that it must be divided into.
  private static func pieces(of block: Block, limit: Int) -> [Block] {
    if block.text.utf8.count <= limit || block.text.utf8.count <= longestBytes && block.text.count <= limit { return [block] }
    var pieces: [Block] = []
    var rest = block.text[...]
    var line = block.lines?.lowerBound
    while !rest.isEmpty {
      // A string of its own: to find the end of a character, Swift looks beyond the end of a substring, and one may be as long as all.
      let window = String(cutAtScalar(rest, bytes: longestBytes))
      let text = String(window[..<cut(window[...], limit: limit, code: block.kind == .code)])
      let behind = rest.utf8.index(rest.startIndex, offsetBy: text.utf8.count)
      let next = rest.unicodeScalars[behind...].firstIndex { !$0.properties.isWhitespace } ?? rest.endIndex
      var piece = block
      piece.text = text
      if let first = line {
        let breaks = text.count(where: \.isNewline)
        piece.lines = first...first + breaks
        line = first + breaks + String(rest[behind..<next]).count(where: \.isNewline)
      }
      rest = rest[next...]
      pieces.append(piece)
    }
    return pieces
  }

  /// Where to divide: code at the end of a line; text at the last end of a sentence, line or word, in this order; else anywhere.
  private static func cut(_ text: Substring, limit: Int, code: Bool) -> Substring.Index {
    guard let most = text.index(text.startIndex, offsetBy: limit, limitedBy: text.endIndex), most < text.endIndex else {
      return text.endIndex
    }
    let least = text.index(text.startIndex, offsetBy: limit / 3)
    let room = text[least..<most]
    var word: Substring.Index?
    var line: Substring.Index?
    var index = room.endIndex
    while index > room.startIndex {
      let before = text.index(before: index)
      let character = text[before]
      if !code, ".!?。！？".contains(character), text[index].isWhitespace || "。！？".contains(character) { return index }
      if line == nil, character.isNewline { line = before }
      if code, let line { return line }
      if word == nil, character.isWhitespace { word = before }
      index = before
    }
    return line ?? word ?? most
  }
}

/// The headings above the next block, the highest first.
private struct HeadingPath {
  private var open: [(level: Int, block: Block, isUsed: Bool)] = []

  /// Returns their texts for a chunk under them, and notes that they have one.
  mutating func use() -> [String] {
    for index in open.indices { open[index].isUsed = true }
    return open.map(\.block.text).filter { !$0.isEmpty }
  }

  mutating func enter(_ block: Block, level: Int) { open.append((level, block, false)) }

  /// Headings of a level and below that have text, but no chunk under them.
  func unused(from level: Int) -> [Block] { open.filter { $0.level >= level && !$0.isUsed && !$0.block.text.isEmpty }.map(\.block) }

  mutating func leave(from level: Int) { open.removeAll { $0.level >= level } }
}
