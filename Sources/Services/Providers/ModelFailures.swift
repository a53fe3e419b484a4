import Kernel
import Protocol
import System

/// How an exchange with a server ended that brought no whole answer.
enum Setback: Equatable {
  /// Nothing answers at the address; why, in curl's words.
  case unreachable(String)
  /// The connection broke, or the body ended before the answer did; so many bytes of text had come.
  case cutOff(String, textBytes: Int)
  /// No byte for so long, after so many bytes of text.
  case silent(milliseconds: Int, textBytes: Int)
  /// Something else than HTTP 200, with the body.
  case status(Int, body: [UInt8], retryAfter: Int?)
  case fault(AnswerFault, textBytes: Int)
  /// The server is elsewhere.
  case moved(to: String)
  /// Something that is no HTTP.
  case notHTTP(String)
  /// It was a whole answer, and it had no text.
  case empty(Answer)
  /// It did not end.
  case endless(bytes: Int)
}

extension Answer {
  /// Ollama has loaded the model, or let it go, and that was all.
  var isOfLoading: Bool { toolCalls.isEmpty && (finish == "load" || finish == "unload") }
}

extension Setback {
  /// The server is not well, or has too much to do: nothing was wrong with the question, and no word of an answer has come.
  var isOfServer: Bool {
    switch self {
    case .unreachable, .cutOff(_, textBytes: 0), .silent(_, textBytes: 0): true
    case .status(let status, _, _): status == 408 || status == 429 || status >= 500
    case .empty(let answer): answer.isOfLoading
    case .fault(.server(let error), textBytes: 0): error.saysBusy
    default: false
    }
  }

  /// The next moment may be better; for silence somebody has waited long enough.
  var isWorthAnotherTry: Bool {
    if case .silent = self { false } else { isOfServer }
  }

  /// There was no connection, or it broke before the first word.
  var isLostConnection: Bool {
    switch self {
    case .unreachable, .cutOff(_, textBytes: 0): true
    default: false
    }
  }

  /// What the server says of it, if it says anything.
  var serverError: ServerError? {
    switch self {
    case .status(_, let body, _): ServerError(body: body)
    case .fault(.server(let error), textBytes: 0): error
    default: nil
    }
  }

  /// What the server says that may be about a part of the request; nil where it is about something else.
  var refusal: ServerError? {
    switch self {
    case .status(401, _, _), .status(402, _, _), .status(408, _, _), .status(429, _, _): nil
    case .status(_, let body, _): ServerError(body: body) ?? ServerError(message: excerpt(body, limit: 2000))
    default: serverError
    }
  }

  /// What the server asks for, in seconds.
  var retryAfter: Int? { if case .status(_, _, let seconds) = self { seconds } else { nil } }
}

extension ModelServer {
  /// A setback as a failure that says what happened, where, and what to do.
  func failure(_ setback: Setback, question: ChatQuestion, prompt: Prompt) -> Failure {
    let failure = describe(setback, question, model: model(for: question) ?? "?", prompt: prompt)
    return Failure(failure.code, key.redacted(failure.message))
  }

  /// It is not asked at all for so long, because it has failed too often; 0: somebody else tries it just now.
  func resting(_ milliseconds: Milliseconds) -> Failure {
    let when = milliseconds > 0 ? "it is asked again in \((milliseconds + 999) / 1000) s" : "one question is trying it now"
    return Failure(.llmUnreachable, "\(address) has failed \(Breaker.limit) times in a row and is left in peace: \(when)")
  }

