import Glibc
import System
import TestSupport
import Testing

@testable import Passages

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
    func page(_ text: String) throws -> [Chunk] { try SourceFile(.html).content(of: Array(text.utf8)).passages }
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

  @Test("a heading has a length, and so has a passage, whatever its characters are made of; nothing of either is lost")
  func lengths() throws {
    let long = String(repeating: "word ", count: 100_000)
    let page = try SourceFile(.html).content(of: Array("<h1>\(long)<p>body".utf8)).passages
    #expect(page.allSatisfy { $0.text.count < 2300 && $0.place.count < 220 } && page.last?.text.hasSuffix("body") == true)
    #expect(page.reduce(0) { $0 + $1.text.count } > long.count - page.count)
    let accents = "e" + String(repeating: "\u{301}", count: 300_000)
    let pieces = Chunk.chunks(of: [Block(kind: .text, text: accents), Block(kind: .heading(level: 1), text: accents)])
    #expect(pieces.allSatisfy { $0.text.utf8.count < 70_000 } && pieces.count > 10)
    #expect(pieces.prefix(while: { $0.place.isEmpty }).map(\.text).joined().utf8.elementsEqual(accents.utf8))
  }

  @Test(
    "a file of nothing but headings is left out if they are too many; one character of a megabyte is divided at once",
    .timeLimit(.minutes(1)))
  func many() throws {
    let headings = String(repeating: "# a\n", count: SourceFile.mostPassages + 1)
    #expect(throws: SourceFile.Refused(why: "it would be 100001 passages, and 100000 are the limit: divide it")) {
      try SourceFile(.markdown).content(of: Array(headings.utf8))
    }
    let accents = "e" + String(repeating: "\u{301}", count: 2_000_000)
    let passages = try SourceFile(.text).content(of: Array(accents.utf8)).passages
    #expect(passages.count == 62 && passages.reduce(0) { $0 + $1.text.utf8.count } == accents.utf8.count)
  }

  @Test("a page whose tag has 200,000 attributes is read in a moment, and so is one of unclosed tags", .timeLimit(.minutes(1)))
  func hostile() throws {
    func attributes(_ count: Int) -> String { (0..<count).map { " a\($0)=1" }.joined() }
    let few = attributes(20_000)
    let page = "<p>one<p\(attributes(200_000))>two<!-- \(few) --><script>\(few)</script><p>three"
    #expect(try HTMLBlocks(page).blocks.map(\.text) == ["one", "two", "three"])
    #expect(try HTMLBlocks("<p" + String(repeating: " <p", count: 100_000)).blocks.isEmpty)
    #expect(try HTMLBlocks(String(repeating: "<p>a", count: 50_000)).blocks.count == 50_000)
    #expect(try HTMLBlocks(String(repeating: "<a href=x>b", count: 9_000)).blocks.count == 1)
    // Each of the tags that end nothing would be compared with all that are open.
    let ends =
      String(repeating: "<b>", count: 9_000) + String(repeating: "<li>", count: 300_000) + String(repeating: "</li></i>", count: 300_000)
    #expect(throws: HTML.Failed.tooDeep) { try HTMLBlocks(ends) }
  }

  @Test("a file's kind is told by its name, and text from data by its bytes")
  func kinds() throws {
    func kind(_ path: String) -> SourceFile.Kind? { SourceFile.kind(of: FilePath(path)) }
    #expect(kind("/a/B.MD") == .markdown && kind("/a/Makefile") == .code && kind("/a/.gitignore") == nil && kind("/a.b/README") == nil)
    for bytes in [[0x66, 0, 0x67], [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0, 0xFF], [0xFF, 0xFE]] as [[UInt8]] where bytes.count != 2 {
      #expect(throws: SourceFile.Refused.self, "\(bytes)") { try TextEncoding(bytes, .text) }
    }
    #expect(try SourceFile(.html).content(of: Array("<title>T</title><p>a".utf8)).passages == [Chunk(text: "T\n\na", place: "T")])
  }

  @Test(
    "a file is read in the encoding that it declares",
    arguments: [
      (.html, "<meta charset=\"windows-1252\"><p>caf\\E9 \\93x\\94 \\80", "café “x” €"),
      (.html, "<meta http-equiv=Content-Type content='text/html; charset=iso-8859-1'><p>na\\EFf \\92", "naïf ’"),
      (.html, "<!-- <meta charset=koi8-r> --><meta charset=shift_jis><p>\\93\\FA\\96\\7B", "日本"),
      (.html, "<?xml version='1.0' encoding='koi8-r'?><p>\\C4\\C1", "да"),
      (.html, "<meta charset=gb2312><p>\\D6\\D0\\CE\\C4 \\A2\\E3", "中文 €"), (.html, "<meta charset=utf-16><p>\\C3\\A9", "é"),
      (.html, "<meta charset=nonsense><p>\\C3\\A9", "é"),
      (.html, "<meta charset=iso-2022-jp><p>\\1B$BF|\\1B(B", "日"),
      (.text, "\\FF\\FEH\\00i\\00", "Hi"), (.markdown, "\\FE\\FF\\00#\\00 \\00\\E9", "é"), (.text, "\\EF\\BB\\BFé", "é"),
      (.text, "\\FF\\FE\\00\\00H\\00\\00\\00", "H"), (.code, "# -*- coding: latin-1 -*-\nx = '\\E9'", "# -*- coding: latin-1 -*-\nx = 'é'"),
      (.code, "# vim: set fileencoding=koi8-r :\n\\C4\\C1", "# vim: set fileencoding=koi8-r :\nда"),
      (.code, "@charset \"big5\";\n\\A4\\A4", "@charset \"big5\";\n中"),
      (.text, "The encoding: latin-1 of é", "The encoding: latin-1 of é"), (.text, "\\FF\\FEH\\00\\00\\D8i\\00", "H\u{FFFD}i"),
    ] as [(SourceFile.Kind, String, String)])
  func encodings(_ kind: SourceFile.Kind, _ written: String, _ text: String) throws {
    let content = try SourceFile(kind).content(of: Self.bytes(written))
    #expect(content.passages.map(\.text) == [text] && content.guessed == nil, "\(content)")
  }

  @Test(
    "what does not declare itself and is not UTF-8 is guessed where that is safe, and told; else it is left out, unless the user says it")
  func guesses() throws {
    func read(_ written: String, _ encoding: String? = nil) throws -> SourceFile.Content {
      try SourceFile(.text).content(of: Self.bytes(written), encoding: encoding)
    }
    let french = try read("Le caf\\E9 est ferm\\E9 \\96 d\\E9sol\\E9")
    #expect(french.passages.map(\.text) == ["Le café est fermé – désolé"] && french.guessed == "windows-1252")
    // What says that it is UTF-8 and is not is guessed, too.
    let page = try SourceFile(.html).content(of: Self.bytes("<meta charset=utf-8><p>d\\E9j\\E0 vu, sans le dire"))
    #expect(page.passages.map(\.text) == ["déjà vu, sans le dire"] && page.guessed == "windows-1252")
    let russian = "\\F0\\D2\\C9\\D7\\C5\\D4 \\CD\\C9\\D2"
    #expect(throws: SourceFile.Refused.self) { try read(russian) }
    #expect(try read(russian, "koi8-r").passages.map(\.text) == ["Привет мир"])
    #expect(throws: SourceFile.Refused.self) { try read(russian, "no-such//TRANSLIT") }
    let log = String(repeating: "größer ", count: 30) + "\\C3 end"
    #expect(try read(log).passages[0].text.hasSuffix("größer \u{FFFD} end") && read(log).guessed != nil)
    #expect(throws: SourceFile.Refused.self) { try SourceFile(.html).content(of: Self.bytes("<meta charset=utf-16le>" + russian)) }
    // More than one buffer of the converter; the last character is not whole.
    let kana = try SourceFile(.html).content(
      of: Self.bytes("<meta charset=shift_jis><p>") + (0..<50_000).flatMap { _ in [0x82, 0xA0] } + [0x82])
    #expect(kana.passages.map(\.text).joined() == String(repeating: "あ", count: 50_000) + "\u{FFFD}")
    let damaged = "<meta charset=euc-jp><p>" + String(repeating: "\\A4\\A2", count: 100)
    #expect(try SourceFile(.html).content(of: Self.bytes(damaged + "\\FF\\A4\\A2")).passages[0].text.hasSuffix("あ\u{FFFD}あ"))
    #expect(throws: SourceFile.Refused.self) {
      try SourceFile(.html).content(of: Self.bytes(damaged + String(repeating: "\\FFx", count: 20)))
    }
  }

  /// "\\E9" is the byte E9.
  private static func bytes(_ written: String) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = Array(written.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "\\") else {
        bytes.append(byte)
        continue
      }
      bytes.append(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)!)
      rest = rest.dropFirst(2)
    }
    return bytes
  }

  @Test("a page or a PDF without text is told, not taken for read")
  func withoutText() throws {
    for page in ["<body></body>", "<script>x()</script>", "<img src=x>"] {
      let error = #expect(throws: SourceFile.Refused.self) { try SourceFile(.html).content(of: Array(page.utf8)) }
      #expect(error?.isWithoutText == true && error?.why == "there is no text in it that a reader would see")
    }
    #expect(try SourceFile(.html).content(of: []).passages.isEmpty)
  }

  @Test(
    "a path keeps its bytes: names that are no UTF-8, and twins that only look the same; each has a text of its own, and its text means it")
  func paths() throws {
    let names: [[UInt8]] = [
      Array("é.md".utf8), Array("e\u{301}.md".utf8), [0x66, 0xFF, 0xC3], Array("\\xFF".utf8), [0xFF], Array("a\\b.md".utf8),
      Array("\\x5C".utf8),
      [0x5C, 0xFF], [0xED, 0xA0, 0x80],
    ]
    var texts: Set<[UInt8]> = []
    for name in names {
      let path = FilePath([0x2F] + name)
      #expect(FilePath(text: path.text) == path && path.name == name && path.parent == FilePath("/"))
      #expect(texts.insert(Array(path.text.utf8)).inserted)
    }
    #expect(FilePath([0x2F, 0x66, 0xFF]).text == "/f\\xFF" && FilePath("/a\\b").text == "/a\\b")
    #expect(FilePath("/a/b").isBelow(FilePath("/a")) && !FilePath("/ab").isBelow(FilePath("/a")) && FilePath("/a").isBelow(FilePath("/")))

    let folder = TemporaryFolder()
    for name in names.prefix(3) { try write(FilePath(folder.path).appending(name + Array(".md".utf8)), "x") }
    try write(FilePath(folder.path).appending(Array("data.bin".utf8)), "x")
    #expect(symlink(folder.path, folder.path + "/loop") == 0 && mkfifo(folder.path + "/pipe", 0o600) == 0)
    let tree = SourceTree([FilePath(folder.path)])
    #expect(Set(tree.files.map(\.name)) == Set(names.prefix(3).map { $0 + Array(".md".utf8) }))
    #expect(
      tree.passedOver.sentence == "3 files are passed over: 1 of unknown kinds (.bin), 1 symbolic link, 1 that are no regular files")
    #expect(try tree.files.allSatisfy { try SourceFile.read($0) == [0x78] })
  }

  private func write(_ path: FilePath, _ text: String) throws {
    let file = path.withCString { open($0, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600) }
    try #require(file >= 0)
    #expect(writeAll(Array(text.utf8), to: file))
    close(file)
  }

  @Test("only a file that is not there is gone; what cannot be looked at stays, and is told")
  func gone() throws {
    let folder = TemporaryFolder()
    let root = FilePath(folder.path)
    let path = FilePath(try folder.write("shut/a.md", "a"))
    try folder.write("b.md", "b")
    try folder.write("c.odd", "c")
    func name(_ path: FilePath) -> String { String(path.text.dropFirst(folder.path.count + 1)) }
    // A folder that may be listed and not entered, as its mode 444 has it for all but root; a disk that fails.
    func tree(_ number: Int32) -> SourceTree {
      SourceTree([root]) { looked throws(Errno) in
        if looked.text.contains("/shut/") { throw Errno(number: number) }
        return try SourceTree.Entry.at(looked)
      }
    }
    let stored = [path] + ["c.odd", "d.md", "b.md/e.md"].map { root.appending(Array($0.utf8)) }
    for number in [EACCES, EIO, ESTALE, ELOOP] {
      var tree = tree(number)
      #expect(tree.files.map(name) == ["b.md"] && tree.troubles.map { name($0.path) } == ["shut"])
      #expect(tree.settle(stored).gone.map(name) == ["b.md/e.md", "d.md"])
      #expect(tree.files.map(name) == ["b.md", "c.odd"] && tree.troubles.count == 1)
    }
    var gone = tree(ENOENT)
    #expect(gone.settle(stored).gone.contains(path) && gone.troubles.isEmpty)
    var alone = SourceTree([path]) { _ throws(Errno) in throw Errno(number: EIO) }
    #expect(alone.settle([path]).gone.isEmpty && alone.troubles.map(\.path) == [path])
  }

  @Test("a folder that is gone with all its files, or with most of many, is kept unless the user says otherwise: it may only be away")
  func away() throws {
    let folder = TemporaryFolder()
    func path(_ name: String) -> FilePath { FilePath("\(folder.path)/\(name)") }
    func settled(_ root: FilePath, _ stored: [FilePath], trusting: Bool = false) -> SourceTree.Settlement {
      var tree = SourceTree([root])
      return tree.settle(stored, trusting: trusting)
    }
    // An empty mount point, at the top and below it; a folder that is not there.
    #expect(mkdir(path("empty").text, 0o700) == 0)
    for (root, below) in [("empty", "empty"), (".", "empty"), ("none", "none")] {
      let stored = [path("\(below)/a.md"), path("\(below)/deep/b.md")]
      let root = root == "." ? FilePath(folder.path) : path(root)
      let settlement = settled(root, stored + [path("kept.md")].filter { $0.isBelow(root) })
      #expect(settlement.gone.allSatisfy { $0.name == Array("kept.md".utf8) } && settlement.doubtful.map(\.files).reduce(0, +) >= 2)
      #expect(settled(root, stored, trusting: true).gone == stored)
    }
    // A few of many are believed; most of many are not; one that was named is.
    for number in 0..<20 { try folder.write("docs/\(number).md", "x") }
    let docs = (0..<20).map { path("docs/\($0).md") }
    let gone = (0..<9).map { path("docs/gone\($0).md") }
    #expect(settled(path("docs"), docs + gone).gone == gone.sorted())
    let more = settled(path("docs"), docs + (0..<21).map { path("docs/gone\($0).md") })
    #expect(more.gone.isEmpty && more.doubtful.map(\.files) == [21] && more.doubtful.map(\.folder) == [path("docs")])
    #expect(settled(path("one.md"), [path("one.md")]).gone == [path("one.md")])
  }

  @Test("only regular files are read, to a limit")
  func regular() throws {
    let folder = TemporaryFolder()
    let pipe = folder.path + "/pipe.md"
    #expect(mkfifo(pipe, 0o600) == 0)
    for path in [FilePath(pipe), FilePath("/dev/zero")] {
      let tree = SourceTree([path])
      #expect(tree.files.isEmpty && tree.troubles.map(\.why) == [SourceTree.irregular])
      #expect(throws: SourceFile.Refused(why: SourceTree.irregular)) { try SourceFile.read(path) }
    }
    #expect(SourceTree([FilePath(folder.path)]).files.isEmpty)
    let large = try folder.write("large.txt", "x")
    #expect(try SourceFile.read(FilePath(large)) == [0x78])
    #expect(truncate(large, SourceFile.longest + 1) == 0)
    #expect(throws: SourceFile.Refused(why: "it has 32 MiB, and 32 are the limit")) { try SourceFile.read(FilePath(large)) }
  }
}
