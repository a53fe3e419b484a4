import Glibc
import Protocol
import Wire

extension Command {
  static let conversation = Command(
    name: "", usage: "parlor [--thread T]", summary: "talk with the personas",
    help: """
      Without a command, parlor is a conversation: write, and the persona that the prompt names answers.
      `@NAME text` speaks to another one and stays with it. /help says what else can be written.
      Where standard input is no terminal, each of its lines is a question; the exit status is the last one's.

        --thread T     which conversation with the personas to go on with; else the main one. With --name, that is your own
      """,
    values: ["--thread"],
    run: { arguments throws(CLIError) in
      Signals.catching([SIGINT, SIGTERM, SIGHUP, SIGWINCH])
      let connection = try KernelConnection(path: arguments.socketPath, name: arguments.value("--name"))
      let console = try Console()
      let repl = Repl(console: console, connection: connection, name: arguments.value("--name"), thread: arguments.value("--thread"))
      do throws(CLIError) {
        let exit = try repl.run()
        try console.close()
        return exit
      } catch {
        // The first trouble is the one to tell.
        try? console.close()
        throw error
      }
    })
}

/// The conversation: one loop over the keyboard, the kernel and the signals. One thread.
final class Repl {
  private let console: Console
  /// `nil` while the kernel is gone.
  private var connection: KernelConnection?
  private let path: String
  private let name: String?
  private var thread: String?
  private var personas: [String] = []
  /// Whom the prompt names.
  private var persona: String?
  private var open: OpenQuestion?
  /// What the kernel's end left without an answer; asked again by ourselves only where nobody can be asked.
  private var unanswered: OpenQuestion?
  /// Notes that wait for the end of a line of the answer.
  private var notes: [String] = []
  /// Of the last answer that had some.
  private var citations = Citations(of: .null)
  private var backOff = BackOff()
  /// The prompt saw Ctrl-C just now; a second one quits.
  private var quitAnnounced = false
  private var exit = ExitCode.ok

  init(console: Console, connection: KernelConnection, name: String?, thread: String?) {
    self.console = console
    self.connection = connection
    path = connection.path
    self.name = name
    self.thread = thread
    learn(connection.personas)
  }

  func run() throws(CLIError) -> ExitCode {
    if console.isInteractive {
      let version = connection?.welcome["version"]?.plain ?? "?"
      try console.note(console.style.dim("kernel \(version) · \(personas.joined(separator: ", ").harmless) · /help says what to write"))
    }
    try prompt()
    while true {
      while let event = try console.nextEvent() {
        if let exit = try handle(event) { return exit }
      }
      var descriptors = [Signals.descriptor]
      if console.wantsInput { descriptors.append(0) }
      if let connection { descriptors.append(connection.descriptor) }
      let ready = waitForInput(descriptors, for: connection == nil ? backOff.left : nil)
      while let signal = Signals.take() {
        switch signal {
        case SIGWINCH: try console.resized()
        case SIGINT where open != nil: try stop()
        case SIGINT where console.isInteractive: if let exit = try handle(.interrupt) { return exit }
        default: return .interrupted
        }
      }
      if ready.contains(0) { try console.read() }
      if let connection, ready.contains(connection.descriptor) {
        try surviving { () throws(CLIError) in for gram in try connection.receive() { try handle(gram) } }
      }
      if connection == nil, backOff.isDue { try reconnect() }
    }
  }

  private func prompt() throws(CLIError) {
    console.editor.completions = personas.map { "@" + $0 } + Line.commands
    // Lines that nobody types wait for the kernel: they are not lost.
    if connection == nil, !console.isInteractive { return }
    let place = connection == nil ? " (no kernel)" : thread.map { "/\($0)" } ?? ""
    try console.showPrompt("\(persona ?? "nobody")\(place)> ".oneLine(100))
  }

  private func learn(_ names: [String]) {
    personas = names
    if persona == nil { persona = Names.usual(among: names) }
  }

  // MARK: What the person does

