import Foundation
import TestSupport
import Testing

@testable import parlor

@Suite("parlor dev, when things come in an unlucky order") struct ParlorDevRecoveryTests {
  private static func echo(_ version: String) -> String { "#define VERSION \"\(version)\"\n#include \"echo.c\"\n" }

  /// The persona EDIT, written in C. `after` is a line that make runs when the library is there.
  private static func write(_ folder: String, in house: TemporaryHouse, version: String, after: String = ":") throws {
    let include = "-I \(TemporaryHouse.repository)/Sources/PersonaABI/include -I \(TemporaryHouse.repository)/Tests/Fixtures"
    try house.kernel.temporary.write(
      "\(folder)/Makefile",
      "libEDIT.so: edit.c\n\tcc -DNAME='\"EDIT\"' -shared -fPIC -Wl,-z,nodelete \(include) -o $@ $<\n\t\(after)\n")
    try house.kernel.temporary.write("\(folder)/edit.c", echo(version))
  }

  private static func dev(_ house: TemporaryHouse, _ more: String...) throws -> ParlorChild {
    try ParlorChild(["dev", "EDIT", "--home", house.path] + more, kernel: house.kernel.socket, environment: TemporaryHouse.environment)
  }

  @Test("a library that the kernel has loaded by itself before dev asks for it is told as live")
  func kernelIsQuicker() async throws {
    let house = try TemporaryHouse("[persona.EDIT]\nlibrary = \"edit/libEDIT.so\"\n")
    try Self.write("edit", in: house, version: "1")
    try house.kernel.start()
    try await onThread {
      let dev = try Self.dev(house)
      try dev.expect("EDIT live: ")
      // make ends only when the kernel has switched by itself.
      mkfifo(house.path + "/edit/switched", 0o600)
      let client = try house.kernel.client("GUI")
      try Self.write("edit", in: house, version: "2", after: "cat switched")
      _ = try client.gram { $0.method == "receipt" && $0["outcome"] == "reloaded" }
      try Data().write(to: URL(filePath: house.path + "/edit/switched"))
      try dev.expect("EDIT live: ")
      #expect(try client.ask("EDIT", "echo", "1", id: 1)["version"] == "2")
      #expect(!dev.text.contains("unchanged"))
    }
  }

  @Test("a file that is opened for writing, and closed as it was, is no save")
  func nothingSaved() async throws {
    let house = try TemporaryHouse("[persona.EDIT]\nlibrary = \"edit/libEDIT.so\"\n")
    try Self.write("edit", in: house, version: "1", after: "test ! -p gate || cat gate")
    try house.kernel.start()
    try await onThread {
      let dev = try Self.dev(house)
      try dev.expect("EDIT live: ")
      let (file, gate) = (house.path + "/edit/edit.c", house.path + "/edit/gate")
      mkfifo(gate, 0o600)
      try Data(Self.echo("2").utf8).write(to: URL(filePath: file))
      // Comes back when make is there; it stays there until this is closed. A second make would wait for ever.
      let held = open(gate, O_WRONLY | O_CLOEXEC)
      close(open(file, O_WRONLY | O_CLOEXEC))
      close(held)
      try dev.expect("EDIT live: ")
      #expect(try house.kernel.client("GUI").ask("EDIT", "echo", "1", id: 1)["version"] == "2")
    }
  }

  @Test("a source that is moved into place with an older time is built, though make takes the library for newer")
  func olderTime() async throws {
    let house = try TemporaryHouse("[persona.EDIT]\nlibrary = \"edit/libEDIT.so\"\n")
    try Self.write("edit", in: house, version: "1")
    try house.kernel.start()
    try await onThread {
      let dev = try Self.dev(house)
      try dev.expect("EDIT live: ")
      let kept = try house.kernel.temporary.write("kept.c", Self.echo("2"))
      var past = [timespec(tv_sec: 1_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000, tv_nsec: 0)]
      utimensat(AT_FDCWD, kept, &past, 0)
      rename(kept, house.path + "/edit/edit.c")
      try dev.expect("EDIT live: ")
      #expect(try house.kernel.client("GUI").ask("EDIT", "echo", "1", id: 1)["version"] == "2")
    }
  }

  @Test("a kernel that is started again begins with the persona's own library, and is given the last one that was live")
  func kernelRestarted() async throws {
    let house = try TemporaryHouse("[persona.EDIT]\nlibrary = \"./libEDIT.so\"\n")
    try Fixtures.install("echo", as: "EDIT", in: house.path, defines: ["NAME": "EDIT", "VERSION": "installed"])
    try Self.write("work", in: house, version: "edited")
    try house.kernel.start()
    try await onThread {
      let dev = try Self.dev(house, "--source", house.path + "/work")
      try dev.expect("EDIT live: ")
      kill(house.kernel.process.processIdentifier, SIGKILL)
      house.kernel.process.waitUntilExit()
      try dev.expect("the kernel is gone")
      let second = try RealKernel(after: house.kernel)
      defer { kill(second.process.processIdentifier, SIGKILL) }
      try dev.expect("EDIT live again")
      #expect(try second.client("GUI").ask("EDIT", "echo", "1", id: 1)["version"] == "edited")
    }
  }

