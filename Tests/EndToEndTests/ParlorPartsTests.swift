import Protocol
import Testing
import Wire

@testable import parlor

@Suite("parlor's parts") struct ParlorPartsTests {
  private func edit(_ keys: [Key]) -> LineEditor {
    var editor = LineEditor()
    for key in keys { _ = editor.apply(key) }
    return editor
  }

  @Test("keys cut anywhere are the same keys")
  func keysCutAnywhere() {
    let bytes = Array("aé漢👩‍💻\u{1B}[D\u{1B}[1;5C\u{1B}OH\u{1B}[3~\u{1B}[200~p\rq\u{1B}[201~\r".utf8)
    func keys(_ pieces: [ArraySlice<UInt8>]) -> [Key] {
      var reader = KeyReader()
      var keys: [Key] = []
      for piece in pieces {
        reader.append(piece)
        while let key = reader.next() {
          if case .text(let new) = key, case .text(let old)? = keys.last {
            keys[keys.count - 1] = .text(old + new)
          } else {
            keys.append(key)
          }
        }
      }
      return keys
    }
    let whole: [Key] = [.text("aé漢👩‍💻"), .left, .wordRight, .home, .delete, .paste("p\rq"), .enter]
    #expect(keys([bytes[...]]) == whole)
    for cut in bytes.indices { #expect(keys([bytes[..<cut], bytes[cut...]]) == whole, "cut at \(cut)") }
    #expect(keys(bytes.indices.map { bytes[$0...$0] }) == whole)
  }

  @Test("the editor moves and deletes by characters and words, and brings deleted lines back")
  func editing() {
    #expect(String(edit([.text("one two"), .killWord]).text) == "one ")
    #expect(String(edit([.text("one two"), .home, .killToEnd]).text) == "")
    #expect(String(edit([.text("one two"), .wordLeft, .killToStart]).text) == "two")
    #expect(String(edit([.text("abc"), .left, .left, .delete]).text) == "ac")
    #expect(String(edit([.text("abc"), .home, .backspace, .left, .endOfInput]).text) == "bc")
    #expect(String(edit([.text("e"), .text("\u{301}"), .backspace]).text) == "")
    #expect(String(edit([.text("draft"), .interrupt, .up]).text) == "draft")
    #expect(String(edit([.text("1"), .enter, .text("2"), .enter, .text("new"), .up, .up, .up, .down, .down]).text) == "new")
    #expect(edit([.paste("a\tb\u{1B}[31m\u{07}\rc")]).text == Array("a b[31m\nc"))
  }

  @Test("Tab completes as far as it is certain")
  func completing() {
    var editor = LineEditor()
    editor.completions = ["@BRICK", "@BABS", "/reload", "/rollback"]
    for key in [Key.text("@b"), .tab] { _ = editor.apply(key) }
    #expect(String(editor.text) == "@b")
    for key in [Key.text("a"), .tab, .text("/re"), .tab] { _ = editor.apply(key) }
    #expect(String(editor.text) == "@BABS /reload ")
  }

  @Test("a line wraps where the window ends, wide characters do not straddle it, and the cursor follows")
  func layout() {
    func view(_ text: String, _ cursor: Int, rows: Int = 10) -> EditorView {
      EditorView(prompt: "> ", text: Array(text), cursor: cursor, size: (columns: 7, rows: rows))
    }
    #expect(view("abcdef", 6).rows == ["> abcd", "ef"])
    #expect(view("abcdef", 6).cursorColumn == 2)
    #expect(view("abcdef", 4).cursorRow == 1)
    #expect(view("abc漢", 3).rows == ["> abc", "漢"])
    #expect(view("a\nb", 2).rows == ["> a", "  b"])
    #expect(view("a\nb", 2).cursorColumn == 2)
    #expect(view("a\nb", 1).cursorColumn == 3)
    let long = view("a\nb\nc\nd\ne", 9, rows: 4)
    #expect(long.rows == ["  c", "  d", "  e"])
    #expect(long.cursorRow == 2)
  }

  @Test("what was streamed is not printed again; an answer that is another one is printed whole")
  func answers() {
    func print(_ deltas: [String], _ final: String) -> String {
      var printer = AnswerPrinter(columns: nil)
      return deltas.map { printer.delta($0) }.joined() + printer.finish(final)
    }
    #expect(print([], "all") == "all\n")
    #expect(print(["a", "b"], "ab") == "ab\n")
    #expect(print(["a"], "abc\n") == "abc\n")
    #expect(print([" a \n"], "a") == " a \n")
    #expect(print(["a"], "b") == "a\n[the answer in its final form:]\nb\n")
    #expect(print(["a"], "") == "a\n[the answer in its final form:]\n")
  }

  @Test("what another speaker says stands under that one's name, and is no part of the answer")
  func speakers() {
    var printer = AnswerPrinter(columns: nil, persona: "BRICK")
    let text =
      printer.delta("Let me ask. ") + printer.delta("Hope ", speaker: "ROBIN") + printer.delta("holds.", speaker: "ROBIN")
      + printer.delta("So be it", speaker: "BRICK") + printer.finish("Let me ask. So be it.")
    #expect(text == "Let me ask. \n[ROBIN]\nHope holds.\n[BRICK]\nSo be it.\n")
    var silent = AnswerPrinter(columns: nil, persona: "BRICK")
    #expect(silent.delta("Hope", speaker: "ROBIN") + silent.finish("mine") == "[ROBIN]\nHope\n[BRICK]\nmine\n")
    // The kernel sets the voices apart for those who read text alone; the names do it here.
    var apart = AnswerPrinter(columns: nil, persona: "BRICK")
    let first = apart.delta("Let me ask.") + apart.delta("\n\nHope\n", speaker: "ROBIN") + apart.delta("\n", speaker: "ROBIN")
    let second = apart.delta("holds.", speaker: "ROBIN") + apart.delta("\n\n", speaker: "ROBIN") + apart.delta("So be it.")
    #expect(first + second == "Let me ask.\n[ROBIN]\nHope\n\nholds.\n[BRICK]\nSo be it.")
    var forged = AnswerPrinter(columns: nil, persona: "BRICK")
    #expect(forged.delta("x", speaker: "\u{200B}\u{202E}\n") == "[\u{FFFD}\u{FFFD}\u{FFFD}]\nx")
  }

  @Test(
    "a step of an answer is one line; parts are printed as text, and unknown steps are passed over",
    arguments: [
      (#"{"kind":"status","text":"reading\n\u001b[31mtwo files"}"#, "status: reading ␛[31mtwo files"),
      (#"{"kind":"tool","name":"look_up"}"#, "tool: look_up"), (#"{"kind":"plan","steps":["a"]}"#, #"plan: {"steps":["a"]}"#),
      (#"{"kind":"part","text":"x"}"#, nil), (#"{"kind":"dance"}"#, nil), ("7", nil),
    ] as [(String, String?)])
  func progress(event: String, line: String?) throws { #expect(ProgressText.line(try JSON(parsing: event.utf8)) == line) }

  @Test("nothing that steers a terminal is left, and the text is")
  func harmless() {
    #expect("a\u{1B}]0;x\u{07}b\r\n\tc\u{9B}31m\u{202E}é漢\u{7F}".harmless == "a␛]0;x␇b\n\tc\u{FFFD}31m\u{FFFD}é漢␡")
    let hidden: [ClosedRange<UInt32>] = [0x80...0x9F, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xE0041...0xE0043]
    for value in hidden.joined() { #expect("a\(Character(Unicode.Scalar(value)!))b".harmless == "a\u{FFFD}b") }
    let flag = "\u{1F3F4}\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}"
    #expect(flag.harmless == flag && "👩\u{200D}💻".harmless == "👩\u{200D}💻")
    #expect("BR\u{200D}ICK\u{2060}".shownName == "BR\u{FFFD}ICK\u{FFFD}" && " ".shownName == "\u{FFFD}")
    #expect(("a" + String(repeating: "\u{301}", count: 10_000)).oneLine(64).unicodeScalars.count < 600)
  }

  @Test("JSON on a terminal shows everything, and is the same JSON")
  func visibleJSON() throws {
    let text = "{\"a\":\"\u{7F}\u{9B}\u{202E}\u{2028}\u{E0041}é\"}"
    #expect(text.visibleJSON == #"{"a":"\u007f\u009b\u202e\u2028\udb40\udc41é"}"#)
    #expect(try JSON(parsing: text.visibleJSON.utf8) == JSON(parsing: text.utf8))
    #expect("{\t\r\n}".visibleJSON == "{   }")
  }

  @Test("what is written to a terminal is painted by us alone")
  func painted() {
    let painted = Paint.bad.mark + "a\u{1B}[2Jb" + Paint.endMark
    #expect(Paint.rendered(painted) == "\u{1B}[31ma␛[2Jb\u{1B}[0m")
    #expect(Paint.rendered(Paint.bad.mark.harmless) == "\u{FFFD}")
  }

  @Test("characters take as many cells as terminals give them")
  func cells() {
    #expect("aé".cells == 2)
    #expect("漢字".cells == 4)
    #expect("👩‍💻".cells == 2)
    #expect("e\u{301}".cells == 1)
  }

  @Test(
    "a line means what it says",
    arguments: [
      ("  hi there ", .say(to: nil, "hi there")), ("@robin  hi @babs", .say(to: "robin", "hi @babs")), ("@robin", .turn(to: "robin")),
      ("@ROBIN, hello", .say(to: "ROBIN", "hello")), ("@ROBIN: hello", .say(to: "ROBIN", "hello")), ("@ROBIN，你好", .say(to: "ROBIN", "你好")),
      ("@ROBIN:", .turn(to: "ROBIN")), ("@ROBIN ?", .say(to: "ROBIN", "?")), ("@ROBIN: : x", .say(to: "ROBIN", ": x")),
      ("@ROBIN,hello", .say(to: "ROBIN", "hello")), ("@a/b c", .say(to: "a/b", "c")),
      ("@all hello", .sayToAll("hello")), ("@ALL: hello", .sayToAll("hello")),
      ("@all", .wrong("write @all and what you want to ask everybody")),
      ("", .nothing), ("//etc", .say(to: nil, "/etc")), ("/reload A B --force", .reload(["A", "B"], force: true)),
      ("/thread", .thread(nil)), ("/quit", .quit),
    ] as [(String, Line)])
  func lines(text: String, line: Line) { #expect(Line(text) == line) }

  @Test("options may stand anywhere, and -- ends them")
  func arguments() throws {
    let arguments = try Arguments(["--socket=/s", "ask", "a", "-p", "X", "b", "--", "--json"], commands: Commands.all)
    #expect(arguments.command == "ask")
    #expect(arguments.operands == ["a", "b", "--json"])
    #expect(arguments.value("--persona") == "X")
    #expect(arguments.socketPath == "/s")
    #expect(!arguments.has("--json"))
  }

  @Test("JSON is read and written as it was", arguments: [#"{"a":[1,-2.5,"\u0000é",true,null],"b":{}}"#, "9007199254740993", #""x""#])
  func json(text: String) throws { #expect(try JSON(parsing: text.utf8).text == text) }

  @Test("numbers are written with the digits that are asked for")
  func digits() {
    #expect(fixed(0.31, 1) == "0.3")
    #expect(fixed(12.996, 2) == "13.00")
    #expect(fixed(-0.01, 1) == "0.0")
    #expect(fixed(7, 0) == "7")
    #expect(milliseconds(42) == "0.04")
    #expect(milliseconds(12_300) == "12")
  }

  @Test("stats tell what hangs, what that costs, and what helps")
  func stuck() {
    func text(_ replaced: Bool) -> String {
      let stuck = Stats.Stuck(persona: "ROBIN", generation: 3, replaced: replaced, busy_ms: 12_340, cpu_ms: 11_990)
      let reply = Stats.Reply(
        uptime_s: 1, version: "0", pid: 1, memory_kb: 1, connections: 0, requests: 0, messages: 0, errors: 0, undelivered: 0,
        stuck: [stuck],
        personas: [], llm: .null, memory: .null)
      return StatsText.text(reply, style: Style(for: .answer))
    }
    #expect(text(false).contains("ROBIN generation 3: 12.3 s in a call, 12.0 s of processor time; `parlor reload ROBIN --force` helps"))
    #expect(text(true).contains("12.0 s of processor time, replaced; its thread goes on until the kernel ends"))
  }
}
