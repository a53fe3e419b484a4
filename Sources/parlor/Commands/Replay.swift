import Glibc
import Kernel
import Wire
import Workbench

extension Command {
  static let capture = Command(
    name: "capture", usage: "parlor capture NAME [--failed] [--last N | --token T] [--output FILE] | --list [--json]",
    summary: "keep the last messages of a persona in a file, to replay them",
    help: """
      Writes the last message that the persona NAME has worked on, with what it asked of the model and of others, what it
      was answered, and its state and configuration of now: all that `parlor replay` needs. The kernel keeps the last 32
      messages of each persona ([reload] record).

        --failed           the last one that failed
        --last N           the last N; with --failed, of those that failed
        --token T          the one that --list shows with this token
        -o, --output FILE  write into FILE, else to standard output
        --list             only show what the kernel remembers, a line for each message
        --json             that as one line of JSON
      """,
    flags: ["--failed", "--list", "--json"], values: ["--last", "--token", "--output"], operands: 1...1,
    run: { arguments throws(Trouble) in
      if arguments.has("--list") { return try list(arguments) }
      let count = try arguments.count("--last") ?? 1
      let connection = try arguments.connect()
      let name = Names.resolve(arguments.operands[0], among: connection.personas)
      var payload: [String: JSON] = ["name": .string(name), "last": .int(count), "failed": .bool(arguments.has("--failed"))]
      if let token = try arguments.count("--token") { payload["token"] = .int(token) }
      let recording: JSON
      do throws(Trouble) { recording = try connection.ask(Request(method: "recordings.get", payload: .object(payload))) } catch {
        throw Names.explain(error, personas: connection.personas)
      }
      let found = recording["messages"]?.array?.count ?? 0
      let large = recording["left_out"]?.int ?? 0
      if large > 0 {
        try Output.diagnostics.line(
          "parlor: \(large) message\(large == 1 ? " was" : "s were") too large for the kernel to keep, and \(large == 1 ? "is" : "are") left out")
      }
      guard found > 0 else {
        throw Trouble(.failed, "\(name) has no\(arguments.has("--failed") ? " failed" : "") messages that the kernel remembers")
      }
      guard let file = arguments.value("--output") else {
        try Output.answer.line(recording.text)
        return .ok
      }
      do throws(FileError) { try writeFile(file.hasPrefix("/") ? file : currentFolder() + "/" + file, recording.text + "\n") } catch {
        throw Trouble(.failed, error.message)
      }
      try Output.answer.line(
        "kept \(found) message\(found == 1 ? "" : "s") of \(name) in \(file); `parlor replay \(file)` plays \(found == 1 ? "it" : "them") again"
      )
      return .ok
    })

  static let replay = Command(
    name: "replay", usage: "parlor replay FILE… [--library LIBRARY.so] [--persona NAME] [--deadline SECONDS] [--wait] [--json]",
    summary: "play recorded messages to a library, with no kernel and a recorded model",
    help: """
      Runs the persona of each recording in a process of its own, gives it the messages, and answers what it asks of the
      model and of others from the recording. Tells what came of them then and now. Exit status 0: all the same, 1: not, or
      it crashed. A recording that is written by hand is a test (docs/REPLAY.md).

        --library LIBRARY.so  what to run, else what the recording names
        --persona NAME        the name that it goes by, else the recorded one
        --deadline SECONDS    how long one message may take; else 30
        --wait                when the persona is loaded, wait for a debugger to be attached to its process, and for Enter
        --json                a line of JSON for each recording
      """,
    flags: ["--json", "--wait"], values: ["--library", "--persona", "--deadline"], operands: 1...Int.max,
    run: { arguments throws(Trouble) in
      let stage = Stage(command: ["/proc/self/exe", "stage"], limitMilliseconds: try arguments.deadline()?.milliseconds ?? 30_000)
      let wait: ((pid_t) -> Void)? = arguments.has("--wait") ? { waitForDebugger(at: $0) } : nil
      var same = true
      for file in arguments.operands {
        var recording: Recording
        do {
          recording = try Recording(try JSON(parsing: try readBytes(file)))
        } catch let error as FileError {
          throw Trouble(.failed, error.message)
        } catch let error as JSON.Unreadable {
          throw Trouble(.failed, "\(file): \(error.why)")
        } catch {
          throw Trouble(.failed, "\(file): \(error)")
        }
        guard let library = arguments.value("--library") ?? recording.library.map({ $0.hasPrefix("/") ? $0 : parent(of: file) + "/" + $0 })
        else { throw Trouble(.usage, "\(file) names no library: say which one, with --library") }
        guard let path = PersonaSource.real(library) else { throw Trouble(.failed, "\(library): there is no such library") }
        recording.library = path
        if let name = arguments.value("--persona") { recording.persona = name }
        let play: Stage.Play
        do throws(Failure) { play = try stage.play(recording, library: path, onReady: wait) } catch {
          throw Trouble(.failed, "\(file): \(error.message)")
        }
        let comparison = Comparison(recording.messages, play)
        same = same && comparison.isSame
        try Output.answer.write(
          arguments.has("--json") ? comparison.json.text + "\n" : comparison.text(recording.persona, style: Style(for: .answer)))
      }
      return same ? .ok : .failed
    })

