import FoundationEssentials
import PersonaABI

/// A persona's way to the kernel and its services. Any thread.
///
/// Requests that are made while a gram is handled are made on its behalf: they carry its trace, deadline
/// and hops, and are cancelled when the one who asked has gone.
///
/// ```swift in:receive
///     // A line `config.limit = integer, 5, how many it tells at a time` in the about text declares the key and its default.
///     let limit: Int = (try? kernel.setting("limit")) ?? 5
///     return ["name": .string(kernel.name), "limit": .int(limit), "prompt": kernel.config["prompt"] ?? .null]
/// ```
public struct KernelHandle: Sendable {
  let host: HostReference
  let lane: LaneExecutor
  let about: About

  /// Messages.
  public var bus: Bus { Bus(host: host) }
  /// The language model.
  public var llm: LanguageModel { LanguageModel(host: host) }
  /// The memory: collections of documents, found by their words and their meaning.
  public var rag: Memory { Memory(host: host) }
  /// Values that survive a reload.
  public var state: State { State(host: host) }
  /// Timers.
  public var timer: Timers { Timers(host: host) }
  /// The kernel's log.
  public var log: Log { Log(host: host) }

  /// This persona's part of personas.toml, as it is now, with the defaults of the keys that its about text declares.
  public var config: JSON {
    guard case .object(var members)? = try? JSON(parsing: host.config().utf8) else { return .object([:]) }
    for (key, value) in about.defaults where members[key] == nil { members[key] = value }
    return .object(members)
  }
  /// One key of it, which the about text declares, as a type of yours.
  ///
  /// - Throws: the key is not there and has no default, or its value is of another type.
  public func setting<T: Decodable>(_ key: String, as type: T.Type = T.self) throws -> T {
    let config = config
    guard let value = config[key] else {
      throw KernelError.invalid("persona.\(name).\(key) is not in personas.toml, and the about text of \(name) has no default for it")
    }
    do { return try value.decode(type) } catch {
      throw KernelError.invalid("persona.\(name).\(key) of personas.toml is not what is read there: \(KernelError.words(for: error))")
    }
  }
  /// The name that it goes by here, which may differ from the about text's.
  public var name: String { config["name"]?.string ?? about["name"] ?? "" }

  /// Declares the methods that it can be asked for beside those of the about text, in the place of those that were declared before.
  ///
  /// They belong to this generation: declare them in `start`. Clients, `parlor show` and models that are offered them as tools see them
  /// like the others.
  public func declare(_ methods: [DeclaredMethod]) throws {
    try host.declare(.array(methods.map(\.json)))
    host.declared.withLock { $0 = methods }
  }

  /// Waits, as `timer.sleep` does.
  public nonisolated(nonsending) func sleep(for duration: Duration) async throws { try await timer.sleep(for: duration) }

  /// The C table of a service by its name, for services that this kit does not know; nil: this kernel has none.
  public func service(named name: String) -> UnsafeRawPointer? { host.service(name) }
}

/// Messages to others: `kernel.bus`.
///
/// ```swift in:receive
///     let status = try await kernel.bus.ask("ALFRED", "status", deadline: .seconds(10))
///     try kernel.bus.send("#news", "said", ["content": status["content"] ?? .null])
///     return status
/// ```
public struct Bus: Sendable {
  let host: HostReference

  /// Sends a gram for which no answer is wanted; to a name, "*" for everybody else, or "#topic".
  public func send(_ target: String, _ method: String, _ payload: JSON = .null) throws { try host.send(target, method, payload) }
  /// The same with a payload of a type of yours.
  public func send(_ target: String, _ method: String, encoding payload: some Encodable) throws {
    try send(target, method, JSON(encoding: payload))
  }

  /// Asks, and waits for the reply's payload. Without a deadline of its own it has what the gram at hand has left.
  /// `onPiece` gets what the other streams ahead of it, on the lane.
  public nonisolated(nonsending) func ask(
    _ target: String, _ method: String, _ payload: JSON = .null, deadline: Duration? = nil, onPiece: (@Sendable (String) -> Void)? = nil
  ) async throws -> JSON {
    try JSON(parsing: try await host.ask(target, method, payload, deadline: deadline, onPiece: onPiece).utf8)
  }

  /// Asks, and shows what the other streams to the asker of `gram`, as it comes: its words as parts by `speaker`.
  ///
  /// - Parameter speaker: nil: the target's name.
  public nonisolated(nonsending) func ask(
    _ target: String, _ method: String, _ payload: JSON = .null, through gram: BatGram, as speaker: String? = nil,
    deadline: Duration? = nil, onPiece: (@Sendable (String) -> Void)? = nil
  ) async throws -> JSON {
    let result = try await host.ask(
      target, method, payload, deadline: deadline, through: (gram.token, speaker ?? target), onPiece: onPiece)
    return try JSON(parsing: result.utf8)
  }

