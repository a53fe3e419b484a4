import Client
import Protocol
import System
import Wire

/// `parlor ask`: one question, one answer.
struct AskCommand: Command {
  let name = "ask"
  let usage = "parlor ask [-p NAME] [--json] [--no-stream] [--deadline SECONDS] [--thread T|--no-history] [-|TEXT…]"
  let summary = "ask one question; the answer is all that stands on standard output"
  let help = """
    Asks a persona, prints its answer and ends. The question is TEXT…, or standard input when it is `-` or nothing.
    On a terminal the answer appears as it is made; into a pipe or a file it goes whole, once. What else must be known of it
    stands on standard error, a line each: what it cites, that another model has answered, that it was cut, what was called.

      -p, --persona NAME   whom to ask; else BRICK, else the first persona. Upper and lower case do not matter
      --json               print the reply's payload as one line of JSON, and nothing on standard error
      --no-stream          wait for the whole answer on a terminal, too
      --deadline SECONDS   give up after so long (exit status 5)
      --thread T           which of your conversations with it this belongs to, as "main"; else one of its own, which goes after
                           30 days
      --no-history         keep nothing of question and answer
      --                   what follows is TEXT, even if it begins with a dash
    """
  let flags: Set = ["--json", "--no-stream", "--no-history"]
  let values: Set = ["--persona", "--deadline", "--thread"]
  let operands = 0...Int.max

  func run(_ arguments: Arguments) throws -> ExitCode {
    let deadline = try arguments.deadline()
    if arguments.has("--no-history"), arguments.value("--thread") != nil {
      throw CLIError(.usage, "--thread names what is kept, and --no-history keeps nothing: one of them")
    }
    let connection = try arguments.connect()
    let question = try question(arguments.operands, atMost: connection.welcome?.limits.frame_bytes)
    guard let target = arguments.value("--persona") ?? Names.usual(among: connection.personas) else {
      throw CLIError(.noPersona, "no persona is loaded: name one in personas.toml, or see `parlor load --help`")
    }
    let persona = Names.resolve(target, among: connection.personas)
    let json = arguments.has("--json")
    let onTerminal = Terminal.has(Output.answer.descriptor)
    let stream = onTerminal && !json && !arguments.has("--no-stream")
    // Who gave a name has a conversation under it.
    let thread = arguments.value("--thread") ?? (arguments.value("--name") == nil ? AskThread.new() : nil)
    let request = connection.conversation(
      with: persona, question, thread: thread, remember: !arguments.has("--no-history"), stream: stream, deadline: deadline)
    var printer = AnswerPrinter(columns: Terminal.answerColumns, persona: persona)
    do {
      let payload = try answer(to: request, over: connection, &printer)
      if json {
        try Output.answer.json(payload.text)
      } else if payload.isNull {
        try Output.answer.control(printer.closeLine())
        try Output.diagnostics.line("parlor: \(persona) is done, and has nothing to say")
      } else {
        let answer = payload.json
        try Output.answer.control(printer.finish(AnswerPrinter.content(of: answer)))
        for line in AnswerNotes.lines(answer, streamed: stream) { try Output.diagnostics.line("parlor: " + line) }
        for line in Citations(of: answer).lines(hint: nil) { try Output.diagnostics.line(line) }
      }
      return .ok
    } catch {
      try Output.answer.control(printer.closeLine())
      throw Names.explain(CLIError(error), personas: connection.personas)
    }
  }

  private func answer(to request: Request, over connection: KernelConnection, _ printer: inout AnswerPrinter) throws -> Payload {
    let id = try connection.start(request)
    while true {
      switch try connection.wait(for: id) {
      case .end(let payload): return payload
      // Who wants the answer whole has asked for no pieces.
      case .delta where !request.stream: continue
      case .delta(let delta):
        if let event = delta.event, let line = ProgressText.line(event) {
          try Output.answer.control(printer.closeLine())
          try Output.diagnostics.line(Style(for: .diagnostics).dim(line))
        }
        if let text = delta.text { try Output.answer.control(printer.delta(text, speaker: delta.speaker)) }
      }
    }
  }

  private func question(_ operands: [String], atMost limit: Int?) throws(CLIError) -> String {
    let text = operands.isEmpty || operands == ["-"] ? try StandardInput.read(atMost: limit) : operands.joined(separator: " ")
    guard text.contains(where: { !$0.isWhitespace }) else { throw CLIError(.usage, "there is no question: see `parlor ask --help`") }
    return text
  }
}

/// Standard input as one text.
enum StandardInput {
  private static func tooMuch(_ limit: Int) -> CLIError {
    let why = "standard input has more than \(limit) bytes, and the kernel takes \(limit) at the most"
    return CLIError(.failed, why + ": send less, or raise bus.frame_bytes in personas.toml")
  }

  /// All of it, without the newline at its end.
  ///
  /// - Parameter limit: in bytes: what is longer could not be sent, and may have no end.
  static func read(atMost limit: Int?) throws(CLIError) -> String {
    if Terminal.has(0) { try Output.diagnostics.line("parlor: reading the question from the terminal; Ctrl-D ends it") }
    var bytes: [UInt8] = []
    while true {
      let ready = waitForInput([0, Signals.descriptor])
      if Signals.takeInterrupt() { throw CLIError(.interrupted, "") }
      guard ready.contains(0) else { continue }
      let piece: [UInt8]?
      do { piece = try readSome(0) } catch { throw CLIError(.failed, "cannot read standard input: \(error)") }
      guard let piece else { continue }
      if piece.isEmpty { break }
      bytes += piece
      if let limit, bytes.count > limit { throw tooMuch(limit) }
    }
    if bytes.last == 0x0A { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }
}