  private func describe(_ setback: Setback, _ question: ChatQuestion, model: String, prompt: Prompt) -> Failure {
    switch setback {
    case .unreachable(let why):
      let start = kind == .ollama ? "start it with `ollama serve`" : "start it"
      let advice = kind == .local ? "it is started again with the next question" : "\(start), or change [\(section)] url in personas.toml"
      return Failure(.llmUnreachable, "no model server answers at \(address) (\(why)): \(advice)")
    case .cutOff(let why, let count):
      return Failure(.llmCutOff, "\(address) broke off the answer of \(model) \(Self.after(count)) (\(why)): ask again")
    case .silent(let milliseconds, let count):
      return Failure(
        .deadline,
        "\(address) sent nothing for \(milliseconds) ms \(Self.after(count)) of \(model): ask again, or raise [\(section)] silence_ms in personas.toml"
      )
    case .status(let status, let body, let retryAfter): return refusal(status, body, retryAfter, model, prompt)
    case .fault(.server(let error), let count):
      if error.saysTooLong { return tooLong(error, model, prompt) }
      return Failure(.llmRefused, "\(address) gave up on the answer of \(model) \(Self.after(count)): \(error.message)")
    case .fault(.garbled(let start), let count):
      let dialectName = dialect == .ollama ? "Ollama" : "an OpenAI-compatible server"
      return Failure(
        .llmGarbled,
        "\(address) does not answer as \(dialectName) does \(Self.after(count)): “\(start)”. Check [\(section)] provider and url in personas.toml"
      )
    case .moved(let place):
      return Failure(.llmRefused, "\(address) has moved to \(place): put that into [\(section)] url of personas.toml, without \(path)")
    case .notHTTP(let why):
      return Failure(.llmGarbled, "what answers at \(address) is no HTTP server (\(why)): check [\(section)] url in personas.toml")
    case .empty(let answer) where !answer.toolCalls.isEmpty && !question.tools.isEmpty:
      return Failure(
        .llmGarbled,
        "\(model) at \(address) called tools in \(question.toolRounds) rounds, and again instead of an answer: raise \"tool_rounds\"")
    case .empty(let answer) where !answer.toolCalls.isEmpty:
      return Failure(
        .llmGarbled,
        "\(model) at \(address) called \(answer.toolCalls[0].name), though it was offered no tools: ask again, or use another model")
    case .empty(let answer) where answer.isOfLoading:
      return Failure(.llmGarbled, "\(model) at \(address) was only loaded, and said nothing: ask again")
    case .empty(let answer):
      let why =
        answer.finish == "length"
        ? "it used up max_tokens\(answer.hasThought ? " for thinking" : ""): raise max_tokens"
        : answer.hasThought ? "it only thought: ask again" : "ask again, or use another model"
      return Failure(.llmGarbled, "\(model) at \(address) answered without a word (finish: \(answer.finish ?? "none")); \(why)")
    case .endless(let bytes):
      return Failure(.tooLong, "\(model) at \(address) was stopped after \(bytes) bytes of answer: set max_tokens")
    }
  }

  private func refusal(_ status: Int, _ body: [UInt8], _ retryAfter: Int?, _ model: String, _ prompt: Prompt) -> Failure {
    let error = ServerError(body: body)
    let text = error?.message ?? (body.isEmpty ? "without a text" : "“\(excerpt(body))”")
    if let error, error.saysTooLong { return tooLong(error, model, prompt) }
    if let error, error.saysNoModel {
      let advice = kind == .ollama ? "get it with `ollama pull \(model)`" : "see `GET \(base)/models`"
      return Failure(.llmNoModel, "\(address) has no model \"\(model)\" (\(text)): \(advice), or change `model` in personas.toml")
    }
    let refused = "\(address) refused the question (HTTP \(status): \(text))"
    switch status {
    case 401, 403:
      let advice =
        key.source.map { "check the key in \($0.text)" }
        ?? "name the environment variable or the file that holds your key in [\(section)] api_key_env or api_key_file of personas.toml"
      return Failure(.llmRefused, "\(refused): \(advice)")
    case 404, 405:
      return Failure(.llmRefused, "\(refused): check [\(section)] provider and url in personas.toml; asked was POST \(base)\(path)")
    case 429:
      return Failure(
        .llmRefused, "\(refused): too many questions or no credit; \(retryAfter.map { "try again in \($0) s" } ?? "try again later")")
    case 503:
      return Failure(
        .llmRefused, "\(refused): it is loading or overloaded; \(retryAfter.map { "try again in \($0) s" } ?? "try again soon")")
    case 300..<400: return Failure(.llmRefused, "\(refused): it has moved; put its new address into [\(section)] url of personas.toml")
    case 500...: return Failure(.llmRefused, "\(refused): look into the server's log")
    default: return Failure(.llmRefused, "\(refused), model \(model)")
    }
  }

  private var path: String { dialect == .ollama ? "/api/chat" : "/chat/completions" }

  func tooLong(_ error: ServerError?, _ model: String, _ prompt: Prompt) -> Failure {
    let tokens = error?.promptTokens.map { "\($0)" } ?? "about \(prompt.estimated)"
    let room = error?.windowTokens ?? window
    return Failure(
      .llmTooLong,
      "the question and its system prompt alone have \(tokens) tokens, and the window of \(model) at \(address) has \(room): "
        + "shorten them, or raise [\(section)] context_tokens in personas.toml if the model can take more")
  }

  private static func after(_ textBytes: Int) -> String { textBytes == 0 ? "before its first word" : "after \(textBytes) bytes" }
}
