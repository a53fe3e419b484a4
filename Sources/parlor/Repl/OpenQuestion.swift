import Client
import Protocol

/// A request of the conversation that has not ended, and what is done with its reply.
struct OpenQuestion {
  enum Use {
    case answer(from: String)
    /// What is printed of the reply.
    case table((Payload, Style) throws -> String)
    case receipts(of: Set<String>)
  }

  /// As it was written.
  let line: String
  let request: Request
  let use: Use
  /// Its number on the connection.
  var id = 0
  var printer: AnswerPrinter
  /// A piece or a step of the answer has been shown.
  var hasStreamed = false

  /// - Parameter columns: of the terminal on which the answer is shown; nil: it goes to a file or a pipe.
  init(line: String, request: Request, use: Use, columns: Int?) {
    self.line = line
    self.request = request
    self.use = use
    var persona: String?
    if case .answer(let name) = use { persona = name }
    printer = AnswerPrinter(columns: columns, persona: persona)
  }

  /// A method of `KERNEL` whose reply is shown.
  init<M: KernelMethod>(line: String, _ method: M, show: @escaping (M.Reply, Style) -> String) {
    self.init(
      line: line, request: Request(method),
      use: .table { payload, style in show(try payload.reply(to: M.self), style) }, columns: nil)
  }

  /// Whether somebody thinks about it: then it may be what has ended the kernel.
  var isForPersona: Bool { if case .answer = use { true } else { false } }

  /// Whether the reply to it tells what became of that persona.
  func tells(of persona: String) -> Bool {
    if case .receipts(let names) = use { names.contains(persona) } else { false }
  }
}
