import Protocol

/// What one instance has begun and what has not ended yet, by the number of the request. Event loop only.
struct OpenRequests {
  /// A call of the model to another persona, which is an ask whose answer goes to the model.
  struct ToolCall {
    /// The question during which it is made.
    let chat: UInt64
    let done: @Sendable (Result<[UInt8], Failure>) -> Void
    /// What it is at the bus; nil while it is being asked, and once that has ended.
    var token: UInt64?
  }
  private enum Entry {
    /// The event loop's timer.
    case timer(UInt64)
    case chat(any LanguageCall)
    /// With the gram on whose behalf it is done; 0: none.
    case memory(cause: UInt64)
    /// What it is at the bus.
    case ask(token: UInt64)
    case tool(ToolCall)
  }

  private var entries: [UInt64: Entry] = [:]
  /// How many of them are timers, which nobody waits for.
  private var timers = 0

  /// How many the instance waits for: questions to the model, to others and to the memory.
  var count: Int { entries.count - timers }

  private mutating func set(_ request: UInt64, _ entry: Entry?) {
    if case .timer = entries[request] { timers -= 1 }
    entries[request] = entry
    if case .timer = entry { timers += 1 }
  }

  // MARK: Beginning

  mutating func beginTimer(_ request: UInt64, _ timer: UInt64) { set(request, .timer(timer)) }
  mutating func beginChat(_ request: UInt64, _ call: any LanguageCall) { set(request, .chat(call)) }
  mutating func beginMemory(_ request: UInt64, cause: UInt64) { set(request, .memory(cause: cause)) }
  mutating func beginTool(_ request: UInt64, _ call: ToolCall) { set(request, .tool(call)) }

  /// The bus has opened its ask.
  mutating func asked(_ request: UInt64, token: UInt64) {
    if case .tool(var call) = entries[request] {
      call.token = token
      set(request, .tool(call))
    } else {
      set(request, .ask(token: token))
    }
  }

  // MARK: Ending

  func isChat(_ request: UInt64) -> Bool { if case .chat = entries[request] { true } else { false } }

  mutating func endTimer(_ request: UInt64) -> UInt64? {
    guard case .timer(let timer) = entries[request] else { return nil }
    set(request, nil)
    return timer
  }

  mutating func endChat(_ request: UInt64) { if isChat(request) { set(request, nil) } }

  /// The gram on whose behalf it was done; nil: it has ended before.
  mutating func endMemory(_ request: UInt64) -> UInt64? {
    guard case .memory(let cause) = entries[request] else { return nil }
    set(request, nil)
    return cause
  }

  /// The bus has closed its ask. One of the model's waits for its result, which comes next.
  mutating func askEnded(_ request: UInt64) {
    switch entries[request] {
    case .ask: set(request, nil)
    case .tool(var call):
      call.token = nil
      set(request, .tool(call))
    default: break
    }
  }

  mutating func endTool(_ request: UInt64) -> ToolCall? {
    guard case .tool(let call) = entries[request] else { return nil }
    set(request, nil)
    return call
  }

  // MARK: Looking

  /// Of a question to the model, the call to end it early.
  func chat(_ request: UInt64) -> (any LanguageCall)? { if case .chat(let call) = entries[request] { call } else { nil } }

  /// What its ask is at the bus.
  func token(of request: UInt64) -> UInt64? {
    switch entries[request] {
    case .ask(let token): token
    case .tool(let call): call.token
    default: nil
    }
  }

  /// The asks that the model has open during one question, at the bus.
  func tokens(during chat: UInt64) -> [UInt64] {
    entries.values.compactMap { if case .tool(let call) = $0, call.chat == chat { call.token } else { nil } }
  }

  /// All asks that are open at the bus.
  var tokens: [UInt64] { entries.keys.compactMap { token(of: $0) } }

  /// Takes out all that is left but asks.
  mutating func takeAll() -> (timers: [UInt64], calls: [any LanguageCall]) {
    var (loopTimers, calls): ([UInt64], [any LanguageCall]) = ([], [])
    for entry in entries.values {
      switch entry {
      case .timer(let timer): loopTimers.append(timer)
      case .chat(let call): calls.append(call)
      case .memory, .ask, .tool: break
      }
    }
    (entries, timers) = ([:], 0)
    return (loopTimers, calls)
  }
}
