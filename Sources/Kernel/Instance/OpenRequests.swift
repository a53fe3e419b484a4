import Protocol

/// What one instance has begun and what has not ended yet, by the number of the request. Event loop only.
///
/// Its asks stand in the router's table; of those that its model makes, this says what they are for.
struct OpenRequests {
  /// A call of the model to another persona: an ask whose answer goes to the model.
  struct ToolCall {
    /// The question during which it is made.
    let chat: UInt64
    let done: @Sendable (Result<[UInt8], Failure>) -> Void
  }
  private enum Entry {
    /// The event loop's timer.
    case timer(UInt64)
    case chat(any LanguageCall)
    /// With the gram on whose behalf it is done; 0: none.
    case memory(cause: UInt64)
    case tool(ToolCall)
  }

  private var entries: [UInt64: Entry] = [:]
  /// How many the instance waits for: questions to the model and operations of the memory. Nobody waits for timers.
  private(set) var count = 0

  private mutating func set(_ request: UInt64, _ entry: Entry?) {
    func weight(_ entry: Entry?) -> Int {
      switch entry {
      case .chat, .memory: 1
      case .timer, .tool, nil: 0
      }
    }
    count += weight(entry) - weight(entries[request])
    entries[request] = entry
  }

  // MARK: Beginning

  mutating func beginTimer(_ request: UInt64, _ timer: UInt64) { set(request, .timer(timer)) }
  mutating func beginChat(_ request: UInt64, _ call: any LanguageCall) { set(request, .chat(call)) }
  mutating func beginMemory(_ request: UInt64, cause: UInt64) { set(request, .memory(cause: cause)) }
  mutating func beginTool(_ request: UInt64, _ call: ToolCall) { set(request, .tool(call)) }

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

  mutating func endTool(_ request: UInt64) -> ToolCall? {
    guard case .tool(let call) = entries[request] else { return nil }
    set(request, nil)
    return call
  }

  // MARK: Looking

  /// Of a question to the model, the call to end it early.
  func chat(_ request: UInt64) -> (any LanguageCall)? { if case .chat(let call) = entries[request] { call } else { nil } }

  /// The asks that the model has open during one question.
  func tools(during chat: UInt64) -> [UInt64] {
    entries.compactMap { number, entry in if case .tool(let call) = entry, call.chat == chat { number } else { nil } }
  }

  /// Takes out all that is left but calls of the model, which end by the router.
  mutating func takeAll() -> (timers: [UInt64], calls: [any LanguageCall]) {
    var (timers, calls): ([UInt64], [any LanguageCall]) = ([], [])
    for (number, entry) in entries {
      switch entry {
      case .timer(let timer): timers.append(timer)
      case .chat(let call): calls.append(call)
      case .memory: break
      case .tool: continue
      }
      set(number, nil)
    }
    return (timers, calls)
  }
}
