import Kernel
import Wire

/// Calls of tools that a model has written as text, because it or its server does not know the protocol's own form:
///
///     {"name":"f","arguments":{…}}              alone, in a list, or in a block of code
///     <tool_call>{"name":"f","arguments":{…}}</tool_call>
///     <function=f>{…}</function>
///     [TOOL_CALLS][{"name":"f","arguments":{…}}] · <|python_tag|>{"name":"f","parameters":{…}}
///
/// They are taken for calls only where nothing else is said behind them, and each names a tool that was offered.
enum WrittenCalls {
  /// How a text begins.
  enum Beginning { case call, text, undecided }

  /// Opens a call in the middle of a text.
  static let tag = "<tool_call>"

  private static let beginnings = [
    "{", "[{", "[ {", "[\n", "```json", "```\n{", "```tool_call", tag, "<function_call>", "<function=", "<|python_tag|>", "[TOOL_CALLS]",
    "functools[",
  ]
  private static let marks = [
    tag, "</tool_call>", "<function_call>", "</function_call>", "</function>", "<|python_tag|>", "<|eom_id|>", "<|eot_id|>", "[TOOL_CALLS]",
    "[/TOOL_CALLS]", "functools", "```json", "```tool_call", "```",
  ].map { Array($0.utf8) }

  static func beginning(of text: String) -> Beginning {
    let head = text.drop(while: \.isWhitespace)
    if beginnings.contains(where: head.hasPrefix) { return .call }
    return beginnings.contains { $0.hasPrefix(head) } ? .undecided : .text
  }

  /// The calls, and what was said before them; nil: the text is something else.
  static func read(_ text: String, _ tools: Toolset) -> (said: String, calls: [ToolCall])? {
    let place = text.firstRange(of: tag)?.lowerBound ?? text.startIndex
    guard place > text.startIndex || beginning(of: text) == .call else { return nil }
    var rest = Array(text[place...].utf8)[...]
    var calls: [ToolCall] = []
    var isMarked = false
    while true {
      rest = rest.drop { $0 <= 32 }
      guard !rest.isEmpty else { break }
      if let mark = marks.first(where: rest.starts) {
        isMarked = true
        rest = rest.dropFirst(mark.count)
        continue
      }
      var name: String?
      if rest.starts(with: "<function=".utf8) {
        guard let end = rest.firstIndex(of: UInt8(ascii: ">")) else { return nil }
        name = String(decoding: rest[..<end].dropFirst("<function=".utf8.count), as: UTF8.self)
        rest = rest[(end + 1)...]
      }
      let (values, behind) = LenientJSONReader.values(in: Array(rest))
      guard !values.isEmpty else { return nil }
      for value in values.flatMap({ $0.array ?? [$0] }) {
        guard let call = call(value, name: name, isMarked: isMarked, number: calls.count + 1, tools) else { return nil }
        calls.append(call)
      }
      rest = Array(behind)[...]
    }
    return calls.isEmpty ? nil : (String(text[..<place].trimmingBlanks()), calls)
  }

  private static func call(_ value: LenientJSON, name: String?, isMarked: Bool, number: Int, _ tools: Toolset) -> ToolCall? {
    let members = value["function"]?.object != nil ? value["function"] ?? value : value
    let arguments = ["arguments", "parameters", "args", "input"].lazy.compactMap { members[$0] }.first
    let named = name ?? ["name", "function", "tool", "tool_name", "function_name"].lazy.compactMap { members[$0]?.text }.first
    guard let named, tools.offers(named), name != nil || isMarked || arguments != nil else { return nil }
    guard let given = name == nil ? arguments : value else { return ToolCall(id: "call_\(number)", name: named, arguments: "{}") }
    return ToolCall(id: "call_\(number)", name: named, arguments: given.text ?? given.json.text)
  }
}

/// Holds back the part of an answer that may be a call, so that nobody is shown one. A value.
struct CallHold {
  private var held = ""
  private var isHolding = false
  private var hasShown = false

  /// - Returns: what can be shown now.
  mutating func add(_ piece: String) -> String {
    held += piece
    if isHolding { return "" }
    // Nobody writes so many blanks before a call.
    if !hasShown, held.utf8.count <= 1024 || WrittenCalls.beginning(of: held) == .call {
      switch WrittenCalls.beginning(of: held) {
      case .undecided: return ""
      case .call:
        isHolding = true
        return ""
      case .text: break
      }
    }
    var open = held.endIndex
    if let tag = held.firstRange(of: WrittenCalls.tag) {
      isHolding = true
      open = tag.lowerBound
    } else if let start = held.suffix(WrittenCalls.tag.count).lastIndex(of: "<"), WrittenCalls.tag.hasPrefix(held[start...]) {
      open = start
    }
    let shown = String(held[..<open])
    held = String(held[open...])
    hasShown = hasShown || !shown.isEmpty
    return shown
  }

  /// What was held back after all was no call.
  mutating func end() -> String {
    defer { held = "" }
    return held
  }
}
