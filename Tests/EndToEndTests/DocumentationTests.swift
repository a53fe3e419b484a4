import Foundation
import Kernel
import TestSupport
import Testing
import Wire

@testable import Workbench
@testable import parlor

/// What README.md and docs say is compiled, parsed, or looked up: a page that is not true fails here.
@Suite("What the pages say") struct DocumentationTests {
  /// A fenced block: "swift in:Persona" is a piece that fits into a persona.
  struct Block: Sendable, CustomTestStringConvertible {
    let page: String
    let line: Int
    let language: String
    let place: String?
    let text: String
    var testDescription: String { "\(page):\(line) \(language)" }
  }

  private static let pages: [String] = {
    let docs = (try? FileManager.default.contentsOfDirectory(atPath: TemporaryHouse.repository + "/docs")) ?? []
    return ["README.md"] + docs.filter { $0.hasSuffix(".md") }.sorted().map { "docs/" + $0 }
  }()

  private static func text(_ page: String) throws -> String {
    try String(contentsOfFile: TemporaryHouse.repository + "/" + page, encoding: .utf8)
  }

  private static func blocks(_ languages: String...) -> [Block] {
    pages.flatMap { page -> [Block] in
      var blocks: [Block] = []
      var open: (line: Int, words: [String], text: String)?
      for (index, line) in ((try? text(page)) ?? "").split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
        if line.hasPrefix("```") {
          if let block = open {
            blocks.append(
              Block(
                page: page, line: block.line, language: block.words.first ?? "",
                place: block.words.dropFirst().first.map { String($0.dropFirst(3)) }, text: block.text))
            open = nil
          } else {
            open = (index + 1, line.dropFirst(3).split(separator: " ").map(String.init), "")
          }
        } else {
          open?.text += line + "\n"
        }
      }
      return blocks.filter { languages.contains($0.language) }
    }
  }

  /// Into which text a piece fits: the block stands for BLOCK.
  private static let surroundings = [
    "swift Persona": """
    import PersonaKit
    actor Example: Persona {
      static let about: About = "bat-persona 1\\nname = EXAMPLE\\nversion = 1\\nstate = 1\\n"
      let kernel: KernelHandle
      init(kernel: KernelHandle) { self.kernel = kernel }
      func receive(_ gram: BatGram) async throws -> JSON? { nil }
    BLOCK
    }
    @c(persona_entry_v1) public func entry() -> UnsafePointer<persona_entry> { export(Example.self) }
    """,
    "swift receive": """
    import PersonaKit
    actor Example: Persona {
      static let about: About = "bat-persona 1\\nname = EXAMPLE\\nversion = 1\\n"
      let kernel: KernelHandle
      init(kernel: KernelHandle) { self.kernel = kernel }
      func receive(_ gram: BatGram) async throws -> JSON? {
    BLOCK
      }
    }
    @c(persona_entry_v1) public func entry() -> UnsafePointer<persona_entry> { export(Example.self) }
    """,
    "c receive": """
    #include "persona.h"
    PERSONA_ABOUT("bat-persona 1\\nname = EXAMPLE\\nversion = 1\\n");
    struct persona { const persona_host *host; };
    static persona_status create(const persona_host *host, persona_text config, persona **self) {
      static struct persona only;
      (void)config;
      only.host = host;
      *self = &only;
      return PERSONA_OK;
    }
    static void destroy(persona *self) { (void)self; }
    static persona_status receive(persona *self, const persona_gram_v1 *gram) {
      (void)gram;
    BLOCK
    }
    static const persona_vtable vtable = {.size = sizeof vtable, .destroy = destroy, .receive = receive};
    static const persona_entry entry = {PERSONA_MAGIC, sizeof entry, PERSONA_ABI_MAJOR, PERSONA_ABI_MINOR, 0, persona_about, &vtable, create};
    const persona_entry *persona_entry_v1(void) { return &entry; }
    """,
  ]

  private static func whole(_ block: Block) throws -> String {
    guard let place = block.place else { return block.text }
    let around = try #require(surroundings["\(block.language) \(place)"], "nothing is known that a block could be in:\(place) of")
    return around.replacing("BLOCK", with: block.text)
  }

  @Test("every Swift block is a persona, or fits into one, and the kernel would load it", arguments: blocks("swift"))
  func swift(block: Block) async throws {
    let house = try TemporaryHouse()
    let text = try Self.whole(block)
    let name = try #require(text.firstMatch(of: /name = ([A-Z]+)/)).1
    let source = try house.kernel.temporary.write("Plugins/\(name)/\(name).swift", text)
    let persona = try PersonaSource(name: String(name), folder: PersonaSource.parent(of: source))
    let outcome = try await onThread { Build(BuildPlan(persona)).wait() }
    guard case .built(let library, _, _) = outcome else { throw Client.Lost(description: "\(outcome)") }
    try await rehearsed(library)
  }

  @Test("every C block is a persona, or fits into one, compiles without a warning, and the kernel would load it", arguments: blocks("c"))
  func c(block: Block) async throws {
    let folder = TemporaryFolder()
    try folder.write("p.c", try Self.whole(block))
    let flags = "-std=c11 -Wall -Wextra -Werror -shared -fPIC -Wl,-z,nodelete"
    try folder.write("Makefile", "libP.so: p.c\n\tcc \(flags) -I \(TemporaryHouse.repository)/Sources/PersonaABI/include -o $@ $<\n")
    let persona = try PersonaSource(name: "P", folder: folder.path)
    let outcome = try await onThread { Build(BuildPlan(persona)).wait() }
    guard case .built(let library, _, _) = outcome else { throw Client.Lost(description: "\(outcome)") }
    let hears = block.text.contains("= Says what it hears")
    try await rehearsed(
      library, hears ? #"{"gram":{"source":"v","method":"say","payload":{"content":"hello"}},"reply":{"content":"hello"}}"# : "")
  }

  /// It is checked, opened, created and started, and answers the messages of a recording, if there are some.
  private func rehearsed(_ library: String, _ messages: String = "") async throws {
    let facts = try LibraryFacts(reading: library)
    let folder = TemporaryFolder()
    let file = try folder.write("r.json", #"{"bat-recording":1,"persona":"\#(facts.about.name)","messages":[\#(messages)]}"#)
    let (exit, said) = try await onThread {
      let child = try ParlorChild(["replay", file, "--library", library], kernel: "/nowhere")
      child.endInput()
      return (try child.wait(), child.text + child.errorText)
    }
    #expect(exit == 0, "\(said)")
  }

  @Test("every TOML block is a personas.toml that the kernel reads", arguments: blocks("toml"))
  func toml(block: Block) async throws {
    let folder = TemporaryFolder()
    let file = try folder.write("personas.toml", block.text)
    let checked = try await onThread { try RealKernel.run([Products.folder + "/batkernel", "--check", "--config", file]) }
    #expect(checked.output.contains("personas.toml: ok"), "\(checked.output)")
  }

  @Test("every JSON block is JSON, and a recording is one", arguments: blocks("json"))
  func json(block: Block) throws {
    let json = try JSON(parsing: block.text.utf8)
    if json["bat-recording"] != nil { _ = try Recording(json) }
  }

  @Test("the recording of the pages passes on the persona of the pages")
  func recordingOfThePages() async throws {
    let house = try TemporaryHouse()
    let recording = try #require(Self.blocks("json").first { $0.text.contains("bat-recording") })
    let persona = try #require(Self.blocks("swift").first { $0.page == "docs/FIRST-PERSONA.md" })
    let file = try house.kernel.temporary.write("r.json", recording.text)
    let source = try house.kernel.temporary.write("Plugins/LUCIUS/LUCIUS.swift", persona.text)
    let plan = BuildPlan(try PersonaSource(name: "LUCIUS", folder: PersonaSource.parent(of: source)))
    guard case .built(let library, _, _) = try await onThread({ Build(plan).wait() }) else { throw Client.Lost(description: "not built") }
    let replayed = try await house.parlor(["replay", file, "--library", library])
    #expect(replayed.exit == 0, "\(replayed)")
  }

  @Test("every command of parlor that a page names is there, and takes the options that it is given", arguments: pages)
  func commands(page: String) throws {
    for line in try Self.text(page).split(separator: "\n") {
      for match in line.matches(of: /(?:^|[ `\/|(])parlor ((?:[^`|#]|#[a-z])*)/) {
        // What stands behind two blanks is another command, or what it does.
        let words = match.1.split(separator: "  ", maxSplits: 1).first.map { $0.split(separator: " ") } ?? []
        guard let first = words.first, let name = first.wholeMatch(of: /([a-z]+)[,.;:]?/)?.1 else { continue }
        guard let command = Commands.all.first(where: { $0.name == name }) else {
          // Prose about the program itself.
          #expect(!line.hasPrefix("    parlor "), "\(page): \(line)")
          continue
        }
        for word in words where word.hasPrefix("--") && word.count > 2 {
          let option = String(word.prefix { $0 != "=" && $0 != "," && $0 != "." && $0 != ")" && $0 != ":" && $0 != ";" })
          let known = command.flags.union(command.values).union(Commands.globalFlags).union(Commands.globalValues)
          #expect(known.contains(option), "\(page): parlor \(name) has no \(option)")
        }
      }
    }
  }

  @Test("every command of ./bat that a page names is there, and takes the options that it is given", arguments: pages)
  func batCommands(page: String) async throws {
    let help = try await onThread { try RealKernel.run([TemporaryHouse.repository + "/bat", "--help"]).output }
    for match in try Self.text(page).matches(of: /\.\/bat ([a-z]+|--help)((?: -[a-z-]+)*)/) where match.1 != "--help" {
      let line = help.split(separator: "\n").first { $0.hasPrefix("  \(match.1) ") }
      let usage = try #require(line, "\(page): ./bat \(match.1)")
      for option in match.2.split(separator: " ") { #expect(usage.contains(option), "\(page): \(match.0)") }
    }
  }

  @Test("every link between the pages leads to a file, and to a heading in it", arguments: pages)
  func links(page: String) throws {
    let folder = (TemporaryHouse.repository + "/" + page as NSString).deletingLastPathComponent
    for match in try Self.text(page).matches(of: /\]\(([^)#:]*)(#[a-z0-9-]+)?\)/) where !(match.1.isEmpty && match.2 == nil) {
      let target = match.1.isEmpty ? TemporaryHouse.repository + "/" + page : folder + "/" + match.1
      #expect(FileManager.default.fileExists(atPath: target), "\(page) links to \(match.1)")
      guard let anchor = match.2?.dropFirst(), let text = try? String(contentsOfFile: target, encoding: .utf8) else { continue }
      let headings = text.split(separator: "\n").filter { $0.hasPrefix("#") }.map { heading in
        heading.drop { $0 == "#" || $0 == " " }.lowercased().filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" }.replacing(
          " ", with: "-")
      }
      #expect(headings.contains(String(anchor)), "\(page) links to \(match.1)#\(anchor)")
    }
  }

  @Test("persona.h among the pages is persona.h")
  func header() throws {
    #expect(
      try String(contentsOfFile: TemporaryHouse.repository + "/docs/persona.h", encoding: .utf8)
        == String(contentsOfFile: TemporaryHouse.repository + "/Sources/PersonaABI/include/persona.h", encoding: .utf8))
  }

  @Test("the reference of PersonaKit is what its documentation comments say")
  func reference() async throws {
    let made = try await onThread { try RealKernel.run([TemporaryHouse.repository + "/.ci/reference"]) }
    #expect(made.status == 0, "\(made.errors)")
    #expect(try Self.text("docs/PERSONAKIT.md") == made.output, "run .ci/reference > docs/PERSONAKIT.md")
    for service in ["Bus", "LanguageModel", "State", "Memory", "Timers", "Log", "KernelHandle", "Progress"] {
      let section = try #require(made.output.components(separatedBy: "\n## \(service)\n").dropFirst().first)
      let head = section.components(separatedBy: "\n## ")[0]
      #expect(head.contains("```swift in:"), "\(service) has an example")
    }
  }

  @Test("the house's libraries tell who they are without being run")
  func house() async throws {
    let folder = TemporaryFolder()
    var text =
      "[kernel]\nplugins = [\"\(Products.folder)\"]\n[llm]\nprovider = \"ollama\"\nmodel = \"m\"\n[persona.HATTER]\nlibrary = \"Prompt\"\nprompt = \"p\"\n"
    for name in ["ALFRED", "BABS", "BRICK", "ROBIN"] { text += "[persona.\(name)]\nprompt = \"p\"\n" }
    let toml = try folder.write("personas.toml", text)
    let checked = try await onThread { try RealKernel.run([Products.folder + "/batkernel", "--check", "--config", toml]) }
    #expect(checked.status == 0, "\(checked.output)")
    for name in ["ALFRED: ok, ALFRED 1.0", "BABS: ok, BABS 1.0", "BRICK: ok, BRICK 1.0", "ROBIN: ok, ROBIN 1.1", "HATTER: ok, Prompt 1.0"] {
      #expect(checked.output.contains(name), "\(checked.output)")
    }
  }
}
