import Foundation
import Synchronization
import TestSupport
import Testing

@testable import parlor

@Suite("parlor dev") struct ParlorDevTests {
  /// Asks numbered questions for as long as it is wanted, and notes what is wrong with the answers.
  private final class Visitor: @unchecked Sendable {
    private let ended = DispatchSemaphore(value: 0)
    private let state = Mutex((wanted: true, answers: 0, problem: String?.none))
    init(_ client: Client, _ persona: String) {
      Thread.detachNewThread { [self] in
        var number = 0
        while state.withLock({ $0.wanted && $0.problem == nil }) {
          number += 1
          do {
            let reply = try client.ask(persona, "echo", "\(number)", id: number)
            state.withLock {
              $0.answers += 1
              if reply["echo"] != "\(number)" { $0.problem = "question \(number) was answered by \(reply.line)" }
            }
          } catch { state.withLock { $0.problem = "question \(number) was lost: \(error)" } }
        }
        ended.signal()
      }
    }
    /// How many answers came, and what was wrong.
    func end() -> (answers: Int, problem: String?) {
      state.withLock { $0.wanted = false }
      ended.wait()
      return state.withLock { ($0.answers, $0.problem) }
    }
  }

  /// Sources that say their version; all of them are the fixture's code.
  private static func echo(_ version: String) -> String { "#define VERSION \"\(version)\"\n#include \"echo.c\"\n" }

  private static func swift(_ version: String) -> String {
    """
    import PersonaKit

    actor Swifty: Persona {
      static let about: About = \"\"\"
        bat-persona 1
        name = SWIFTY
        version = 1
        \"\"\"
      let kernel: KernelHandle
      init(kernel: KernelHandle) { self.kernel = kernel }
      func receive(_ gram: BatGram) async throws -> JSON? {
        if gram.method == "story" {
          gram.stream("begun by \(version), ")
          _ = try await kernel.bus.ask("HOLDER", "go")
          gram.stream("ended by \(version)")
        }
        return ["version": "\(version)"]
      }
    }
    @c(persona_entry_v1) public func entry() -> UnsafePointer<persona_entry> { export(Swifty.self) }

    """
  }

