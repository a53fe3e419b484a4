import Foundation
import Protocol
import Testing

/// The tables of the pages are made from the types: `BAT_WRITE_PAGES=1 swift test --filter PagesTests` writes them anew.
@Suite("The wire's pages", .serialized) struct PagesTests {
  private static let docs = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs").path

  private static func row(_ cells: String...) -> String { "| " + cells.joined(separator: " | ") + " |" }

  private static func methods(_ methods: [any KernelMethod.Type], dropping prefix: String = "") -> [String] {
    methods.map { type in
      let method = type.method
      return row("`\(method.name.dropFirst(prefix.count))`", method.takes, method.gives, method.summary)
    }
  }

  private static let tables: [(page: String, table: String, lines: [String])] = [
    (
      "WIRE.md", "methods",
      [row("method", "payload", "reply", "what it does"), "|---|---|---|---|"]
        + methods(KernelMethods.all.filter { !$0.method.name.hasPrefix("memory.") })
        + [
          row(
            "`memory.OPERATION`", "of [MEMORY.md](MEMORY.md)", "",
            "the memory's operations; a client may do everything, a persona uses `rag/1`")
        ]
    ),
    (
      "WIRE.md", "events",
      [row("method", "payload", "what it is"), "|---|---|---|"] + KernelEvents.all.map { row("`\($0.name)`", $0.payload, $0.summary) }
    ),
    (
      "WIRE.md", "codes",
      ["`" + Failure.Code.allCases.map(\.rawValue).joined(separator: " ") + "`"]
    ),
    (
      "MEMORY.md", "operations",
      [row("operation", "arguments", "result", "what it does"), "|---|---|---|---|"] + methods(KernelMethods.memory, dropping: "memory.")
    ),
  ]

  @Test("each table says what the types say", arguments: tables.indices)
  func table(index: Int) throws {
    let (page, name, lines) = Self.tables[index]
    let path = "\(Self.docs)/\(page)"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let (begin, end) = ("<!-- \(name) -->\n", "\n<!-- end -->")
    let from = try #require(text.range(of: begin), "\(page) has no table of \(name)")
    let to = try #require(text.range(of: end, range: from.upperBound..<text.endIndex))
    let told = String(text[from.upperBound..<to.lowerBound])
    let right = lines.joined(separator: "\n")
    if told != right, ProcessInfo.processInfo.environment["BAT_WRITE_PAGES"] != nil {
      try text.replacingCharacters(in: from.upperBound..<to.lowerBound, with: right).write(toFile: path, atomically: true, encoding: .utf8)
    }
    #expect(told == right, "BAT_WRITE_PAGES=1 swift test --filter PagesTests writes it anew")
  }

  @Test("each method has a name of its own")
  func names() { #expect(Set(KernelMethods.descriptions.map(\.name)).count == KernelMethods.all.count) }
}
