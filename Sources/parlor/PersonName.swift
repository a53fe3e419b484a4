import Glibc
import Protocol
import System
import Wire

/// The name by which a person is known to the kernel: that of `--name`, else of parlor.toml, else of the user.
struct PersonName: Equatable {
  /// Nil: the kernel gives one.
  var name: String?
  /// It was asked for with `--name`: then it is that one to the letter, and conversations go under it.
  var isGiven = false

  /// - Parameter command: empty for the conversation, which has the person's own name; a command is known as "selina-ask" beside it.
  init(_ arguments: Arguments, command: String) {
    if let given = arguments.value("--name") {
      (name, isGiven) = (given, true)
      return
    }
    let own = Self.configured ?? Self.user
    name = own.map { command.isEmpty ? $0 : "\($0)-\(command)" }
    // With the command's name behind it, it may be too long: then the kernel gives one.
    if let long = name, Name.problem(long.utf8) != nil { name = nil }
  }

  /// parlor.toml in $XDG_CONFIG_HOME/bat, else in ~/.config/bat.
  private static var file: String? {
    if let folder = Terminal.environment("XDG_CONFIG_HOME"), folder.hasPrefix("/") { return folder + "/bat/parlor.toml" }
    return Terminal.environment("HOME").flatMap { $0.hasPrefix("/") ? $0 + "/.config/bat/parlor.toml" : nil }
  }

  /// A file that cannot be used is told of, and passed over.
  private static var configured: String? {
    guard let file else { return nil }
    do {
      return try name(in: String(decoding: RegularFile.read(file, atMost: 1 << 16), as: UTF8.self), of: file)
    } catch RegularFile.Trouble.missing {
      return nil
    } catch let error as CLIError {
      try? Output.diagnostics.line("parlor: \(error.message)")
    } catch {
      try? Output.diagnostics.line("parlor: \(file): \(error)")
    }
    return nil
  }

  /// What a text of lines `name = "NAME"` and comments says; nil: nothing.
  static func name(in text: String, of file: String) throws(CLIError) -> String? {
    var name: String?
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      func wrong(_ why: String) -> CLIError { CLIError(.failed, "\(file):\(index + 1): \(why)") }
      let line = line.trimmed
      if line.isEmpty || line.hasPrefix("#") { continue }
      let halves = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard halves.count == 2, halves[0].trimmed == "name" else { throw wrong("the only line here is name = \"NAME\"") }
      let value = halves[1].trimmed
      guard let quote = value.first, quote == "\"" || quote == "'", let end = value.dropFirst().firstIndex(of: quote),
        case let rest = value[value.index(after: end)...].trimmed, rest.isEmpty || rest.hasPrefix("#")
      else { throw wrong("a name stands in quotes, as in name = \"Selina\"") }
      let given = String(value[value.index(after: value.startIndex)..<end])
      if let problem = Name.problem(given.utf8) { throw wrong(problem) }
      name = given
    }
    return name
  }

  /// The user's name as the system knows it, made fit for a name.
  private static var user: String? {
    let entry = getpwuid(getuid()).flatMap { $0.pointee.pw_name }.map { String(cString: $0) }
    return (Terminal.environment("USER") ?? Terminal.environment("LOGNAME") ?? entry).flatMap(Name.like)
  }
}

/// The name of a conversation that is one question: docs/HISTORY.md.
enum AskThread {
  /// A new one, which tells when it was begun.
  static func new() -> String {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let time = localTime(Int64(now.tv_sec) * 1000, "%Y%m%d-%H%M%S")
    return "\(History.askPrefix)\(time)-" + String(UInt32.random(in: 0x1000_0000...UInt32.max), radix: 16)
  }
}
