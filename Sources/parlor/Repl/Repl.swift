import Client
import Glibc
import Protocol
import System

/// The conversation: one loop over the keyboard, the kernel and the signals. One thread.
final class Repl {
  private let console: Console
  private let link: KernelLink
  private let name: PersonName
  private var thread: String?
  private var kept: KeptLines
  /// As of the last connection.
  private var personas: [String] = []
  /// Whom the prompt names.
  private var persona: String?
  private var open: OpenQuestion?
  /// Who is asked next of those whom `@all` means, and what all of them are asked.
  private var round: (names: ArraySlice<String>, text: String, line: String)?
  private var margin = Margin()
  private var suspects = SuspectLines()
  /// Of the last answer that had some.
  private var citations = Citations()
  /// The prompt saw Ctrl-C just now; a second one quits.
  private var quitAnnounced = false
  private var exit = ExitCode.ok

  init(console: Console, connection: KernelConnection, name: PersonName, thread: String?) {
    self.console = console
    link = KernelLink(connection, name: name.name, distinct: !name.isGiven, pauses: (.milliseconds(100), .seconds(5)))
    self.name = name
    self.thread = thread
    kept = KeptLines(file: console.isInteractive ? InputHistory.usual : nil)
    learn(connection.personas)
  }

  func run() throws -> ExitCode {
    if console.isInteractive {
      let version = link.connection?.version ?? "?"
      let here = personas.map(\.shownName).joined(separator: ", ")
      try console.note(console.style.dim("kernel \(version) · \(here) · /help says what to write"))
      try tell(kept.read { console.editor.begin(with: $0) })
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
      let now = ContinuousClock.now
      let limit = [link.timeout(now), margin.left(now)].compactMap(\.self).min()
      let ready = waitForInput(descriptors, writing: writing, for: limit)
      if let exit = try takeSignals() { return exit }
      if ready.contains(0) { try console.read() }
      for event in try link.advance(.now) { try handle(event) }
      if open?.printer.atLineStart ?? true { try tellMargin(all: false) }
    }
  }