  /// Asks in types of yours; an error names what in the reply does not fit.
  public nonisolated(nonsending) func ask<Reply: Decodable>(
    _ target: String, _ method: String, encoding payload: some Encodable, as type: Reply.Type = Reply.self, deadline: Duration? = nil
  ) async throws -> Reply {
    let reply = try await ask(target, method, JSON(encoding: payload), deadline: deadline)
    do { return try reply.decode(type) } catch {
      throw KernelError.invalid("the reply of \(target) to \(method) is not what was expected: \(KernelError.words(for: error))")
    }
  }

  /// From now on grams that are sent to "#topic" come to `receive`.
  public func subscribe(_ topic: String) throws { try host.subscribe(topic, true) }
  /// They come no more.
  public func unsubscribe(_ topic: String) throws { try host.subscribe(topic, false) }
}

/// The language model: `kernel.llm`.
///
/// ```swift in:receive
///     struct Mood: Decodable { var mood: String }
///     let schema: JSON = ["type": "object", "properties": ["mood": ["type": "string"]], "required": ["mood"]]
///     let mood = try await kernel.llm.think("The mood of this, as in {\"mood\":\"calm\"}: \(gram.text ?? "")", as: Mood.self, schema: schema)
///     let answer = try await kernel.llm.think("Answer in a \(mood.mood) way: \(gram.text ?? "")", for: gram, maxTokens: 200)
///     return kernel.reply(answer)
/// ```
public struct LanguageModel: Sendable {
  let host: HostReference

  /// What the model answered.
  public struct Answer: Sendable, Decodable {
    public var text: String
    /// Who answered: a name of personas.toml, which may be that of a fallback.
    public var provider: String?
    public var model: String?
    /// Who was to answer and could not, where `provider` is a fallback.
    public var fallback_from: String?
    /// "stop", or "length" when it ran out of tokens.
    public var finish: String?
    public var prompt_tokens: Int?
    public var completion_tokens: Int?
    /// Turns of the conversation that did not fit the model's window.
    public var forgotten_turns: Int?
    /// For how many of them a summary went along.
    public var summarised_turns: Int?
    /// True: the conversation could not be read or kept; the answer is good.
    public var history_failed: Bool?
    /// The answer, where `format` asked for JSON: it has that form.
    public var json: JSON?
    /// What the model called, in its order; nil: nothing.
    public var tool_calls: [ToolCall]?
  }

  /// One call of a tool that the model made while it answered.
  public struct ToolCall: Sendable, Decodable {
    /// As in "BABS.observe".
    public var tool: String
    public var arguments: JSON
    /// What came of it; nil: it failed.
    public var result: JSON?
    public var error: ToolError?
    /// How long it took, in milliseconds.
    public var ms: Int

    public struct ToolError: Sendable, Decodable {
      public var code: String
      public var message: String
    }

    /// Which method was called, and how that ended, without what was said.
    var summary: JSON {
      var call: [String: JSON] = ["tool": .string(tool), "ms": .int(ms)]
      call["error"] = error.map { .string($0.code) }
      return .object(call)
    }
  }

  /// One turn of a conversation that the kernel has not kept; `role` is "user", "assistant" or "system".
  public struct Turn: Sendable, Codable, Equatable {
    public var role: String
    public var content: String
    public init(role: String, content: String) {
      self.role = role
      self.content = content
    }
  }

  /// Asks the model on behalf of a gram: its thread is the conversation, and the pieces are streamed to its asker. A gram that is not to
  /// be remembered (`BatGram.remembers`) is not, whatever `remember` says.
  ///
  /// - Parameters:
  ///   - system: instead of the prompt in personas.toml.
  ///   - remember: false: neither read nor extend the conversation.
  ///   - provider, model: of personas.toml, in the place of the persona's own.
  ///   - tools: methods of other personas that the model may call, as "BABS.observe" or "ALFRED.*". The kernel calls them on
  ///     behalf of the gram and gives the model what they reply; they must stand in the other's about text.
  ///   - toolRounds: how often it may call before it must answer; nil: 4.
  ///   - format: "json", or a JSON schema that the answer must follow.
  ///   - speaker: whose words the streamed pieces are shown as; nil: the persona's own.
  public nonisolated(nonsending) func think(
    _ text: String, for gram: BatGram, system: String? = nil, remember: Bool = true, format: JSON? = nil, maxTokens: Int? = nil,
    provider: String? = nil, model: String? = nil, tools: [String] = [], toolRounds: Int? = nil, speaker: String? = nil
  ) async throws -> Answer {
    try await think(
      text, thread: gram.thread, system: system, remember: remember && gram.remembers, format: format, maxTokens: maxTokens,
      provider: provider,
      model: model, tools: tools, toolRounds: toolRounds, speaker: speaker, streamTo: gram)
  }