  private func handle(_ event: Console.Event) throws(CLIError) -> ExitCode? {
    switch event {
    case .end: return exit
    case .interrupt where open != nil: try stop()
    case .interrupt:
      if quitAnnounced { return .interrupted }
      quitAnnounced = true
      try console.note(console.style.dim("Ctrl-C once more quits, and so does Ctrl-D"))
    case .line(let line):
      quitAnnounced = false
      if let exit = try handle(line: line) { return exit }
      if open == nil { try prompt() }
    }
    return nil
  }

  private func handle(line: String) throws(CLIError) -> ExitCode? {
    switch Line(line) {
    case .nothing: break
    case .quit: return exit
    case .help: try console.write(Line.helpText + "\n")
    case .wrong(let why): try complain(CLIError(.usage, why))
    case .turn(let name): persona = Names.resolve(name, among: personas)
    case .thread(let name):
      thread = name
      try console.note(console.style.dim(name.map { "now in the conversation \($0.harmless)" } ?? "now in the main conversation"))
    case .say(let name, let text):
      if let name { persona = Names.resolve(name, among: personas) }
      guard let persona else {
        try complain(CLIError(.noPersona, "no persona is loaded: name one with @NAME, or load one with /load NAME"))
        break
      }
      let request = Request.conversation(with: persona, text, thread: thread ?? mainThread, stream: Terminal.has(1))
      try ask(OpenQuestion(line: line, request: request, use: .answer(from: persona), safely: Terminal.has(1)))
    case .open(let number):
      guard number <= citations.all.count else {
        try complain(
          CLIError(
            .usage, citations.all.isEmpty ? "no answer has cited anything yet" : "the last citations go up to \(citations.all.count)")
        )
        break
      }
      let citation = citations.all[number - 1]
      try ask(Citations.request(citation), for: line) { Citations.passage($0, citation, style: $1) }
    case .personas:
      try ask(Request(method: "personas.list"), for: line) { PersonaTable.text($0["personas"]?.array ?? [], style: $1) }
    case .stats: try ask(Request(method: "stats"), for: line) { StatsText.text($0, style: $1) }
    case .who:
      let me = "you are \(connection?.name.harmless ?? "?"), at \(path.harmless)\n"
      try ask(Request(method: "stats"), for: line) { stats, _ in
        me
          + "kernel \(stats["version"]?.plain ?? "?"), pid \(stats["pid"]?.plain ?? "?"), \(stats["connections"]?.plain ?? "?") connections\n"
      }
    case .forget: try forget(line)
    case .load(let name): try change("load", [name], for: line)
    case .unload(let name): try change("unload", [name], for: line)
    case .rollback(let name): try change("rollback", [name], for: line)
    case .reload(let names, let force): try change("reload", names.isEmpty ? [persona].compactMap(\.self) : names, force: force, for: line)
    }
    return nil
  }

  /// The main conversation: who gave a name has one under it, the others share one, which the next parlor goes on with.
  private var mainThread: String? { name == nil ? "main" : nil }

  private func forget(_ line: String) throws(CLIError) {
    guard let persona, let thread = thread ?? mainThread ?? name else {
      return try complain(CLIError(.noPersona, "turn to a persona first, with @NAME"))
    }
    let request = Request(method: "history.forget", payload: ["persona": .string(persona), "thread": .string(thread)])
    try ask(request, for: line) { counts, style in
      let said = HistoryText.forgotten(counts, persona: persona, thread: thread)
      return (counts["turns"]?.int ?? 0) > 0 ? style.dim(said) + "\n" : said + ": `parlor history \(persona)` lists what is kept\n"
    }
  }

  private func change(_ verb: String, _ names: [String], force: Bool = false, for line: String) throws(CLIError) {
    let names = names.map { Names.resolve($0, among: personas) }
    guard let first = names.first else { return try complain(CLIError(.noPersona, "name the persona: /\(verb) NAME")) }
    var payload: [String: JSON] = verb == "reload" ? ["names": .array(names.map(JSON.string))] : ["name": .string(first)]
    if force { payload["force"] = true }
    let request = Request(method: "personas.\(verb)", payload: .object(payload))
    try ask(OpenQuestion(line: line, request: request, use: .receipts(of: Set(names)), safely: true))
  }

