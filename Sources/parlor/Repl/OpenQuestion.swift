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
  /// It was asked before, and the kernel went away.
  var wasRepeated = false

  init(line: String, request: Request, use: Use, safely: Bool) {
    self.line = line
    self.request = request
    self.use = use
    var persona: String?
    if case .answer(let name) = use { persona = name }
    printer = AnswerPrinter(safely: safely, persona: persona)
  }

  /// A method of `KERNEL` whose reply is shown.
  init<M: KernelMethod>(line: String, _ method: M, show: @escaping (M.Reply, Style) -> String) {
    self.init(
      line: line, request: Request(method),
      use: .table { payload, style in show(try payload.reply(to: M.self), style) }, safely: true)
  }

  /// Whether the reply to it tells what became of that persona.
  func tells(of persona: String) -> Bool {
    if case .receipts(let names) = use { names.contains(persona) } else { false }
  }
}
