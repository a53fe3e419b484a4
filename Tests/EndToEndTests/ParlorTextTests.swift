import Protocol
import Testing
import Wire

@testable import parlor

@Suite("What parlor makes of texts") struct ParlorTextTests {
  /// What a terminal shows of pieces that stream, in rows.
  private func rows(_ pieces: [String], columns: Int) -> [String] {
    var wrap = WordWrap(columns: columns)
    return Screen(pieces.map { wrap.stream($0) }.joined()).lines
  }

  @Test(
    "a line is broken between words where the next one fits, wherever its pieces are cut",
    arguments: [
      ("one two three", 9, ["one two", "three"]), ("one two three", 8, ["one two", "three"]),
      ("abcdefghij kl", 6, ["abcde", "fghij", "kl"]),
      ("a abcdefgh", 6, ["a", "abcde", "fgh"]), ("漢字漢字", 6, ["漢字", "漢字"]), ("ab漢字c", 6, ["ab漢", "字c"]), ("漢abc", 6, ["漢abc"]),
      ("one\ntwo three", 9, ["one", "two", "three"]), ("exactly \nhere", 8, ["exactly", "here"]), ("", 8, [""]),
      ("e\u{301}e\u{301}e\u{301} e\u{301}e\u{301}", 6, ["e\u{301}e\u{301}e\u{301}", "e\u{301}e\u{301}"]), ("👩‍💻👩‍💻👩‍💻", 6, ["👩‍💻👩‍💻", "👩‍💻"]),
    ] as [(String, Int, [String])])
  func wrapping(text: String, columns: Int, expected: [String]) {
    let whole = WordWrap.rows(text, columns: columns).split(separator: "\n", omittingEmptySubsequences: false).map { $0.trimmed }
    #expect(whole == expected)
    // Wide characters take two cells of the screen, of which this one knows nothing.
    guard text.cells == text.count else { return }
    #expect(rows([text], columns: columns).map { $0.trimmed } == expected)
    for cut in text.indices {
      #expect(rows([String(text[..<cut]), String(text[cut...])], columns: columns).map { $0.trimmed } == expected, "\(cut)")
    }
    #expect(rows(text.map { String($0) }, columns: columns).map { $0.trimmed } == expected)
  }

  @Test("no row is longer than the terminal, whatever streams")
  func edge() {
    let text = String(repeating: "supercalifragilistic 漢字の長い言葉\t👩‍💻e\u{301} ", count: 40)
    for columns in [2, 3, 7, 20, 80] {
      for row in WordWrap.rows(text, columns: columns).split(separator: "\n") {
        #expect(row.reduce(0) { $0 + $1.cells } <= max(2, columns - 1), "\(columns): \(row)")
      }
    }
  }

  @Test("an accent that comes later joins its letter, and costs no cell")
  func joining() {
    var wrap = WordWrap(columns: 4)
    let streamed = wrap.stream("ab") + wrap.stream("\u{301}") + wrap.stream("c")
    #expect(streamed == "ab\u{301}c")
    #expect(wrap.column == 3)
  }

  @Test("what is painted is measured without its paint")
  func paint() {
    let painted = Paint.dim.mark + "one two" + Paint.endMark
    #expect(WordWrap.rows(painted, columns: 8) == painted)
    #expect(painted.cells == 7)
  }