  private func ask(_ request: Request, for line: String, show: @escaping (JSON, Style) -> String) throws(CLIError) {
    try ask(OpenQuestion(line: line, request: request, use: .table(show), safely: true))
  }

  private func ask(_ question: OpenQuestion) throws(CLIError) {
    guard let connection else {
      console.editor.set(question.line)
      return try console.note("the kernel is still gone: your line is kept here")
    }
    var question = question
    exit = .ok
    try surviving { () throws(CLIError) in
      question.id = try connection.start(question.request)
      open = question
      if case .answer(let persona) = question.use { try console.wait(for: "\(persona) is thinking (Ctrl-C stops it)") }
    } orElse: {
      open = question
    }
  }

  /// Ctrl-C during an answer. We are back at once; what may still come of it is left alone.
  private func stop() throws(CLIError) {
    guard var question = open else { return }
    open = nil
    try console.write(question.printer.closeLine())
    if let connection { try surviving { () throws(CLIError) in try connection.cancel(question.id) } }
    exit = .interrupted
    try console.note(console.style.dim("(stopped)"))
    try flushNotes()
    try prompt()
  }

  // MARK: What comes from the kernel

  private func handle(_ gram: Gram) throws(CLIError) {
    if let re = gram.re {
      // Another number is of a question that was stopped.
      if var question = open, re == question.id { try handle(gram, of: &question) }
    } else if gram.method == "receipt" {
      try handle(Receipt(json: gram.payload))
    } else if gram.source == "KERNEL" {
      if gram.method == "error" { try note(console.style.bad(CLIError(errorPayload: gram.payload).message.harmless)) }
    } else {
      try note("\(console.style.name(gram.source.oneLine(64))): \(AnswerPrinter.content(of: gram.payload).harmless)")
      guard let id = gram.id else { return }
      try connection?.send([
        "target": .string(gram.source), "method": "error", "re": id,
        "payload": ["code": "unknown_method", "message": "a person at a terminal reads this; nothing answers requests here"],
      ])
    }
  }

  private func handle(_ gram: Gram, of question: inout OpenQuestion) throws(CLIError) {
    if gram.method == "delta" {
      try show(gram.payload["text"]?.string ?? "", of: &question)
      open = question
      return
    }
    open = nil
    if gram.method == "error" {
      try console.write(question.printer.closeLine())
      try complain(Names.explain(CLIError(errorPayload: gram.payload), personas: personas))
    } else {
      switch question.use {
      case .answer(let persona) where gram.payload == .null:
        try console.write(question.printer.closeLine())
        try console.note(console.style.dim("(\(persona.harmless) has nothing to say)"))
      case .answer:
        try console.write(question.printer.finish(AnswerPrinter.content(of: gram.payload)))
        let cited = Citations(of: gram.payload)
        if !cited.all.isEmpty { citations = cited }
        for line in cited.lines(hint: console.isInteractive ? "/open 1 shows it" : nil) { try console.note(console.style.dim(line)) }
      case .table(let show): try console.write(show(gram.payload, console.style))
      case .receipts:
        for receipt in (gram.payload["receipts"]?.array ?? [gram.payload]).map(Receipt.init) { try tell(receipt) }
      }
    }
    try flushNotes()
    try prompt()
  }

  /// Prints a piece of the answer; notes that wait go in after its first whole line.
  private func show(_ text: String, of question: inout OpenQuestion) throws(CLIError) {
    guard !notes.isEmpty, let newline = text.firstIndex(where: \.isNewline) else { return try console.write(question.printer.delta(text)) }
    let next = text.index(after: newline)
    try console.write(question.printer.delta(String(text[..<next])))
    try flushNotes()
    if next < text.endIndex { try console.write(question.printer.delta(String(text[next...]))) }
  }

