import Client
import Glibc
import Protocol
import System

/// The conversation: one loop over the keyboard, the kernel and the signals. One thread.
final class Repl {
  private let console: Console
  private let link: KernelLink
  /// The name that the user has given.
  private let name: String?
  private var thread: String?
  /// As of the last connection.
  private var personas: [String] = []
  /// Whom the prompt names.
  private var persona: String?
  private var open: OpenQuestion?
  /// What the kernel's end left without an answer; asked again by ourselves only where nobody can be asked.
  private var unanswered: OpenQuestion?
  /// Notes that wait for the end of a line of the answer.
  private var notes: [String] = []
  /// Of the last answer that had some.
  private var citations = Citations()
  /// The prompt saw Ctrl-C just now; a second one quits.
  private var quitAnnounced = false
  private var exit = ExitCode.ok

  init(console: Console, connection: KernelConnection, name: String?, thread: String?) {
    self.console = console
    link = KernelLink(connection, name: name, pauses: (.milliseconds(100), .seconds(5)))
    self.name = name
    self.thread = thread
    learn(connection.personas)
  }

  func run() throws -> ExitCode {
    if console.isInteractive {
      let version = link.connection?.version ?? "?"
      try console.note(console.style.dim("kernel \(version) · \(personas.joined(separator: ", ").harmless) · /help says what to write"))
    }
    try prompt()
    while true {
      while let event = try console.nextEvent() {
        if let exit = try handle(event) { return exit }
      }
      var descriptors = [Signals.descriptor]
      if console.wantsInput { descriptors.append(0) }
      if let descriptor = link.descriptor { descriptors.append(descriptor) }
      let writing = link.wantsToWrite ? [link.descriptor].compactMap(\.self) : []
      let ready = waitForInput(descriptors, writing: writing, for: link.timeout(.now))
      if let exit = try takeSignals() { return exit }
      if ready.contains(0) { try console.read() }
      for event in try link.advance(.now) { try handle(event) }
    }
  }

  private func takeSignals() throws -> ExitCode? {
    while let signal = Signals.take() {
      switch signal {
      case SIGWINCH: try console.resized()
      case SIGINT where open != nil: try stop()
      case SIGINT where console.isInteractive: if let exit = try handle(.interrupt) { return exit }
      default: return .interrupted
      }
    }
    return nil
  }

  private func prompt() throws {
    console.editor.completions = personas.map { "@" + $0 } + Line.commands
    // Lines that nobody types wait for the kernel: they are not lost.
    if link.connection == nil, !console.isInteractive { return }
    let place = link.connection == nil ? " (no kernel)" : thread.map { "/\($0)" } ?? ""
    try console.showPrompt("\(persona ?? "nobody")\(place)> ".oneLine(100))
  }

  private func learn(_ names: [String]) {
    personas = names
    if persona == nil { persona = Names.usual(among: names) }
  }

  // MARK: What the person does

  private func handle(_ event: Console.Event) throws -> ExitCode? {
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

  private func handle(line: String) throws -> ExitCode? {
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
      try say(text, for: line)
    case .open(let number): try showCitation(number, for: line)
    case .personas: try ask(OpenQuestion(line: line, Personas.List()) { PersonaTable.text($0.personas, style: $1) })
    case .stats: try ask(OpenQuestion(line: line, Stats()) { StatsText.text($0, style: $1) })
    case .who:
      let me = "you are \(link.connection?.name.harmless ?? "?"), at \(link.path.harmless)\n"
      try ask(
        OpenQuestion(line: line, Stats()) { stats, _ in
          me + "kernel \(stats.version), pid \(stats.pid), \(stats.connections) connections\n"
        })
    case .forget: try forget(line)
    case .load(let name): try change([name], for: line) { Request(Personas.Load(name: $0[0])) }
    case .unload(let name): try change([name], for: line) { Request(Personas.Unload(name: $0[0])) }
    case .rollback(let name): try change([name], for: line) { Request(Personas.Rollback(name: $0[0])) }
    case .reload(let names, let force):
      try change(names.isEmpty ? [persona].compactMap(\.self) : names, for: line) {
        Request(Personas.Reload(names: $0, force: force))
      }
    }
    return nil
  }

  /// The main conversation: who gave a name has one under it, the others share one, which the next parlor goes on with.
  private var mainThread: String? { name == nil ? "main" : nil }