  private static func list(_ arguments: Arguments) throws(Trouble) -> ExitCode {
    let connection = try arguments.connect()
    let name = Names.resolve(arguments.operands[0], among: connection.personas)
    var payload: [String: JSON] = ["name": .string(name)]
    payload["last"] = try arguments.count("--last").map(JSON.int)
    let list: JSON
    do throws(Trouble) { list = try connection.ask(Request(method: "recordings.list", payload: .object(payload))) } catch {
      throw Names.explain(error, personas: connection.personas)
    }
    let messages = list["messages"]?.array ?? []
    if arguments.has("--json") {
      try Output.answer.line(list.text)
    } else if messages.isEmpty {
      try Output.answer.line("the kernel remembers no messages of \(name)")
    } else {
      try Output.answer.write(RecordedTable.text(messages, style: Style(for: .answer)))
    }
    return .ok
  }

  /// The child waits until this returns.
  private static func waitForDebugger(at child: pid_t) {
    let told = "parlor: the persona is loaded in process \(child): attach to it (gdb -p \(child)), let it continue, and press Enter here"
    try? Output.diagnostics.line(told)
    var byte: UInt8 = 0
    while true {
      let count = read(0, &byte, 1)
      if count < 0, errno == EINTR { continue }
      if count <= 0 || byte == 0x0a { return }
    }
  }

  /// The hidden word by which parlor starts itself for a replay.
  static let stage = Command(
    name: "stage", usage: "parlor stage", summary: "", help: "parlor starts itself so, for a replay.", isHidden: true,
    run: { _ throws(Trouble) in
      _exit(Stage.perform())
    })

  private static func parent(of path: String) -> String { path.contains("/") ? String(path[..<path.lastIndex(of: "/")!]) : "." }

  static func currentFolder() -> String { PersonaSource.real(".") ?? "/" }
}

/// What the kernel remembers of a persona, a line for each message, oldest first.
enum RecordedTable {
  static func text(_ messages: [JSON], style: Style) -> String {
    let head = ["TOKEN", "FROM", "METHOD", "GEN", "MS", "END", ""]
    let rows = messages.map { message in
      var said = message["error"]?.string ?? message["text"]?.string ?? ""
      if message["too_large"] == true { said = "(too large to be kept) " + said }
      return ["token", "source", "method", "generation", "ms", "end"].map { (message[$0] ?? .null).plain.oneLine(40) } + [said.oneLine(80)]
    }
    let widths = head.indices.map { column in ([head] + rows).map { $0[column].cells }.max() ?? 0 }
    func line(_ cells: [String]) -> String {
      let padded = zip(cells, widths).map { $0.padded($1) }.joined(separator: "  ")
      return String(padded.reversed().drop { $0 == " " }.reversed()) + "\n"
    }
    return style.dim(line(head)) + rows.map(line).joined()
  }
}