  private func handle(_ receipt: Receipt) throws(CLIError) {
    switch receipt.json["outcome"]?.string {
    case "unloaded": learn(personas.filter { $0 != receipt.persona })
    case "loaded" where !personas.contains(receipt.persona): learn(personas + [receipt.persona])
    default: break
    }
    console.editor.completions = personas.map { "@" + $0 } + Line.commands
    // The reply to our own request tells it.
    if case .receipts(let names)? = open?.use, names.contains(receipt.persona) { return }
    if open == nil || open?.printer.atLineStart == true { try tell(receipt) } else { notes.append(painted(receipt)) }
  }

  private func painted(_ receipt: Receipt) -> String {
    let sentence = receipt.sentence.oneLine(1000)
    return receipt.refused ? console.style.bad(sentence) : console.style.dim(sentence)
  }

  private func tell(_ receipt: Receipt) throws(CLIError) {
    if receipt.refused { exit = .failed }
    try console.note(painted(receipt))
  }

  private func note(_ text: String) throws(CLIError) {
    if let open, !open.printer.atLineStart { notes.append(text) } else { try console.note(text) }
  }

  private func flushNotes() throws(CLIError) {
    for note in notes { try console.note(note) }
    notes = []
  }

  private func complain(_ trouble: CLIError) throws(CLIError) {
    exit = trouble.exit
    try console.note(console.style.bad(trouble.message.harmless))
  }

  // MARK: A kernel that goes and comes

  /// Does something with the kernel; if it turns out to be gone, we go on without it.
  private func surviving(
    _ body: () throws(CLIError) -> Void, orElse before: () -> Void = {}
  ) throws(CLIError) {
    do { try body() } catch {
      guard error.exit == .noKernel else { throw error }
      before()
      try lost()
    }
  }

  private func lost() throws(CLIError) {
    guard connection != nil else { return }
    connection = nil
    backOff = BackOff()
    let question = open
    open = nil
    if var question { try console.write(question.printer.closeLine()) }
    try flushNotes()
    try console.note(console.style.bad("the kernel at \(path.harmless) is gone: trying again until it is back; `./bat up` starts one"))
    if let question {
      exit = .noKernel
      if !console.isInteractive {
        if question.repeated { throw CLIError(.noKernel, "the kernel went away twice over this question: \(question.line.oneLine(200))") }
        unanswered = question
      } else if console.editor.isEmpty {
        console.editor.set(question.line)
        try console.note("what you asked was not answered: it stands here again; Enter sends it when the kernel is back, Ctrl-C drops it")
      } else {
        console.editor.remember(question.line)
        try console.note("what you asked was not answered: Up brings it back")
      }
    }
    if console.isInteractive { try prompt() } else { try console.hidePrompt() }
  }

  private func reconnect() throws(CLIError) {
    do throws(CLIError) {
      let connection = try KernelConnection(path: path, name: name, within: .seconds(2))
      self.connection = connection
      learn(connection.personas)
      try console.note(console.style.dim("connected again: kernel \(connection.welcome["version"]?.plain ?? "?")"))
      if var question = unanswered {
        unanswered = nil
        question.repeated = true
        try console.note("asking again, since it was not answered: \(question.line.oneLine(200))")
        try ask(question)
      }
      if open == nil { try prompt() }
    } catch {
      guard error.exit == .noKernel else { throw error }
      backOff.failed()
    }
  }
}

/// A request that has not ended.
private struct OpenQuestion {
  enum Use {
    case answer(from: String)
    case table((JSON, Style) -> String)
    case receipts(of: Set<String>)
  }

  /// As it was written.
  let line: String
  let request: Request
  let use: Use
  var id = 0
  var printer: AnswerPrinter
  /// It was asked before, and the kernel went away.
  var repeated = false

  init(line: String, request: Request, use: Use, safely: Bool) {
    self.line = line
    self.request = request
    self.use = use
    printer = AnswerPrinter(safely: safely)
  }
}

/// How long to wait before the kernel is tried again: 0.1 s, doubled up to 5 s.
private struct BackOff {
  private var pause = Duration.milliseconds(100)
  private var due = ContinuousClock.now + .milliseconds(100)

  var left: Duration { due - .now }
  var isDue: Bool { due <= .now }

  mutating func failed() {
    pause = min(pause * 2, .seconds(5))
    due = .now + pause
  }
}