  private func say(_ text: String, for line: String) throws {
    guard let persona else {
      return try complain(CLIError(.noPersona, "no persona is loaded: name one with @NAME, or load one with /load NAME"))
    }
    guard let connection = link.connection else { return try keep(line) }
    let request = connection.conversation(with: persona, text, thread: thread ?? mainThread, stream: Terminal.has(1))
    try ask(OpenQuestion(line: line, request: request, use: .answer(from: persona), safely: Terminal.has(1)))
  }

  private func showCitation(_ number: Int, for line: String) throws {
    guard number <= citations.all.count else {
      let why = citations.all.isEmpty ? "no answer has cited anything yet" : "the last citations go up to \(citations.all.count)"
      return try complain(CLIError(.usage, why))
    }
    let citation = citations.all[number - 1]
    try ask(OpenQuestion(line: line, Citations.request(citation)) { Citations.passage($0, citation, style: $1) })
  }

  private func forget(_ line: String) throws {
    guard let persona, let thread = thread ?? mainThread ?? name else {
      return try complain(CLIError(.noPersona, "turn to a persona first, with @NAME"))
    }
    try ask(
      OpenQuestion(line: line, History.Forget(persona: persona, thread: thread)) { counts, style in
        let said = HistoryText.forgotten(counts, persona: persona, thread: thread)
        return counts.turns > 0 ? style.dim(said) + "\n" : said + ": `parlor history \(persona)` lists what is kept\n"
      })
  }

  private func change(_ names: [String], for line: String, _ request: ([String]) -> Request) throws {
    let names = names.map { Names.resolve($0, among: personas) }
    if names.isEmpty { return try complain(CLIError(.noPersona, "name the persona: /reload NAME")) }
    try ask(OpenQuestion(line: line, request: request(names), use: .receipts(of: Set(names)), safely: true))
  }

  private func ask(_ question: OpenQuestion) throws {
    guard let connection = link.connection else { return try keep(question.line) }
    var question = question
    exit = .ok
    do throws(ClientError) { question.id = try connection.start(question.request) } catch { return try complain(CLIError(error)) }
    open = question
    if case .answer(let persona) = question.use { try console.wait(for: "\(persona) is thinking (Ctrl-C stops it)") }
  }

  private func keep(_ line: String) throws {
    console.editor.set(line)
    try console.note("the kernel is still gone: your line is kept here")
  }

  /// Ctrl-C during an answer. We are back at once; what may still come of it is left alone.
  private func stop() throws {
    guard var question = open else { return }
    open = nil
    try console.write(question.printer.closeLine())
    link.connection?.cancel(question.id)
    exit = .interrupted
    try console.note(console.style.dim("(stopped)"))
    try flushNotes()
    try prompt()
  }

  // MARK: What comes from the kernel

  private func handle(_ event: KernelLink.Event) throws {
    switch event {
    case .lost: try lost()
    case .attached: try returned()
    case .incoming(let incoming): try handle(incoming)
    }
  }

  private func handle(_ incoming: Incoming) throws {
    switch incoming {
    case .delta(open?.id, let delta): try show(delta)
    case .reply(open?.id, let payload): try end { question in try show(payload, of: &question) }
    case .failure(open?.id, let report):
      try end { question in
        try console.write(question.printer.closeLine())
        try complain(Names.explain(CLIError(report), personas: personas))
      }
    case .receipt(let receipt): try handle(receipt)
    case .error(let report): try note(console.style.bad(CLIError(report).message.harmless))
    case .gram(let gram):
      try note("\(console.style.name(gram.source.oneLine(64))): \(AnswerPrinter.content(of: gram.payload.json).harmless)")
      link.connection?.refuse(gram, Failure(.unknownMethod, "a person at a terminal reads this; nothing answers requests here"))
    // Answers to a question that was stopped; copies that nobody has asked for.
    case .delta, .reply, .failure, .tap, .welcome: break
    }
  }

  private func show(_ delta: Delta) throws {
    guard var question = open else { return }
    if let event = delta.event, let line = ProgressText.line(event) {
      if question.printer.atLineStart { try console.note(console.style.dim(line)) } else { notes.append(console.style.dim(line)) }
    }
    if let text = delta.text { try show(text, speaker: delta.speaker, of: &question) }
    open = question
  }