  @Test("fifty edits, good and bad: each good one is live, each bad one is told, and an attached client misses nothing")
  func fiftyEdits() async throws {
    let house = try TemporaryHouse("[persona.EDIT]\nlibrary = \"edit/libEDIT.so\"\n[persona.SWIFTY]\n")
    let fixtures = TemporaryHouse.repository + "/Tests/Fixtures"
    let include = TemporaryHouse.repository + "/Sources/PersonaABI/include"
    let temporary = house.kernel.temporary
    try temporary.write(
      "edit/Makefile", "libEDIT.so: edit.c\n\tcc -DNAME='\"EDIT\"' -shared -fPIC -Wl,-z,nodelete -I \(include) -I \(fixtures) -o $@ $<\n")
    try temporary.write("edit/edit.c", Self.echo("0"))
    try temporary.write("Plugins/SWIFTY/SWIFTY.swift", Self.swift("0"))
    try Fixtures.install("crashes_on_word", as: "SWIFTY", in: house.path, defines: ["NAME": "SWIFTY"])
    try house.kernel.start()
    let (path, socket) = (house.path, house.kernel.socket)
    let overheads = try await onThread { () throws -> [Double] in
      let dev = try ParlorChild(["dev", "EDIT", "SWIFTY", "--home", path], kernel: socket, environment: TemporaryHouse.environment)
      try dev.expect("EDIT live: ")
      try dev.expect("SWIFTY live: ")
      let client = try house.kernel.client("EDITOR")
      let (slow, listener, holder) = (
        try house.kernel.client("SLOW"), try house.kernel.client("LISTENER"), try house.kernel.client("HOLDER")
      )
      let visitor = Visitor(try house.kernel.client("VISITOR"), "EDIT")
      let file = path + "/edit/edit.c"
      var id = 0
      func version(_ persona: String = "EDIT") throws -> String? {
        id += 1
        return try client.ask(persona, "echo", "1", id: id)["version"]
      }
      func save(_ text: String) throws { try Data(text.utf8).write(to: URL(filePath: file)) }
      var last = "0"
      for edit in 1...45 {
        let new = "\(edit)"
        switch edit % 9 {
        case 1:
          // A compile error: told with its line; the old code goes on.
          try save("#define VERSION \"\(new)\"\nint x = ;\n#include \"echo.c\"\n")
          try dev.expect("EDIT does not build; the running generation goes on")
          try dev.expect("edit.c:2:9: error: expected expression")
          #expect(try version() == last)
          continue
        case 3:
          // A crash in rehearsal: refused.
          try save("#define VERSION \"\(new)\"\n#define ABOUT_MORE \"state = 1\\n\"\n#include \"crashes_in_create.c\"\n")
          try dev.expect("EDIT not changed: ")
          try dev.expect("crashed in rehearsal")
          #expect(try version() == last)
          continue
        case 5:
          // In the middle of an answer, which the old code finishes.
          try slow.line(#"{"target":"EDIT","method":"later","payload":700,"id":\#(edit)}"#)
          _ = try slow.ask("EDIT", "count", id: 1000 + edit)
          try save(Self.echo(new))
          try dev.expect("EDIT live: ")
          #expect(try version() == new)
          #expect(try slow.gram { $0.re == "\(edit)" }["version"] == last)
        case 6:
          // As editors save: another file, then a rename.
          try Data(Self.echo(new).utf8).write(to: URL(filePath: file + ".tmp"))
          rename(file + ".tmp", file)
          try dev.expect("EDIT live: ")
        case 7:
          // Two saves in one breath: the last one counts.
          try save(Self.echo("not this"))
          try save(Self.echo(new))
          repeat { try dev.expect("EDIT live: ") } while try version() == "not this"
        case 8:
          unlink(file)
          try dev.expect("EDIT does not build")
          try save(Self.echo(new))
          try dev.expect("EDIT live: ")
        default:
          try save(Self.echo(new))
          try dev.expect("EDIT live: ")
        }
        #expect(try version() == new, "edit \(edit)")
        last = new
      }
      for edit in 1...5 {
        // An answer that is being streamed: its first piece is there, and the old code ends it when the new one is live.
        try listener.line(#"{"target":"SWIFTY","method":"story","id":\#(edit),"stream":true}"#)
        let go = try holder.gram { $0.method == "go" }
        let number = try #require(go.fields["id"])
        try Data(Self.swift("\(edit)").utf8).write(to: URL(filePath: path + "/Plugins/SWIFTY/SWIFTY.swift"))
        try dev.expect("SWIFTY live: ")
        #expect(try version("SWIFTY") == "\(edit)")
        try holder.line(#"{"target":"SWIFTY","method":"reply","re":\#(number),"payload":{}}"#)
        var story = ""
        let end = try listener.gram {
          if $0.re == "\(edit)", $0.method == "delta" { story += $0["text"] ?? "" }
          return $0.re == "\(edit)" && $0.method != "delta"
        }
        #expect(story == "begun by \(edit - 1), ended by \(edit - 1)" && end["version"] == "\(edit - 1)", "\(end)")
      }
      try Data(Self.swift("\" + nothing + \"").utf8).write(to: URL(filePath: path + "/Plugins/SWIFTY/SWIFTY.swift"))
      try dev.expect("SWIFTY.swift:13:")
      let (answers, problem) = visitor.end()
      #expect(problem == nil && answers > 50, "\(answers) answers; \(problem ?? "")")
      kill(dev.pid, SIGINT)
      #expect(try dev.wait() == 130)
      #expect(try version() == last && version("SWIFTY") == "5", "they go on")
      return dev.text.matches(of: /live: ([0-9.]+) s after saving, of which compiler ([0-9.]+) s/).map { Double($0.1)! - Double($0.2)! }
    }
    let sorted = overheads.sorted()
    print(
      "parlor dev: from saving to the new answer, beyond the compiler: p50 \(sorted[sorted.count / 2]) s, most \(sorted.last!) s, of \(sorted.count)"
    )
  }

  @Test("a persona whose source cannot be found, or that nobody knows, is told before anything is watched")
  func refusals() async throws {
    let house = try TemporaryHouse("[persona.ECHO]\n")
    try Fixtures.install("echo", as: "ECHO", in: house.path, defines: ["NAME": "ECHO"])
    try house.kernel.start()
    let unknown = try await house.parlor(["dev", "NOBODY", "--home", house.path])
    #expect(unknown.exit == 4 && unknown.errors.contains("`parlor new NOBODY` makes one"), "\(unknown)")
    let sourceless = try await house.parlor(["dev", "ECHO", "--home", house.path])
    #expect(sourceless.exit == 1 && sourceless.errors.contains("there is no Plugins/ECHO"), "\(sourceless)")
  }

  @Test("when the kernel goes and comes back, what was saved meanwhile is built, and loaded then")
  func kernelGone() async throws {
    let house = try TemporaryHouse("[persona.EDIT]\nlibrary = \"edit/libEDIT.so\"\n")
    let include = "-I \(TemporaryHouse.repository)/Sources/PersonaABI/include -I \(TemporaryHouse.repository)/Tests/Fixtures"
    try house.kernel.temporary.write(
      "edit/Makefile", "libEDIT.so: edit.c\n\tcc -DNAME='\"EDIT\"' -shared -fPIC -Wl,-z,nodelete \(include) -o $@ $<\n")
    try house.kernel.temporary.write("edit/edit.c", Self.echo("1"))
    try house.kernel.start()
    let (path, socket) = (house.path, house.kernel.socket)
    try await onThread {
      let dev = try ParlorChild(["dev", "EDIT", "--home", path], kernel: socket, environment: TemporaryHouse.environment)
      try dev.expect("EDIT live: ")
      kill(house.kernel.process.processIdentifier, SIGKILL)
      house.kernel.process.waitUntilExit()
      try dev.expect("the kernel is gone")
      try Data(Self.echo("2").utf8).write(to: URL(filePath: path + "/edit/edit.c"))
      let second = try RealKernel(after: house.kernel)
      try dev.expect("the kernel is back")
      let client = try second.client("GUI")
      // It may have loaded the new file by itself before; what was saved is told as live all the same.
      try dev.expect("EDIT live: ")
      #expect(try client.ask("EDIT", "echo", "1", id: 1)["version"] == "2")
      kill(second.process.processIdentifier, SIGKILL)
    }
  }
}
