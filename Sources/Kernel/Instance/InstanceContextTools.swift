import Protocol
import Wire

/// What the model calls on behalf of a persona: asks like its own, whose answers go to the model.
extension InstanceContext {
  /// One of them, by the number of its ask.
  struct ToolAsk {
    /// The question during which it is made.
    let chat: UInt64
    let done: @Sendable (Result<[UInt8], Failure>) -> Void
  }

  /// Asks the persona whose method the tool is; `done` is called once. It is no step of the persona's own: what is recorded is
  /// the question's result, which tells of it.
  func callTool(
    _ tool: String, _ arguments: [UInt8], chat: UInt64, conversation: String?, cause: UInt64,
    done: @escaping @Sendable (Result<[UInt8], Failure>) -> Void
  ) {
    guard isAsking(chat), let (target, method) = ToolCatalog.split(tool) else {
      return done(.failure(Failure(.cancelled, "the question during which \(tool) was called has ended")))
    }
    // They come from a model by a service: what makes no gram must not become one.
    guard arguments.withUnsafeBytes(isJSONValue) else { return done(.failure(Failure(.badJSON, "the arguments of \(tool) are no JSON"))) }
    guard arguments.count <= generation.payloadLimit else {
      return done(.failure(Failure(.tooLong, "the arguments of \(tool) have \(arguments.count) bytes, which makes no gram")))
    }
    let number = ThreadInstance.nextRequest()
    toolAsks[number] = ToolAsk(chat: chat, done: done)
    router.ask(
      from: self, request: number, cause: cause, target: Array(target.utf8), method: Array(method.utf8), payload: arguments,
      milliseconds: 0, stream: false, conversation: conversation)
  }

  /// Nobody waits any more for what was called during a question.
  func cancelTools(of chat: UInt64) {
    for (number, ask) in toolAsks where ask.chat == chat {
      if let token = router.requests.token(askedBy: self, id: InstanceAsker.id(number)) {
        router.requests.cancel(token, Failure(.cancelled, "the question to the model has ended"))
      }
    }
  }
}
