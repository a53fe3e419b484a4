import Foundation
import TestSupport
import Testing

@testable import parlor

@Suite("Lines that are kept over starts") struct InputHistoryTests {
  private let temporary = TemporaryFolder()
  private var history: InputHistory { InputHistory(folder: temporary.path + "/state/bat") }
  private var file: String { temporary.path + "/state/bat/parlor-history" }

  @Test("a line is kept once, as the newest, whatever stands in it; the file is its owner's alone")
  func keeping() throws {
    #expect(try history.lines() == [])
    for line in ["one", "two\nlines", "\u{1B}[31m\"é\"", "one"] { try history.add(line) }
    #expect(try history.lines() == ["two\nlines", "\u{1B}[31m\"é\"", "one"])
    var status = stat()
    #expect(stat(file, &status) == 0 && status.st_mode & 0o777 == 0o600)
    try history.forget("one")
    #expect(try history.lines() == ["two\nlines", "\u{1B}[31m\"é\""])
    try history.add(String(repeating: "x", count: 1 << 20))
    #expect(try history.lines().count == 2)
  }

  @Test("there is an end to their number")
  func bounds() throws {
    try history.add("first")
    let many = (0..<InputHistory.mostLines).map { "\"line \($0)\"\n" }.joined()
    try many.write(toFile: file, atomically: true, encoding: .utf8)
    try history.add("last")
    let lines = try history.lines()
    #expect(lines.count == InputHistory.mostLines && lines.last == "last" && lines.first == "line 1")
  }

  @Test("several parlors at once lose nothing")
  func together() async throws {
    let history = history
    await withTaskGroup(of: Void.self) { group in
      for writer in 0..<4 {
        group.addTask { for number in 0..<20 { try? history.add("\(writer)/\(number)") } }
      }
    }
    #expect(Set(try history.lines()).count == 80)
  }

  @Test("lines that cannot be read are passed over, and a place that is no file is told")
  func damage() throws {
    try history.add("good")
    try (Data("\"a\"\nhello\n{}\n\"half".utf8) + [0xFF, 0x0A] + Data("\"b\"\n".utf8)).write(to: URL(fileURLWithPath: file))
    #expect(try history.lines() == ["a", "b"])
    unlink(file)
    #expect(mkfifo(file, 0o600) == 0)
    #expect(throws: InputHistory.Trouble.self) { try history.lines() }
    let blocked = InputHistory(folder: "/proc/nowhere/bat")
    #expect(throws: InputHistory.Trouble.self) { try blocked.add("x") }
    var kept = KeptLines(file: blocked)
    #expect(kept.add(" private") == nil)
    #expect(kept.add("x")?.contains("not kept over starts") == true)
    #expect(kept.add("y") == nil)
  }
}