  @Test(
    "what a person must know of an answer is told, a line each",
    arguments: [
      (#"{"content":"x","model":"m"}"#, []),
      (#"{"fallback_from":"main","provider":"spare","model":"m"}"#, ["answered by spare (m), because main could not"]),
      (#"{"cut_short":true}"#, ["the answer is cut: the model had no tokens left for it; max_tokens in personas.toml gives it more"]),
      (#"{"finish":"length"}"#, ["the answer is cut: the model had no tokens left for it; max_tokens in personas.toml gives it more"]),
      (
        #"{"tool_calls":[{"tool":"BABS.observe"},{"tool":"A.b","error":"deadline"},{"tool":"C.d","error":{"code":"denied"}},7]}"#,
        ["the model called BABS.observe, A.b (failed: deadline), C.d (failed: denied)"]
      ),
      (#"{"delegated":{"to":"ROBIN","error":"away\u001b"}}"#, ["ROBIN could not answer: away␛"]), (#""text""#, []), ("[1]", []),
      (#"{"history_failed":true}"#, ["this was not kept: the file of the conversations cannot be read or written; `./bat log` says why"]),
    ] as [(String, [String])])
  func notes(reply: String, lines: [String]) throws { #expect(AnswerNotes.lines(try JSON(parsing: reply.utf8)) == lines) }

  private func receipt(_ name: String, _ outcome: Receipt.Outcome, reason: String? = nil) -> Receipt {
    Receipt(persona: name, outcome: outcome, from: 1, to: 2, total_ms: 1, reason: reason)
  }

  @Test("one receipt is a sentence; many that come together are a line for each outcome")
  func digest() {
    #expect(ReceiptDigest.lines([receipt("A", .loaded)]).map(\.text) == ["A loaded: generation 2"])
    let twice = ReceiptDigest.lines([receipt("A", .unloaded), receipt("A", .loaded)])
    #expect(twice.map(\.text) == ["A loaded: generation 2"])
    let eleven = (1...11).flatMap { [receipt("P\($0)", .unloaded), receipt("P\($0)", .loaded)] }
    #expect(ReceiptDigest.lines(eleven).map(\.text) == ["P1, P2, P3, P4, P5, P6, P7, P8, P9, P10 and P11 loaded"])
    let twenty = (1...20).map { receipt("P\($0)", .reloaded) }
    #expect(ReceiptDigest.lines(twenty).map(\.text) == [(1...11).map { "P\($0)" }.joined(separator: ", ") + " and 9 others reloaded"])
    let mixed = [
      receipt("A", .loaded), receipt("B", .refused, reason: "no"), receipt("C", .refused, reason: "x\ny"), receipt("D", .loaded),
    ]
    #expect(
      ReceiptDigest.lines(mixed) == [
        .init(text: "A and D loaded"), .init(text: "not changed: B (no), C (x y); `parlor show NAME` says why", isRefused: true),
      ])
  }

  @Test("receipts wait for those that come with them, but not for ever; notes do not")
  func margin() {
    let now = ContinuousClock.now
    var margin = Margin()
    margin.add("note")
    margin.add(receipt("A", .loaded), now: now)
    #expect(margin.left(now) == .milliseconds(250))
    let first = margin.take(now, all: false) { $0.text }
    #expect(first == ["note"])
    for step in 1...100 { margin.add(receipt("B", .loaded), now: now + .milliseconds(step * 100)) }
    #expect(margin.left(now + .seconds(3)) == .zero)
    let second = margin.take(now + .seconds(3), all: false) { $0.text }
    #expect(second == ["A and B loaded"])
    #expect(margin.isEmpty && margin.left(now) == nil)
    margin.add(receipt("A", .unloaded), now: now)
    let third = margin.take(now, all: true) { $0.text }
    #expect(third.count == 1)
  }

  @Test("a line over which the kernel ended is held back once, and again when it was so again")
  func suspects() {
    var suspects = SuspectLines()
    var held = [suspects.holdsBack("x")]
    for _ in 0..<2 {
      suspects.mark("x")
      for _ in 0..<3 { held.append(suspects.holdsBack("x")) }
    }
    #expect(held == [false, true, false, false, true, false, false])
  }

  @Test("a paste whose end mark is lost ends with Ctrl-C; what was pasted is no Ctrl-C")
  func pastes() {
    var reader = KeyReader()
    func keys(_ typed: String) -> [Key] {
      reader.append(Array(typed.utf8))
      var keys: [Key] = []
      while let key = reader.next() { keys.append(key) }
      return keys
    }
    func control(_ typed: String) -> KeyReader.Control? {
      reader.append(Array(typed.utf8))
      return reader.takeControl()
    }
    #expect(keys("\u{1B}[200~lost") == [] && keys("\u{03}") == [.paste("lost")])
    #expect(control("\u{1B}[200~a\u{03}b\u{1A}\u{1B}[201~") == nil && keys("") == [.paste("a\u{03}b\u{1A}")])
    #expect(control("\u{1B}[200~lost again") == nil && control("\u{03}") == .interrupt && keys("") == [])
    #expect(control("ab\u{1A}c") == .suspend && control("") == nil && keys("") == [.text("abc")])
    #expect(control("a\u{03}b\u{03}c") == .interrupt && keys("") == [.text("c")])
    let long = String(repeating: "x", count: KeyReader.longestPaste + 1)
    #expect(keys("\u{1B}[200~\(long)\u{1B}[201~y") == [.tooLong(long.count), .text("y")])
  }

  @Test(
    "Ctrl-C is one in the middle of any sequence", arguments: ["\u{1B}[", "\u{1B}[1;", "\u{1B}O", "\u{1B}", "\u{1B}[200", "\u{1B}[?25"])
  func interrupted(start: String) {
    var reader = KeyReader()
    reader.append(Array(start.utf8) + [0x03])
    var last: Key?
    while let key = reader.next() { last = key }
    #expect(last == .interrupt && reader.isEmpty)
  }

  @Test("a line with anything in it can be drawn, and the cursor stands in it")
  func drawing() {
    for text in ["a\u{E0041}b", "\u{202E}x", "a\u{FE0F}", "\u{9B}", "a\u{301}\u{E0041}\u{E0042}"] {
      for cursor in 0...text.count {
        let view = EditorView(prompt: "> ", text: Array(text), cursor: cursor, size: (columns: 20, rows: 5))
        #expect(view.rows.allSatisfy { $0 == $0.harmless } && view.cursorRow < view.rows.count && view.cursorColumn >= 2)
      }
    }
  }

  @Test(
    "a line of parlor.toml names the person",
    arguments: [
      ("name = \"Selina\"", "Selina"), ("# c\n\n name='a b' # me", "a b"), ("", nil), ("name = \"Sel\"\nname = \"Kyle\"", "Kyle"),
    ] as [(String, String?)])
  func name(text: String, name: String?) throws { #expect(try PersonName.name(in: text, of: "f") == name) }

  @Test(
    "what else stands there is told with its line",
    arguments: ["nmae = \"x\"", "name = x", "name = \"x", "name = \"KERNEL \"", "name = \"a\" b", "name"])
  func wrongName(text: String) {
    let error = #expect(throws: CLIError.self) { try PersonName.name(in: "\n" + text, of: "/f") }
    #expect(error?.message.hasPrefix("/f:2: ") == true, "\(error?.message ?? "")")
  }
}