/// Messages as they were then, beside what came of them now.
struct Comparison {
  struct Pair {
    var then: Recording.Message
    var now: Recording.Message?
    /// It broke here.
    var broke: String?
    var isSame: Bool { now.map(then.isSame(as:)) ?? false }
  }
  let pairs: [Pair]

  init(_ then: [Recording.Message], _ play: Stage.Play) {
    pairs = then.enumerated().map { index, message in
      let now = index < play.messages.count ? play.messages[index] : nil
      return Pair(then: message, now: now, broke: index == play.messages.count ? play.broke?.message : nil)
    }
  }

  /// What `personas.shadow` answers.
  init(_ json: JSON) throws(Recording.Malformed) {
    var pairs: [Pair] = []
    for entry in json["messages"]?.array ?? [] {
      var pair = Pair(then: try Recording.Message(entry["then"] ?? .null), broke: entry["broke"]?.string)
      if let now = entry["now"] { pair.now = try Recording.Message(now) }
      pairs.append(pair)
    }
    self.pairs = pairs
  }

  var isSame: Bool { pairs.allSatisfy(\.isSame) }

  var json: JSON {
    [
      "same": .bool(isSame),
      "messages": .array(
        pairs.map { pair in
          var entry: [String: JSON] = ["then": pair.then.json, "same": .bool(pair.isSame)]
          entry["now"] = pair.now?.json
          entry["broke"] = pair.broke.map(JSON.string)
          return .object(entry)
        }),
    ]
  }

  /// One line for each message; of those that differ, how.
  func text(_ persona: String, style: Style) -> String {
    var text = ""
    for (index, pair) in pairs.enumerated() {
      let gram = pair.then.gram
      let said = gram.payload["content"]?.string ?? gram.payload["text"]?.string ?? gram.payload.plain
      let verdict =
        pair.broke != nil ? style.bad("broke") : pair.now == nil ? style.dim("not played") : pair.isSame ? "same" : style.bad("differs")
      text += "\(index + 1). \(gram.source.oneLine(40)) \(gram.method.oneLine(40)) \(style.dim(said.oneLine(60))): \(verdict)\n"
      if let broke = pair.broke {
        text += "   then: \(pair.then.end.text.oneLine(300))\n   now:  \(broke.oneLine(300))\n"
      } else if let now = pair.now, !pair.isSame {
        text += differences(pair.then, now)
      }
    }
    let count = pairs.count(where: \.isSame)
    return text + "\(persona): \(count) of \(pairs.count) message\(pairs.count == 1 ? "" : "s") the same\n"
  }

  private func differences(_ then: Recording.Message, _ now: Recording.Message) -> String {
    var text = ""
    let (old, new) = (then.steps.map(\.errand), now.steps.map(\.errand))
    for errand in old where !new.contains(errand) { text += "   then, and not now: it \(Self.short(errand))\n" }
    for errand in new where !old.contains(errand) { text += "   now, and not then: it \(Self.short(errand))\n" }
    if text.isEmpty, old != new { text += "   it wants the same of others, in another order or number\n" }
    guard then.end != now.end else { return text }
    let (was, isNow) = (then.end.text, now.end.text)
    // Where the words are the same, what differs is not among them.
    if was == isNow { return text + "   then: \(Self.whole(then.end).oneLine(500))\n   now:  \(Self.whole(now.end).oneLine(500))\n" }
    return text + "   then: \(was.oneLine(500))\n   now:  \(isNow.oneLine(500))\n"
  }

  private static func whole(_ end: Recording.End) -> String { if case .result(let json) = end { json.text } else { end.text } }

  private static func short(_ errand: Errand) -> String {
    let detail: JSON
    switch errand {
    case .chat(let question): detail = question["text"] ?? question
    case .ask(_, _, let payload), .send(_, _, let payload): detail = payload["content"] ?? payload
    }
    return "\(errand.text): \(detail.plain)".oneLine(300)
  }
}