  private func takeSignals() throws -> ExitCode? {
    while let signal = Signals.take() {
      switch signal {
      case SIGWINCH:
        if let columns = Terminal.answerColumns { open?.printer.resize(columns) }
        try console.resized()
      case SIGTSTP: try console.suspend()
      case SIGCONT: try console.resumed()
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
    console.readsAhead = link.connection == nil
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
    case .tooMuchPasted(let bytes):
      try complain(
        CLIError(.usage, "the paste has \(bytes) bytes, and a line takes \(KeyReader.longestPaste): `parlor ask - < FILE` asks with a file")
      )
    case .interrupt where open != nil: try stop()
    case .interrupt:
      if quitAnnounced { return .interrupted }
      quitAnnounced = true
      try console.note(console.style.dim("Ctrl-C once more quits, and so does Ctrl-D"))
    case .line(let line):
      quitAnnounced = false
      if console.isInteractive, suspects.holdsBack(line) {
        console.offer(line)
        try console.note(
          "this line was with the kernel when it ended, or when a persona was replaced: Enter once more sends it all the same")
        try prompt()
        return nil
      }
      try tell(kept.add(line))
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
    case .turn(let name): try turn(to: name)
    case .thread(let name):
      thread = name
      try console.note(console.style.dim(name.map { "now in the conversation \($0.harmless)" } ?? "now in the main conversation"))
    case .say(let name, let text):
      if let name, !(try turn(to: name)) { break }
      try say(text, to: persona, for: line)
    case .sayToAll(let text):
      round = (personas[...], text, line)
      try goRound()
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

  /// Whether there is such a persona; if not, the prompt stays as it is.
  @discardableResult
  private func turn(to name: String) throws -> Bool {
    guard let found = Names.find(name, among: personas) else {
      let error = CLIError(.noPersona, "nobody is called \(name.shownName)")
      try complain(Names.explain(error, personas: personas))
      return false
    }
    persona = found
    return true
  }

  /// The main conversation: who gave a name has one under it, the others share one, which the next parlor goes on with.
  private var mainThread: String? { name.isGiven ? nil : "main" }

  private func say(_ text: String, to persona: String?, for line: String) throws {
    guard let persona else {
      return try complain(CLIError(.noPersona, "no persona is loaded: name one with @NAME, or load one with /load NAME"))
    }
    guard let connection = link.connection else { return try keep(line) }
    let request = connection.conversation(with: persona, text, thread: thread ?? mainThread, stream: Terminal.answerColumns != nil)
    var question = OpenQuestion(line: line, request: request, use: .answer(from: persona), columns: Terminal.answerColumns)
    if round != nil { try console.stream(question.printer.head()) }
    try ask(question)
  }

  /// Asks the next one of those whom `@all` means.
  private func goRound() throws {
    guard var round, let next = round.names.popFirst() else {
      if round?.text != nil, personas.isEmpty { try complain(CLIError(.noPersona, "no persona is loaded: load one with /load NAME")) }
      round = nil
      return
    }
    self.round = round
    try say(round.text, to: next, for: round.line)
    if open == nil { self.round = nil }
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
    guard let persona, let thread = thread ?? mainThread ?? name.name else {
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
    try ask(OpenQuestion(line: line, request: request(names), use: .receipts(of: Set(names)), columns: nil))
  }

  private func ask(_ question: OpenQuestion) throws {
    guard let connection = link.connection else { return try keep(question.line) }
    var question = question
    exit = .ok
    do throws(ClientError) { question.id = try connection.start(question.request) } catch { return try complain(CLIError(error)) }
    open = question
    if case .answer(let persona) = question.use { try console.wait(for: "\(persona) is thinking (Ctrl-C stops it)") }
  }

  /// The kernel is away. What is typed already is a draft of its own.
  private func keep(_ line: String) throws {
    try console.note("the kernel is still gone: \(console.offer(line) ? "your line is kept here" : "Up brings your line back")")
  }

  /// Why lines are not kept, if that is so.
  private func tell(_ trouble: String?) throws { if let trouble { try console.note(console.style.dim(trouble)) } }

  /// Ctrl-C during an answer. We are back at once; what may still come of it is left alone.
  private func stop() throws {
    guard var question = open else { return }
    (open, round) = (nil, nil)
    try console.stream(question.printer.closeLine())
    link.connection?.cancel(question.id)
    exit = .interrupted
    try console.note(console.style.dim("(stopped)"))
    try tellMargin(all: true)
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
        try console.stream(question.printer.closeLine())
        if report.code == Failure.Code.retired.rawValue, question.isForPersona { try suspect(question) }
        try complain(Names.explain(CLIError(report), personas: personas))
      }
    case .receipt(let receipt): try handle(receipt)
    case .error(let report): try note(console.style.bad(CLIError(report).message.harmless))
    case .gram(let gram):
      try note("\(console.style.name(gram.source.shownName)): \(AnswerPrinter.content(of: gram.payload.json).harmless)")
      link.connection?.refuse(gram, Failure(.unknownMethod, "a person at a terminal reads this; nothing answers requests here"))
    // Answers to a question that was stopped; copies that nobody has asked for.
    case .delta, .reply, .failure, .tap, .welcome: break
    }
  }

  private func show(_ delta: Delta) throws {
    guard var question = open else { return }
    if let event = delta.event, let line = ProgressText.line(event) {
      try note(console.style.dim(line))
    }
    if let text = delta.text { try show(text, speaker: delta.speaker, of: &question) }
    question.hasStreamed = true
    open = question
  }

  /// Prints a piece of the answer; notes that wait go in after its first whole line.
  private func show(_ text: String, speaker: String?, of question: inout OpenQuestion) throws {
    guard !margin.isEmpty, let newline = text.firstIndex(where: \.isNewline) else {
      return try console.stream(question.printer.delta(text, speaker: speaker))
    }
    let next = text.index(after: newline)
    try console.stream(question.printer.delta(String(text[..<next]), speaker: speaker))
    if question.printer.atLineStart { try tellMargin(all: true) }
    if next < text.endIndex { try console.stream(question.printer.delta(String(text[next...]), speaker: speaker)) }
  }

  /// The open question has ended: shows how, and asks for the next line.
  private func end(_ show: (inout OpenQuestion) throws -> Void) throws {
    guard var question = open else { return }
    open = nil
    try show(&question)
    try tellMargin(all: true)
    if round != nil { try goRound() }
    if open == nil { try prompt() }
  }

  private func show(_ payload: Payload, of question: inout OpenQuestion) throws {
    do {
      switch question.use {
      case .answer(let persona) where payload.isNull:
        try console.stream(question.printer.closeLine())
        try console.note(console.style.dim("(\(persona.shownName) has nothing to say)"))
      case .answer:
        let answer = payload.json
        try console.stream(question.printer.finish(AnswerPrinter.content(of: answer)))
        for line in AnswerNotes.lines(answer, streamed: question.hasStreamed) { try console.note(console.style.dim(line)) }
        let cited = Citations(of: answer)
        if !cited.all.isEmpty { citations = cited }
        for line in cited.lines(hint: console.isInteractive ? "/open 1 shows it" : nil) { try console.note(console.style.dim(line)) }
      case .table(let text): try console.write(try text(payload, console.style))
      case .receipts:
        for receipt in try Receipt.all(in: payload) {
          if receipt.isRefused { exit = .failed }
          try console.note(painted(.init(text: receipt.sentence.oneLine(1000), isRefused: receipt.isRefused)))
        }
      }
    } catch let error as ClientError {
      try complain(CLIError(error))
    }
  }

  private func handle(_ receipt: Receipt) throws {
    if let connection = link.connection { learn(connection.personas) }
    console.editor.completions = personas.map { "@" + $0 } + Line.commands
    // The reply to our own request tells it.
    if open?.tells(of: receipt.persona) != true { margin.add(receipt, now: .now) }
  }

  private func painted(_ line: ReceiptDigest.Line) -> String {
    line.isRefused ? console.style.bad(line.text) : console.style.dim(line.text)
  }

  private func note(_ text: String) throws {
    if let open, !open.printer.atLineStart { margin.add(text) } else { try console.note(text) }
  }

  /// Tells what has waited; `all`: also receipts to which others might still come.
  private func tellMargin(all: Bool) throws {
    for line in margin.take(.now, all: all, paint: painted) { try console.note(line) }
  }

  private func complain(_ error: CLIError) throws {
    exit = error.exit
    try console.note(console.style.bad(error.message.harmless))
  }

  // MARK: A kernel that goes and comes

  private func lost() throws {
    let question = open
    (open, round) = (nil, nil)
    if var question { try console.stream(question.printer.closeLine()) }
    try tellMargin(all: true)
    try console.note(console.style.bad("the kernel at \(link.path.harmless) is gone: trying again until it is back; `./bat up` starts one"))
    if let question {
      exit = .noKernel
      try suspect(question)
      try console.note("it ended before it had answered: \(question.line.oneLine(200))")
      if console.isInteractive { try console.note("Up brings that back; it is not asked again by itself") }
    }
    if console.isInteractive { try prompt() } else { try console.hidePrompt() }
    console.readsAhead = true
  }

  /// It may be what has ended the kernel, or a persona: it is asked again only by somebody who knows that.
  private func suspect(_ question: OpenQuestion) throws {
    guard console.isInteractive, question.isForPersona else { return }
    suspects.mark(question.line)
    try tell(kept.forget(question.line))
  }

  private func returned() throws {
    guard let connection = link.connection else { return }
    learn(connection.personas)
    try console.note(console.style.dim("connected again: kernel \(connection.version)"))
    if open == nil { try prompt() }
  }
}