  @Test("without a kernel dev says so once and waits; Ctrl-C ends the waiting")
  func noKernelYet() async throws {
    let house = try TemporaryHouse("[persona.EDIT]\nlibrary = \"edit/libEDIT.so\"\n")
    try Self.write("edit", in: house, version: "1")
    try await onThread {
      let dev = try Self.dev(house)
      try dev.expect("waiting for it")
      let other = try Self.dev(house)
      try other.expect("waiting for it")
      kill(other.pid, SIGINT)
      #expect(try other.wait() == 130)
      try house.kernel.start()
      try dev.expect("EDIT live: ")
      #expect(dev.text.matches(of: /waiting for it/).count == 1)
    }
  }

  @Test("what comes with a folder, or goes with it, is a change too")
  func folders() async throws {
    let house = try TemporaryHouse("[persona.EDIT]\nlibrary = \"edit/libEDIT.so\"\n")
    try Self.write("edit", in: house, version: "1")
    try house.kernel.temporary.write(
      "edit/edit.c", "#if __has_include(\"parts/part.h\")\n#include \"parts/part.h\"\n#else\n\(Self.echo("1"))#endif\n")
    try house.kernel.temporary.write("elsewhere/part.h", Self.echo("2"))
    try house.kernel.start()
    try await onThread {
      let dev = try Self.dev(house)
      try dev.expect("EDIT live: ")
      let client = try house.kernel.client("GUI")
      rename(house.path + "/elsewhere", house.path + "/edit/parts")
      try dev.expect("EDIT live: ")
      #expect(try client.ask("EDIT", "echo", "1", id: 1)["version"] == "2")
      rename(house.path + "/edit/parts", house.path + "/elsewhere")
      try dev.expect("EDIT live: ")
      #expect(try client.ask("EDIT", "echo", "1", id: 2)["version"] == "1")
    }
  }

  @Test("a generation that hangs is told with the key that replaces it by force, and the key does it")
  func force() async throws {
    let house = try TemporaryHouse("[reload]\ncall_ms = 700\n[persona.EDIT]\nlibrary = \"edit/libEDIT.so\"\n")
    try Self.write("edit", in: house, version: "1")
    try house.kernel.temporary.write("edit/edit.c", "#define VERSION \"1\"\n#include \"hangs_in_receive.c\"\n")
    try house.kernel.start()
    try await onThread {
      let dev = try ParlorChild(
        ["dev", "EDIT", "--home", house.path], kernel: house.kernel.socket, onTerminal: true, environment: TemporaryHouse.environment)
      try dev.expect("EDIT live: ")
      let client = try house.kernel.client("GUI")
      try client.line(#"{"target":"EDIT","method":"hang","id":1}"#)
      _ = try client.ask("KERNEL", "ping", id: 2)
      try house.kernel.temporary.write("edit/edit.c", Self.echo("2"))
      try dev.expect("press f to replace EDIT by force")
      dev.type("f")
      try dev.expect("EDIT reloaded: generation ")
      #expect(try client.gram { $0.re == "1" }.code == "retired")
      #expect(try client.ask("EDIT", "echo", "1", id: 3)["version"] == "2")
      dev.type("\u{3}")
      #expect(try dev.wait() == 130)
    }
  }

  @Test("a generation that fails its trial is rolled back, and dev says so")
  func rollback() async throws {
    let house = try TemporaryHouse("[persona.EDIT]\nlibrary = \"edit/libEDIT.so\"\n")
    try Self.write("edit", in: house, version: "1")
    try house.kernel.start()
    try await onThread {
      let dev = try Self.dev(house)
      try dev.expect("EDIT live: ")
      try house.kernel.temporary.write("edit/edit.c", "#define VERSION \"2\"\n#include \"fails_health.c\"\n")
      try dev.expect("EDIT rolled back: ")
      try dev.expect("failed its trial: its library card has run out")
      #expect(try house.kernel.client("GUI").ask("EDIT", "echo", "1", id: 1)["version"] == "1")
    }
  }

  @Test("the line where a persona has crashed the kernel is told, and so is a mistake in personas.toml")
  func crash() async throws {
    let house = try TemporaryHouse("[persona.EDIT]\nlibrary = \"edit/libEDIT.so\"\n")
    try Self.write("edit", in: house, version: "1")
    try house.kernel.temporary.write("edit/edit.c", "#define IN_RECEIVE\n#include \"crashes_at_line.c\"\n")
    let makefile = try String(contentsOfFile: house.path + "/edit/Makefile", encoding: .utf8)
    try house.kernel.temporary.write("edit/Makefile", makefile.replacing("-shared", with: "-g -shared"))
    try house.kernel.start()
    try await onThread {
      let dev = try Self.dev(house)
      dev.patience = .seconds(90)
      try dev.expect("EDIT live: ")
      let text = try String(contentsOfFile: house.kernel.toml, encoding: .utf8)
      try house.kernel.temporary.write("personas.toml", text + "promt = \"x\"\n")
      try dev.expect("personas.toml not changed: ")
      try dev.expect("did you mean prompt?")
      try house.kernel.temporary.write("personas.toml", text + "prompt = \"x\"\n")
      try dev.expect("EDIT goes on with prompt of personas.toml")
      let client = try house.kernel.client("GUI")
      try client.line(#"{"target":"EDIT","method":"crash","id":1}"#)
      try dev.expect("EDIT has crashed the kernel: ")
      try dev.expect("crashes_at_line.c:")
      try dev.expect("the kernel is gone")
    }
  }
}
