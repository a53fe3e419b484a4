import Testing

@testable import parlor

@Suite("What is taken into the memory") struct IngestTests {
  private func heading(_ level: Int, _ text: String, _ lines: ClosedRange<Int>? = nil) -> Block {
    Block(kind: .heading(level: level), text: text, lines: lines)
  }

  @Test("Markdown: headings of both kinds, paragraphs, and code that keeps its lines")
  func markdown() {
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
      Block.markdown(text) == [
        heading(1, "One", 1...1), Block(kind: .text, text: "A paragraph\nof two lines.", lines: 2...3), heading(2, "Two", 5...6),
        Block(kind: .code, text: "```swift\n# no heading\n\nlet a = 1\n```", lines: 7...11),
        Block(kind: .text, text: "- a list\n#hashtag", lines: 12...13),
      ])
    #expect(Block.markdown("~~~\nnever closed") == [Block(kind: .code, text: "~~~\nnever closed", lines: 1...2)])
    #expect(
      Block.markdown("").isEmpty
        && Block.markdown("\r\n\r\n# A\r\nb") == [heading(1, "A", 3...3), Block(kind: .text, text: "b", lines: 4...4)])
  }

  @Test("code is divided where an unindented line follows a blank one")
  func code() {
    let text = "import A\n\nfunc a() {\n  one()\n\n  two()\n}\n\n\nfunc b() {}\n"
    #expect(Block.code(text).map(\.text) == ["import A", "func a() {\n  one()\n\n  two()\n}", "func b() {}"])
    #expect(Block.code(text).map(\.lines) == [1...1, 3...7, 10...10])
  }

  @Test("HTML: what a browser shows, in blocks; what it does not show is left out")
  func html() {
    let page = """
      <!DOCTYPE html><html><head><title>The &quot;house&quot;</title><style>p { color: red }</style></head>
      <body class=x><nav><a href="/">Home</a></nav><!-- <p>hidden</p> -->
      <h1 id="a>b">Garden <em>beds</em></h1><p>Sun&nbsp;&amp;
        rain&#8230; 3 < 4 &unknown;<p>Next<script>if (a < b) { document.write("<p>no</p>") }</script>
      <ul><li>one</li><li>two<br>lines</ul><pre>  keep
        this</pre></body></html>
      """
    #expect(
      Block.html(page) == [
        heading(1, "Garden beds"), Block(kind: .text, text: "Sun & rain… 3 < 4 &unknown;"), Block(kind: .text, text: "Next"),
        Block(kind: .text, text: "one"), Block(kind: .text, text: "two lines"), Block(kind: .code, text: "  keep\n  this"),
      ])
    #expect(Block.htmlTitle(page) == "The \"house\"")
    for broken in ["<", "<p", "</", "<!--", "<a b='", "<script>", "&#x", "<h1>x", "<head>"] { _ = Block.html(broken) }
    #expect(Block.html("<h1>x").map(\.text) == ["x"])
  }

  @Test("a chunk stays under one heading, says where it stands, and begins with the headings above it")
  func chunks() {
    let chunks = Chunk.chunks(of: Block.markdown("intro\n\n# A\none\n\ntwo\n\n## B\nthree\n\n# C\nfour"))
    #expect(chunks.map(\.text) == ["intro", "A\n\none\n\ntwo", "A › B\n\nthree", "C\n\nfour"])
    #expect(chunks.map(\.place) == ["line 1", "A, lines 4–6", "A › B, line 9", "C, line 12"])
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
  func kinds() {
    #expect(SourceFile.kind(of: "/a/B.MD") == .markdown && SourceFile.kind(of: "/a/Makefile") == .code)
    #expect(SourceFile.kind(of: "/a/.gitignore") == nil && SourceFile.kind(of: "/a.b/README") == nil)
    #expect(SourceFile.isText(Array("grüß".utf8)) && !SourceFile.isText([0x66, 0, 0x67]) && !SourceFile.isText([0xFF, 0xFE]))
    #expect(SourceFile(path: "/x.html", kind: .html).chunks(of: Array("<title>T</title><p>a".utf8)) == [Chunk(text: "T\n\na", place: "T")])
  }
}
