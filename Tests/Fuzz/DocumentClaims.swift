import Glibc
import Passages

/// What must be true of any bytes that are read as a document.
enum DocumentClaims {
  /// What documents are damaged with.
  static let pieces: [[UInt8]] =
    [
      "# ", "\n## ", "---\n", "+++\n", "```\n", "~~~", "> ", "- ", "1. ", "    ", "\t", "\n\n", "\r\n", "\r", "|---|", "***", "![](",
      "&amp;", "&#0;",
      "&#x110000;", "&nbsp", "<!--", "-->", "<!-->", "<![CDATA[", "<?xml encoding=\"latin1\"?>", "<meta charset=", "<meta charset=koi8-r>",
      "utf-16", "coding: big5", "<script>", "</script>", "<style", "<title>", "</title>", "<h1>", "</h6>", "<pre>", "<p", "<a href='",
      "<svg>", "<textarea>", "<td>", "</body>", "<x a a a a a a a a a", " a=\"", ">", "<", "&", "\u{C}", "\u{2028}", "\u{FEFF}", "漢字かな",
      "e\u{301}\u{302}\u{303}", "👩‍👩‍👧",
    ].map { Array($0.utf8) } + [
      [0], [0xFF, 0xFE], [0xFE, 0xFF], [0xFF, 0xFE, 0, 0], [0xEF, 0xBB, 0xBF], [0xE9], [0x81], [0xC3], [0x1B, 0x24, 0x42],
    ]

  /// True if one of the readers takes it.
  static func check(_ input: [UInt8], _ memory: GuardedMemory) throws(BrokenClaim) -> Bool {
    // For the handler that prints an input that traps.
    let input = memory.withBytes(input, atEnd: true) { Array($0) }
    guard FilePath(text: FilePath(input).text) == FilePath(input) else { throw BrokenClaim(claim: "a path has the text of another") }
    var isTaken = false
    for kind in [SourceFile.Kind.text, .markdown, .html, .code] {
      let began = seconds()
      guard let passages = read(input, kind) else { continue }
      isTaken = true
      try check(passages)
      guard seconds() - began < 20 else { throw BrokenClaim(claim: "\(input.count) bytes of \(kind) take \(seconds() - began) seconds") }
      guard read(input, kind) == passages else { throw BrokenClaim(claim: "\(kind) read twice has other passages") }
    }
    if let text = String(validating: input, as: UTF8.self) { try checkLines(of: text) }
    return isTaken
  }

  private static func read(_ input: [UInt8], _ kind: SourceFile.Kind) -> [Chunk]? { try? SourceFile(kind).content(of: input).passages }

  private static func check(_ passages: [Chunk]) throws(BrokenClaim) {
    for passage in passages {
      if passage.text.allSatisfy(\.isWhitespace) { throw BrokenClaim(claim: "a passage is empty") }
      // Far below what the memory takes.
      if passage.text.utf8.count > 256 << 10 || passage.place.utf8.count > 16 << 10 { throw BrokenClaim(claim: "a passage has no bound") }
    }
  }

  /// Each line of Markdown that is not blank is in exactly one block, in order.
  private static func checkLines(of text: String) throws(BrokenClaim) {
    guard let blocks = try? MarkdownBlocks.blocks(of: text) else { return }
    var last = 0
    var covered = 0
    for block in blocks {
      guard let lines = block.lines, lines.lowerBound > last else { throw BrokenClaim(claim: "a line of Markdown is in two blocks") }
      last = lines.upperBound
      covered += lines.count
    }
    let lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" || $0 == "\r" }
    let written = lines.count { !$0.allSatisfy(\.isWhitespace) }
    if last > lines.count || covered < written { throw BrokenClaim(claim: "of \(written) lines of Markdown \(covered) are in a block") }
  }

  private static func seconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec
  }
}
