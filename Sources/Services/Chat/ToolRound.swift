import Kernel
import Protocol
import System
import Wire

/// The calls that the model has made at once, and what came of each. A value; the clock is given to it.
struct ToolRound: Sendable {
  /// How many calls are made at once; the model is told of the rest that they were not.
  static let limit = 8

  struct Entry: Sendable {
    var call: ToolCall
    /// As in "BABS.observe".
    var tool: String
    var beganAt: Milliseconds
    var milliseconds: Milliseconds = 0
    /// Nil: it is still out.
    var outcome: Result<[UInt8], Failure>?
  }

  private(set) var entries: [Entry]

  init(_ calls: [ToolCall], _ tools: Toolset, at now: Milliseconds) {
    entries = calls.enumerated().map { index, call in
      let over: Result<[UInt8], Failure>? =
        index < Self.limit
        ? nil : .failure(Failure(.queueFull, "at most \(Self.limit) tools are called at once, and this one was not: call it again"))
      return Entry(call: call, tool: tools.name(of: call), beganAt: now, outcome: over)
    }
  }

  var isOver: Bool { entries.allSatisfy { $0.outcome != nil } }

  /// The first outcome of a call counts.
  mutating func end(_ index: Int, _ outcome: Result<[UInt8], Failure>, at now: Milliseconds) {
    guard entries.indices.contains(index), entries[index].outcome == nil else { return }
    entries[index].outcome = outcome
    entries[index].milliseconds = now - entries[index].beganAt
  }

  /// What the model is told, in the order of its calls. A result longer than `limit` bytes loses its end: it shall not fill the window.
  func messages(limit: Int) -> [ChatMessage] {
    entries.map { entry in
      let text: String
      switch entry.outcome {
      case .success(let json)? where json.count > limit:
        text = String(decoding: json.prefix(limit), as: UTF8.self) + "… (cut off: \(json.count) bytes in all)"
      case .success(let json)?: text = String(decoding: json, as: UTF8.self)
      case .failure(let failure)?: text = JSON.object(["error": Self.json(failure)]).text
      case nil: text = "null"
      }
      return ChatMessage(role: .tool, content: text, toolCallID: entry.call.id)
    }
  }

  /// For the result: {"tool","arguments","result" or "error","ms"} each.
  var report: [JSON] {
    entries.map { entry in
      var report: [String: JSON] = [
        "tool": .string(entry.tool), "ms": .int(Int(clamping: entry.milliseconds)),
        "arguments": (try? JSON(parsing: entry.call.arguments.utf8)) ?? .string(entry.call.arguments),
      ]
      switch entry.outcome {
      case .success(let json)?: report["result"] = (try? JSON(parsing: json)) ?? .null
      case .failure(let failure)?: report["error"] = Self.json(failure)
      case nil: break
      }
      return .object(report)
    }
  }

  private static func json(_ failure: Failure) -> JSON { ["code": .string(failure.code.rawValue), "message": .string(failure.message)] }
}