  /// Asks the model. `onPiece` gets the pieces on the lane; `streamTo` shows them to the asker of that gram;
  /// `turns` stand in the place of the thread's history; the same `seed` gives the same answer, as far as the model keeps that.
  public nonisolated(nonsending) func think(
    _ text: String, thread: String = "main", system: String? = nil, remember: Bool = true, format: JSON? = nil, maxTokens: Int? = nil,
    temperature: Double? = nil, provider: String? = nil, model: String? = nil, tools: [String] = [], toolRounds: Int? = nil,
    turns: [Turn]? = nil, seed: Int? = nil, stop: [String] = [], speaker: String? = nil, streamTo: BatGram? = nil,
    onPiece: (@Sendable (String) -> Void)? = nil
  ) async throws -> Answer {
    var question: [String: JSON] = ["text": .string(text), "thread": .string(thread)]
    if !remember { question["remember"] = false }
    question["system"] = system.map { .string($0) }
    question["format"] = format
    question["max_tokens"] = maxTokens.map { .int($0) }
    question["temperature"] = temperature.map { .number($0) }
    question["provider"] = provider.map { .string($0) }
    question["model"] = model.map { .string($0) }
    question["messages"] = try turns.map { try JSON(encoding: $0) }
    if !tools.isEmpty { question["tools"] = .array(tools.map { .string($0) }) }
    question["tool_rounds"] = toolRounds.map { .int($0) }
    question["seed"] = seed.map { .int($0) }
    question["speaker"] = speaker.map { .string($0) }
    if !stop.isEmpty { question["stop"] = .array(stop.map { .string($0) }) }
    let result = try await host.chat(.object(question), streamTo: streamTo?.token ?? 0, onPiece: onPiece)
    return try JSONDecoder().decode(Answer.self, from: Data(result.utf8))
  }

  /// Forgets one conversation of this persona.
  public func forget(thread: String) throws { try host.forget(thread) }
}

/// Values of this persona that the kernel keeps through reloads, for as long as it runs: `kernel.state`.
///
/// ```swift in:receive
///     let count = (try kernel.state.get("count", as: Int.self) ?? 0) + 1
///     try kernel.state.put("count", count)
///     return ["count": .int(count), "keys": .array(try kernel.state.keys(prefix: "c").map { .string($0) })]
/// ```
public struct State: Sendable {
  let host: HostReference

  /// The value of a key, or nil if there is none.
  ///
  /// - Throws: what is kept there is no `T`.
  public func get<T: Decodable>(_ key: String, as type: T.Type = T.self) throws -> T? {
    guard let text = try host.stateValue(key) else { return nil }
    return try JSONDecoder().decode(type, from: Data(text.utf8))
  }
  /// Sets a value; it is seen by the next `get`. All of one persona together have at most 16 MiB.
  public func put(_ key: String, _ value: some Encodable) throws {
    try host.setState(key, String(decoding: JSONEncoder().encode(value), as: UTF8.self))
  }
  /// Removes a value. That there was none is no error.
  public func remove(_ key: String) throws { try host.setState(key, nil) }
  /// The keys that begin so, sorted.
  public func keys(prefix: String = "") throws -> [String] {
    try JSONDecoder().decode([String].self, from: Data(host.stateKeys(prefix).utf8))
  }
}

/// Lines in the kernel's log, under the persona's name: `kernel.log`.
///
/// ```swift in:receive
///     kernel.log.info("\(gram.source) asked for \(gram.method)")
///     return nil
/// ```
public struct Log: Sendable {
  let host: HostReference
  /// For whoever looks for a fault.
  public func debug(_ line: String) { host.log(Int32(PERSONA_LOG_DEBUG), line) }
  /// What happens in the ordinary way.
  public func info(_ line: String) { host.log(Int32(PERSONA_LOG_INFO), line) }
  /// What somebody will be sorry for.
  public func warning(_ line: String) { host.log(Int32(PERSONA_LOG_WARNING), line) }
  /// What did not work.
  public func error(_ line: String) { host.log(Int32(PERSONA_LOG_ERROR), line) }
}
