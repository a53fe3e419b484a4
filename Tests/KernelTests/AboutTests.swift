import Testing

@testable import Kernel

@Suite struct AboutTests {
  @Test("a full about text is read, key by key")
  func full() throws {
    let text = """
      bat-persona 1
      name = BRICK
        version=1.2 beta
      summary = Deconstructs, delegates = architect
      state = 4 reads 2
      needs = bus/1  llm/1
      wants = timer/1
      colour = of no concern

      """
    let about = try About(parsing: text)
    #expect(about.name == "BRICK")
    #expect(about.summary == "Deconstructs, delegates = architect")
    #expect(about.state == About.StateSchema(writes: 4, reads: 2))
    #expect(about.needs == ["bus/1", "llm/1"])
    #expect(about.wants == ["timer/1"])
    #expect(about.text == text)
  }

  @Test("methods come with their schemas, in the order of the text")
  func methods() throws {
    let about = try About(
      parsing: """
        bat-persona 1
        name = A
        version = 1
        method.count = Counts words
        takes.count = {"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}
        method.greet = Says hello
        gives.greet = {"type":"object"}
        """)
    #expect(about.methods.map(\.name) == ["count", "greet"])
    #expect(about.methods[0].takes?.hasSuffix(#""required":["text"]}"#) == true && about.methods[0].gives == nil)
    #expect(about.methods[1] == .init(name: "greet", summary: "Says hello", takes: nil, gives: #"{"type":"object"}"#))
  }

  @Test("name and version are enough, and one number is a schema that reads itself")
  func short() throws {
    let about = try About(parsing: "bat-persona 1\nname = A\nversion = 1\nstate = 3")
    #expect(about.state == About.StateSchema(writes: 3, reads: 3))
    #expect(about.summary == nil && about.needs.isEmpty && about.wants.isEmpty)
    #expect(try About(parsing: "bat-persona 1\nname = A\nversion = 1").state == nil)
  }

  @Test(
    "a text that breaks a rule is refused by the name of the key",
    arguments: [
      ("bat-persona 2\nname = A\nversion = 1", "bat-persona 1"),
      ("bat-persona 1\nversion = 1", "\"name\" is missing"),
      ("bat-persona 1\nname = A", "\"version\" is missing"),
      ("bat-persona 1\nname = 1A\nversion = 1", "\"1A\" is no name"),
      ("bat-persona 1\nname = \(String(repeating: "A", count: 65))\nversion = 1", "is no name"),
      ("bat-persona 1\nname = A\nversion = \(String(repeating: "1", count: 65))", "\"version\" is longer than 64"),
      ("bat-persona 1\nname = A\nversion = 1\nsummary = \(String(repeating: "s", count: 201))", "\"summary\" is longer than 200"),
      ("bat-persona 1\nname = A\nversion = \u{1B}[2J", "control character"),
      ("bat-persona 1\nname = A\nversion = ", "\"version\" is empty"),
      ("bat-persona 1\nname = A\nname = B\nversion = 1", "\"name\" stands there twice"),
      ("bat-persona 1\nname = A\nversion = 1\njust words", "\"just words\" is not \"key = value\""),
      ("bat-persona 1\nname = A\nversion = 1\nstate = 1 reads 2", "1 <= M <= N"),
      ("bat-persona 1\nname = A\nversion = 1\nstate = 0", "1 <= M <= N"),
      ("bat-persona 1\nname = A\nversion = 1\nstate = 2 writes 1", "1 <= M <= N"),
      ("bat-persona 1\nname = A\nversion = 1\nstate = 4294967296", "1 <= M <= N"),
      ("bat-persona 1\nname = A\nversion = 1\ntakes.go = {}", "no method.go"),
      ("bat-persona 1\nname = A\nversion = 1\nmethod.go = x\ntakes.go = {\"a\"", "no JSON schema"),
      ("bat-persona 1\nname = A\nversion = 1\nmethod.go = x\ngives.go = [1]", "no JSON schema"),
      ("bat-persona 1\nname = A\nversion = 1\nmethod. = x", "names no method"),
    ])
  func refused(text: String, reason: String) {
    let error = #expect(throws: About.Malformed.self) { try About(parsing: text) }
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
  }

  @Test("a name is a letter, then letters, digits, '-' and '_', 64 bytes at most")
  func names() {
    for name in ["A", "brick", "R2-D2_x", String(repeating: "n", count: 64)] { #expect(About.isName(name), "\(name)") }
    for name in ["", "1A", "-a", "_a", "a b", "é", "a.b", "a\n", "*", "#x", String(repeating: "n", count: 65)] {
      #expect(!About.isName(name), "\(name)")
    }
  }
}
