import Glibc
import System
import TestSupport
import Testing

@testable import parlor

@Suite("What is taken into the memory") struct IngestTests {
  private func heading(_ level: Int, _ text: String, _ lines: ClosedRange<Int>? = nil) -> Block {
    Block(kind: .heading(level: level), text: text, lines: lines)
  }

  @Test("Markdown: headings of both kinds, paragraphs, and code that keeps its lines")
  func markdown() throws {
    let text = """
      # One #
      A paragraph
      of two lines.

      Two
      ---
      ```swift
      # no heading

      let a = 1
      ```
      - a list
      #hashtag
      """
    #expect(
      try MarkdownBlocks.blocks(of: text) == [
        heading(1, "One", 1...1), Block(kind: .text, text: "A paragraph\nof two lines.", lines: 2...3), heading(2, "Two", 5...6),
        Block(kind: .code, text: "```swift\n# no heading\n\nlet a = 1\n```", lines: 7...11),
        Block(kind: .text, text: "- a list\n#hashtag", lines: 12...13),
      ])
    #expect(try MarkdownBlocks.blocks(of: "~~~\nnever closed") == [Block(kind: .code, text: "~~~\nnever closed", lines: 1...2)])
    #expect(try MarkdownBlocks.blocks(of: "").isEmpty)
    #expect(
      try MarkdownBlocks.blocks(of: "\r\n\r\n# A\r\nb") == [heading(1, "A", 3...3), Block(kind: .text, text: "b", lines: 4...4)])
  }

  @Test("Markdown is read as CommonMark has it: a code span is no fence, a rule under a list no heading, code in a list is code")
  func commonMark() throws {
    func blocks(_ text: String) throws -> [String] {
      try MarkdownBlocks.blocks(of: text).map { block in
        let kind =
          switch block.kind {
          case .heading(let level): "h\(level)"
          case .text: "text"
          case .code: "code"
          }
        return "\(kind) \(block.lines!.lowerBound)-\(block.lines!.upperBound) \(block.text)"
      }
    }
    #expect(try blocks("```a```\n\n# B\nc") == ["text 1-1 ```a```", "h1 3-3 B", "text 4-4 c"])
    #expect(try blocks("- item\n---\n> # q\n\nx") == ["text 1-3 - item\n---\n> # q", "text 5-5 x"])
    #expect(
      try blocks("1. a\n\n   ```\n\n   b\n   ```\n\n2. c") == ["text 1-1 1. a", "code 3-6    ```\n\n   b\n   ```", "text 8-8 2. c"])
    #expect(try blocks("```\n```\n~~~ x\n\n\n~~~\ny") == ["code 1-2 ```\n```", "code 3-6 ~~~ x\n\n\n~~~", "text 7-7 y"])
    #expect(try blocks("a\n\n    b\n\n    c\n\nd") == ["text 1-1 a", "code 3-5     b\n\n    c", "text 7-7 d"])
    #expect(try blocks("# A *b* `c` &amp; &#8230; [d](e)\n##\ntwo\nlines\n===") == ["h1 1-1 A b c & … d", "h2 2-2 ", "h1 3-5 two lines"])
    #expect(try blocks("a\n# ![](x)\nb\n\n- ```\n> ```") == ["text 1-1 a", "h1 2-2 ", "text 3-3 b", "code 5-5 - ```", "code 6-6 > ```"])
    #expect(try blocks("<div>\n\n# A\n\n</div>") == ["text 1-1 <div>", "h1 3-3 A", "text 5-5 </div>"])
  }

  @Test("front matter is one block, whatever is in it; a rule at the head of a document is none")
  func frontMatter() throws {
    let blocks = try MarkdownBlocks.blocks(of: "---\ntitle: x\n# a comment\n\ntags: [a]\n---\n# A\nb")
    #expect(
      blocks == [
        Block(kind: .code, text: "---\ntitle: x\n# a comment\n\ntags: [a]\n---", lines: 1...6), heading(1, "A", 7...7),
        Block(kind: .text, text: "b", lines: 8...8),
      ])
    #expect(try MarkdownBlocks.blocks(of: "+++\na = 1\n+++\nb").map(\.lines) == [1...3, 4...4])
    #expect(try MarkdownBlocks.blocks(of: "---\n\n# A\n\n---\nb").map(\.kind) == [.text, .heading(level: 1), .text])
    #expect(try MarkdownBlocks.blocks(of: "---\nnever closed").map(\.lines) == [1...2])
  }

  @Test("whatever the Markdown, each line that is not blank is in exactly one block, and no heading and no code is lost")
  func lines() throws {
    let pieces = [
      "# A", "## B ##", "#", "#no", "text", "two *words* `c`", "===", "---", "***", "```", "````x", "~~~", "    code", "\tcode", "", "",
      " ", "> # q",
      "> ```", "> x", "- a", "  - ```", "  b", "1. c", "    d", "| a | b |", "|---|---|", "[l]: http://x", "[l]", "<div>", "</div>",
      "<!-- c", "-->",
      "&amp; \\# é漢", "![](x) z", "\u{0}y", "* * *", "+ # h", "   # i", "\\",
    ]
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix(state: seed)
    for _ in 0..<3000 {
      let end = ["\n", "\r\n", "\r"].randomElement(using: &random)!
      let lines = (0..<Int.random(in: 1...12, using: &random)).map { _ in pieces.randomElement(using: &random)! }
      let text = lines.joined(separator: end)
      let blocks = try MarkdownBlocks.blocks(of: text)
      var covered: [Int] = []
      for block in blocks {
        let range = try #require(block.lines)
        covered += range
        if !block.isHeading { #expect(block.text == lines[(range.lowerBound - 1)...(range.upperBound - 1)].joined(separator: "\n")) }
      }
      let blank = Set(lines.indices.filter { lines[$0].allSatisfy(\.isWhitespace) }.map { $0 + 1 })
      #expect(covered == covered.sorted() && Set(covered).count == covered.count, "seed \(seed): \(text.debugDescription) \(blocks)")
      #expect(Set(covered).union(blank) == Set(1...lines.count), "seed \(seed): \(text.debugDescription) \(blocks)")
      guard !blocks.contains(where: { $0.text.hasPrefix("---") }) else { continue }
      var (depth, headings, code) = (0, 0, 0)
      try Markdown.read(Array(text.utf8)) { event in
        switch event {
        case .begin(let block):
          depth += 1
          if case .heading = block, depth == 2 { headings += 1 }
          if case .code = block { code += 1 }
        case .end: depth -= 1
        case .text: break
        }
      }
      #expect(blocks.count(where: \.isHeading) == headings, "seed \(seed): \(text.debugDescription) \(blocks)")
      #expect(blocks.count { $0.kind == .code } == code, "seed \(seed): \(text.debugDescription) \(blocks)")
    }
  }

  @Test("code is divided where an unindented line follows a blank one")
  func code() {
    let text = "import A\n\nfunc a() {\n  one()\n\n  two()\n}\n\n\nfunc b() {}\n"
    #expect(Block.code(text).map(\.text) == ["import A", "func a() {\n  one()\n\n  two()\n}", "func b() {}"])
    #expect(Block.code(text).map(\.lines) == [1...1, 3...7, 10...10])
  }

  @Test("HTML: what a browser shows, in blocks; what it does not show is left out")
  func html() throws {
    let page = """
      <!DOCTYPE html><html><head><title>The &quot;house&quot;</title><style>p { color: red }</style></head>
      <body class=x><nav><a href="/">Home</a></nav><!-- <p>hidden</p> -->
      <h1 id="a>b">Garden <em>beds</em></h1><p>Sun&nbsp;&amp;
        rain&#8230; 3 < 4 &unknown;<p>Next<script>if (a < b) { document.write("<p>no</p>") }</script>
      <ul><li>one</li><li>two<br>lines</ul><pre>  keep
        this</pre></body></html>
      """
    let read = try HTMLBlocks(page)
    #expect(
      read.blocks == [
        heading(1, "Garden beds"), Block(kind: .text, text: "Sun & rain… 3 < 4 &unknown;"), Block(kind: .text, text: "Next"),
        Block(kind: .text, text: "one"), Block(kind: .text, text: "two lines"), Block(kind: .code, text: "  keep\n  this"),
      ])
    #expect(read.title == "The \"house\"")
    for broken in ["", "<", "<p", "</", "<!--", "<a b='", "<script>", "&#x", "<h1>x", "<head>"] { _ = try HTMLBlocks(broken) }
    #expect(try HTMLBlocks("<h1>x").blocks.map(\.text) == ["x"])
  }

  @Test("HTML that is broken is read as browsers read it: a head that is not closed, odd comments and references, a zero, any encoding")
  func brokenHTML() throws {
    func texts(_ page: String) throws -> [String] { try HTMLBlocks(page).blocks.map(\.text) }
    let page = try HTMLBlocks("<!doctype html><html><head><title>T</title><h1>One<p>two")
    #expect(page.title == "T" && page.blocks == [heading(1, "One"), Block(kind: .text, text: "two")])
    #expect(try texts("a<!-->b<!--->c<!-- d --!>e<!-- f -- > g -->h<! i>j<?php k ?>l<!-- never closed <p>m") == ["abceh<! i>jl"])
    #expect(try texts("a<!-- x <!--> b &lt;!--&gt;") == ["a b <!-->"])
    #expect(try texts("a &amp b &nbsp c &#8230 d &copy; &unknown; &#x; &#99999999; &copy=1 &") == ["a & b c … d © &unknown; &copy=1 &"])
    #expect(try texts("<p>a\u{0}b</p><meta charset=latin1><p>é漢") == ["ab", "é漢"])
    #expect(try texts("<main><article>z</article></main></body>y<textarea>n</textarea><svg><title>n</title></svg>") == ["z", "y"])
    #expect(throws: HTML.Failed.tooDeep) { try HTMLBlocks(String(repeating: "<b>", count: HTML.deepest + 10)) }
    #expect(try texts(String(repeating: "<div>", count: 3000) + "deep") == ["deep"])
  }

  @Test("a chunk stays under one heading, says where it stands, and begins with the headings above it")
  func chunks() throws {
    let chunks = Chunk.chunks(of: try MarkdownBlocks.blocks(of: "intro\n\n# A\none\n\ntwo\n\n## B\nthree\n\n# C\nfour"))
    #expect(chunks.map(\.text) == ["intro", "A\n\none\n\ntwo", "A › B\n\nthree", "C\n\nfour"])
    #expect(chunks.map(\.place) == ["line 1", "A, lines 4–6", "A › B, line 9", "C, line 12"])
  }

  @Test("a heading that stands above nothing is a passage by itself")
  func headingsAlone() throws {
    func chunks(_ text: String) throws -> [String] {
      Chunk.chunks(of: try MarkdownBlocks.blocks(of: text)).map { "\($0.text) @ \($0.place)" }
    }
    #expect(try chunks("# Buy milk") == ["Buy milk @ Buy milk, line 1"])
    #expect(
      try chunks("# A\n## We chose X\n## Other\ntext\n# B\n## C") == [
        "A › We chose X @ A › We chose X, line 2", "A › Other\n\ntext @ A › Other, line 4", "B › C @ B › C, lines 5–6",
      ])
    #expect(try chunks("# A\n#\n\n## B\nc") == ["A @ A, line 1", "B\n\nc @ B, line 5"])
    func page(_ text: String) throws -> [Chunk] { try SourceFile(path: "/x.html", kind: .html).chunks(of: Array(text.utf8)) }
    #expect(try page("<title>T</title>") == [Chunk(text: "T", place: "T")])
    #expect(try page("<h1>One</h1>") == [Chunk(text: "One", place: "One")])
    #expect(try page("<title>T</title><h1>T</h1>") == [Chunk(text: "T", place: "T")])
  }

  @Test("what is too long is divided at a sentence's end, a line's, a word's; nothing is lost, whatever the text")
  func divided() {
    let sentences = (1...200).map { "This is sentence number \($0)." }.joined(separator: " ")
    let chunks = Chunk.chunks(of: Block.plain(sentences))
    #expect(chunks.count > 2 && chunks.allSatisfy { $0.text.count <= 2000 && $0.text.hasSuffix(".") })
    #expect(chunks.map(\.text).joined(separator: " ") == sentences)
    let word = String(repeating: "é", count: 5000)
    #expect(Chunk.chunks(of: Block.plain(word)).map(\.text).joined() == word)
    let lines = (1...400).map { "  line \($0)" }.joined(separator: "\n")
    let code = Chunk.chunks(of: Block.code("{\n" + lines))
    #expect(code.allSatisfy { $0.text.hasPrefix("{") || $0.text.hasPrefix("line") || $0.text.hasPrefix("  line") })
    #expect(code.first?.place.hasPrefix("lines 1–") == true && code.last?.place.hasSuffix("–401") == true)
  }

  @Test("many short paragraphs fill a chunk up to its size, and pages are named")
  func filled() {
    let page = (1...60).map { "Paragraph \($0), of about forty characters." }.joined(separator: "\n\n")
    let chunks = Chunk.chunks(of: Block.pages(page + "\u{C}" + page))
    #expect(chunks.count == 5 && chunks.allSatisfy { $0.text.count <= 1100 })
    #expect(chunks.map(\.place) == ["page 1", "page 1", "pages 1–2", "page 2", "page 2"])
  }

  @Test("a file's kind is told by its name, and text from data by its bytes")
  func kinds() throws {
    #expect(SourceFile.kind(of: "/a/B.MD") == .markdown && SourceFile.kind(of: "/a/Makefile") == .code)
    #expect(SourceFile.kind(of: "/a/.gitignore") == nil && SourceFile.kind(of: "/a.b/README") == nil)
    #expect(SourceFile.isText(Array("grüß".utf8)) && !SourceFile.isText([0x66, 0, 0x67]) && !SourceFile.isText([0xFF, 0xFE]))
    #expect(
      try SourceFile(path: "/x.html", kind: .html).chunks(of: Array("<title>T</title><p>a".utf8)) == [Chunk(text: "T\n\na", place: "T")])
  }

  @Test("only a file that is not there is gone; what cannot be looked at stays, and is told")
  func gone() throws {
    let folder = TemporaryFolder()
    let path = try folder.write("shut/a.md", "a")
    try folder.write("b.md", "b")
    try folder.write("c.odd", "c")
    func name(_ path: String) -> String { String(path.dropFirst(folder.path.count + 1)) }
    // A folder that may be listed and not entered, as its mode 444 has it for all but root; a disk that fails.
    func tree(_ number: Int32) -> SourceTree {
      SourceTree([folder.path]) { looked throws(Errno) in
        if looked.contains("/shut/") { throw Errno(number: number) }
        return try SourceTree.Entry.at(looked)
      }
    }
    let stored = [path, "\(folder.path)/c.odd", "\(folder.path)/d.md", "\(folder.path)/b.md/e.md"]
    for number in [EACCES, EIO, ESTALE] {
      var tree = tree(number)
      #expect(tree.files.map(name) == ["b.md"] && tree.troubles.map { name($0.path) } == ["shut"])
      #expect(tree.settle(stored).map(name) == ["b.md/e.md", "d.md"])
      #expect(tree.files.map(name) == ["b.md", "c.odd"] && tree.troubles.count == 1)
    }
    var gone = tree(ENOENT)
    #expect(gone.settle(stored).contains(path) && gone.troubles.isEmpty)
    var alone = SourceTree([path]) { _ throws(Errno) in throw Errno(number: EIO) }
    #expect(alone.settle([path]).isEmpty && alone.troubles.map(\.path) == [path])
  }

  @Test("only regular files are read, to a limit")
  func regular() throws {
    let folder = TemporaryFolder()
    let pipe = folder.path + "/pipe.md"
    #expect(mkfifo(pipe, 0o600) == 0)
    for path in [pipe, "/dev/zero"] {
      let tree = SourceTree([path])
      #expect(tree.files.isEmpty && tree.troubles.map(\.why) == [SourceTree.irregular])
      #expect(throws: SourceFile.Refused(why: SourceTree.irregular)) { try SourceFile.read(path) }
    }
    #expect(SourceTree([folder.path]).files.isEmpty)
    let large = try folder.write("large.txt", "x")
    #expect(try SourceFile.read(large) == [0x78])
    #expect(truncate(large, SourceFile.longest + 1) == 0)
    #expect(throws: SourceFile.Refused(why: "it has 32 MiB, and 32 are the limit")) { try SourceFile.read(large) }
  }
}