  /// Prints a piece of the answer; notes that wait go in after its first whole line.
  private func show(_ text: String, speaker: String?, of question: inout OpenQuestion) throws {
    guard !notes.isEmpty, let newline = text.firstIndex(where: \.isNewline) else {
      return try console.write(question.printer.delta(text, speaker: speaker))
    }
    let next = text.index(after: newline)
    try console.write(question.printer.delta(String(text[..<next]), speaker: speaker))
    try flushNotes()
    if next < text.endIndex { try console.write(question.printer.delta(String(text[next...]), speaker: speaker)) }
  }

  /// The open question has ended: shows how, and asks for the next line.
  private func end(_ show: (inout OpenQuestion) throws -> Void) throws {
    guard var question = open else { return }
    open = nil
    try show(&question)
    try flushNotes()
    try prompt()
  }

  private func show(_ payload: Payload, of question: inout OpenQuestion) throws {
    do {
      switch question.use {
      case .answer(let persona) where payload.isNull:
        try console.write(question.printer.closeLine())
        try console.note(console.style.dim("(\(persona.harmless) has nothing to say)"))
      case .answer:
        let answer = payload.json
        try console.write(question.printer.finish(AnswerPrinter.content(of: answer)))
        let cited = Citations(of: answer)
        if !cited.all.isEmpty { citations = cited }
        for line in cited.lines(hint: console.isInteractive ? "/open 1 shows it" : nil) { try console.note(console.style.dim(line)) }
      case .table(let text): try console.write(try text(payload, console.style))
      case .receipts: for receipt in try Receipt.all(in: payload) { try tell(receipt) }
      }
    } catch let error as ClientError {
      try complain(CLIError(error))
    }
  }

  private func handle(_ receipt: Receipt) throws {
    if let connection = link.connection { learn(connection.personas) }
    console.editor.completions = personas.map { "@" + $0 } + Line.commands
    // The reply to our own request tells it.
    if open?.tells(of: receipt.persona) == true { return }
    if open == nil || open?.printer.atLineStart == true { try tell(receipt) } else { notes.append(painted(receipt)) }
  }

  private func painted(_ receipt: Receipt) -> String {
    let sentence = receipt.sentence.oneLine(1000)
    return receipt.isRefused ? console.style.bad(sentence) : console.style.dim(sentence)
  }

  private func tell(_ receipt: Receipt) throws {
    if receipt.isRefused { exit = .failed }
    try console.note(painted(receipt))
  }

  private func note(_ text: String) throws {
    if let open, !open.printer.atLineStart { notes.append(text) } else { try console.note(text) }
  }

  private func flushNotes() throws {
    for note in notes { try console.note(note) }
    notes = []
  }

  private func complain(_ error: CLIError) throws {
    exit = error.exit
    try console.note(console.style.bad(error.message.harmless))
  }

  // MARK: A kernel that goes and comes

  private func lost() throws {
    let question = open
    open = nil
    if var question { try console.write(question.printer.closeLine()) }
    try flushNotes()
    try console.note(console.style.bad("the kernel at \(link.path.harmless) is gone: trying again until it is back; `./bat up` starts one"))
    if let question { try keepUnanswered(question) }
    if console.isInteractive { try prompt() } else { try console.hidePrompt() }
  }

  private func keepUnanswered(_ question: OpenQuestion) throws {
    exit = .noKernel
    if !console.isInteractive {
      if question.wasRepeated { throw CLIError(.noKernel, "the kernel went away twice over this question: \(question.line.oneLine(200))") }
      unanswered = question
    } else if console.editor.isEmpty {
      console.editor.set(question.line)
      try console.note("what you asked was not answered: it stands here again; Enter sends it when the kernel is back, Ctrl-C drops it")
    } else {
      console.editor.remember(question.line)
      try console.note("what you asked was not answered: Up brings it back")
    }
  }

  private func returned() throws {
    guard let connection = link.connection else { return }
    learn(connection.personas)
    try console.note(console.style.dim("connected again: kernel \(connection.version)"))
    if var question = unanswered {
      unanswered = nil
      question.wasRepeated = true
      try console.note("asking again, since it was not answered: \(question.line.oneLine(200))")
      try ask(question)
    }
    if open == nil { try prompt() }
  }
}
