import Foundation
import TestSupport
import Testing
import Wire

@testable import parlor

@Suite("parlor check, the command") struct ParlorCheckTests {
  private func parlor(_ arguments: [String]) async throws -> (exit: Int32, out: String, errors: String) {
    try await onThread {
      let child = try ParlorChild(arguments, kernel: "/nowhere")
      child.endInput()
      let exit = try child.wait()
      return (exit, child.text, child.errorText)
    }
  }

  @Test("a failure exits 1, names the call, and says how to see it again; without one it exits 0")
  func exits() async throws {
    let fragile = try Fixtures.build("fragile", defines: ["FAULT": "unknown_method"])
    let failed = try await parlor(["check", fragile, "--only", "grams.unknown", "--seed", "5"])
    #expect(failed.exit == 1 && failed.errors == "", "\(failed)")
    #expect(failed.out.contains("failure: crashes in receive() of \"check.unknown\" \"null\": SIGABRT (Aborted)"))
    #expect(
      failed.out.contains("FRAGILE 1: 1 failed; seed 5")
        && failed.out.contains("again: parlor check \(fragile) --only grams.unknown --seed 5"))
    let fine = try await parlor(["check", fragile, "--only", "state"])
    #expect(fine.exit == 0 && fine.out.contains("7 ok"), "\(fine)")
  }

  @Test("--json is one object, and tells the same")
  func json() async throws {
    let library = try Fixtures.build("echo")
    let run = try await parlor(["check", library, "--json", "--only", "life", "--seed", "18446744073709551615"])
    let report = try JSON(parsing: run.out.utf8)
    #expect(run.exit == 0 && report["failed"] == false && report["name"] == "ECHO" && report["seed"] == "18446744073709551615")
    let life = try #require(report["tests"]?.array?.first)
    #expect(life["name"] == "life" && life["verdict"] == "ok" && life["findings"] == [])
    let refused = try await parlor(["check", "/etc/passwd", "--json", "--only", "life"])
    #expect(refused.exit == 1 && refused.out.contains("no ELF header"))
  }

  @Test("tests are listed; what is no test and no seed is told; in one process it goes, too")
  func options() async throws {
    let list = try await parlor(["check", "--list"])
    #expect(list.exit == 0 && list.out.hasPrefix("file ") && list.out.contains("\nleaks.grams "))
    #expect(try await parlor(["check", "x.so", "--only", "luck"]).exit == 2)
    #expect(try await parlor(["check", "x.so", "--seed", "-1"]).exit == 2)
    #expect(try await parlor(["check"]).exit == 2)
    let here = try await parlor(["check", try Fixtures.build("echo"), "--in-process", "--only", "state"])
    #expect(here.exit == 0 && here.out.contains("ECHO 1: 3 ok, 3 with warnings, 1 skipped"), "\(here)")
  }

  @Test("a configuration that was named and cannot be read ends it; one with the persona's part is used")
  func configuration() async throws {
    let folder = TemporaryFolder()
    let library = try Fixtures.build("wants_key")
    let without = try await parlor(["check", library, "--only", "life"])
    #expect(without.exit == 1 && without.out.contains("give it with --config personas.toml"))
    let file = try folder.write("personas.toml", "[persona.JANITOR]\nlibrary = \"\(library)\"\nkey = \"brass\"\n")
    let with = try await parlor(["check", library, "--only", "life", "--config", file])
    #expect(with.exit == 0, "\(with)")
    let broken = try folder.write("broken.toml", "[persona")
    let unread = try await parlor(["check", library, "--config", broken])
    #expect(unread.exit == 1 && unread.errors.contains("broken.toml:1") && unread.out == "", "\(unread)")
  }
}
