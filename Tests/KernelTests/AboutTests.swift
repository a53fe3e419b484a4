import Testing
import Wire

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

  @Test("keys of personas.toml come with type, default and a line, also where the default has commas and brackets")
  func keys() throws {
    let about = try About(
      parsing: """
        bat-persona 1
        name = A
        version = 1
        config.plan = boolean, false, plan first, then answer
        config.names = strings, ["a, b", "c]\\""], whom to ask
        config.key = string, required, where it finds its data
        config.limit = integer,none,how many
        """)
    #expect(
      about.configuration == [
        .init("plan", .boolean, .value(false), "plan first, then answer"),
        .init("names", .strings, .value(["a, b", "c]\""]), "whom to ask"), .init("key", .string, .required, "where it finds its data"),
        .init("limit", .integer, .none, "how many"),
      ])
    #expect(try About(parsing: "bat-persona 1\nname = A\nversion = 1").configuration == nil)
    #expect(try About(parsing: "bat-persona 1\nname = A\nversion = 1\nconfig = none").configuration == [])
    let completed = about.completed(Array(#"{"name":"A","plan":true}"#.utf8))
    #expect(String(decoding: completed, as: UTF8.self) == #"{"name":"A","plan":true,"names":["a, b","c]\""]}"#)
  }

  @Test("what does not suit the declared keys is told by key: wrong, missing, or unknown with the nearest known one")
  func configuration() throws {
    let about = try About(
      parsing: "bat-persona 1\nname = A\nversion = 1\nconfig.key = string, required, its data\nconfig.limit = integer, 5, how many")
    func findings(_ table: JSON) -> [String] { ConfigurationCheck(table, for: about).findings.map { "\($0.key): \($0.message)" } }
    #expect(findings(["name": "A", "key": "k", "limit": 7, "prompt": "p", "tools": ["B.m"]]) == [])
    #expect(findings(["key": "k", "limit": 7.5]) == ["limit: must be a whole number, and is a number"])
    #expect(findings(["limit": 1]) == ["key: is missing, and A 1 cannot be without it: its data (a string)"])
    #expect(findings(["key": "k", "limt": 1]) == ["limt: unknown key; did you mean limit?"])
    #expect(findings(["key": "k", "libary": "x"]) == ["libary: unknown key; did you mean library?"])
    #expect(findings(["key": "k", "zebra": 1]) == ["zebra: unknown key: A 1 reads key, limit"])
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
      ("bat-persona 1\nname = A\nversion = 1\nconfig.a = string, none", "has not these three parts"),
      ("bat-persona 1\nname = A\nversion = 1\nconfig.a b = string, none, x", "names no key"),
      ("bat-persona 1\nname = A\nversion = 1\nconfig.a = text, none, x", "unknown type \"text\""),
      ("bat-persona 1\nname = A\nversion = 1\nconfig.a = string, 5, x", "has the default 5, which is not a string"),
      ("bat-persona 1\nname = A\nversion = 1\nconfig.a = strings, [1, x", "has not these three parts"),
      ("bat-persona 1\nname = A\nversion = 1\nconfig.a = number, many, x", "neither JSON, none nor required"),
      ("bat-persona 1\nname = A\nversion = 1\nconfig.tools = string, none, x", "is a key of every persona, and an array of strings"),
      ("bat-persona 1\nname = A\nversion = 1\nconfig = all", "\"config\" is \"none\""),
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
