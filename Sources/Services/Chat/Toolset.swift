import Kernel
import Protocol
import Wire

/// The tools that a question offers, under names that servers take: letters, digits, "_" and "-", at most 64.
struct Toolset: Sendable {
  private struct Entry: Sendable {
    /// As the model knows it: "BABS_observe".
    var name: String
    var tool: LanguageTool
    /// Nil: its author wrote no schema, or one that cannot be checked here.
    var schema: JSONSchema?
  }

  private var entries: [Entry] = []

  init(_ tools: [LanguageTool] = []) {
    for tool in tools {
      var name = Self.plain(tool.name)
      var number = 1
      while entries.contains(where: { $0.name == name }) {
        number += 1
        name = String(Self.plain(tool.name).prefix(60)) + "_\(number)"
      }
      let schema = tool.takes.flatMap { try? JSON(parsing: $0.utf8) }.flatMap { try? JSONSchema($0) }
      entries.append(Entry(name: name, tool: tool, schema: schema))
    }
  }

  var isEmpty: Bool { entries.isEmpty }

  /// A tool of that name was offered.
  func offers(_ name: String) -> Bool { entry(name) != nil }

  /// By the name under which it was offered or that people know; some models write the place before it in which they think it is.
  private func entry(_ name: String) -> Entry? {
    let plain = ["functions.", "default_api.", "tools."].first(where: name.hasPrefix).map { String(name.dropFirst($0.count)) }
    return entries.first { $0.name == name || $0.tool.name == name }
      ?? plain.flatMap { plain in
        entries.first { $0.name == plain || $0.tool.name == plain }
      }
  }

  private static func plain(_ name: String) -> String {
    String(
      name.unicodeScalars.prefix(64).map { scalar in
        scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil || scalar == "-")
          ? Character(scalar) : "_"
      })
  }

  /// The array that both protocols take, the schemas byte for byte as their authors wrote them.
  var json: [UInt8] {
    var list: [UInt8] = []
    for entry in entries {
      let head: JSON = ["name": .string(entry.name), "description": .string(entry.tool.summary)]
      let function = RawJSON.adding("parameters", (entry.tool.takes ?? #"{"type":"object","properties":{}}"#).utf8, to: head.bytes)
      list += (list.isEmpty ? [] : [0x2c]) + RawJSON.adding("function", function, to: Array(#"{"type":"function"}"#.utf8))
    }
    return [0x5b] + list + [0x5d]
  }

  /// What a call means: the tool and its arguments, or why it cannot be made, for the model to do better.
  func read(_ call: ToolCall) -> Result<(tool: String, arguments: [UInt8]), Failure> {
    guard let entry = entry(call.name) else {
      let names = entries.map(\.name)
      let near = Suggestion.nearest(to: call.name, among: names).map { "; did you mean \($0)?" } ?? ""
      return .failure(Failure(.unknownMethod, "there is no tool \(call.name); there are \(names.joined(separator: ", "))\(near)"))
    }
    let text = call.arguments.utf8.allSatisfy({ $0 <= 32 }) ? "{}" : call.arguments
    let arguments: JSON
    do throws(JSON.Unreadable) { arguments = try JSON(parsing: text.utf8) } catch {
      return .failure(Failure(.badJSON, "the arguments of \(call.name) are \(error.why)"))
    }
    guard arguments.object != nil else { return .failure(Failure(.invalid, "the arguments of \(call.name) are no JSON object")) }
    let violations = entry.schema?.violations(in: arguments) ?? []
    guard violations.isEmpty else {
      return .failure(Failure(.invalid, "the arguments of \(call.name) do not fit: \(violations.joined(separator: "; "))"))
    }
    return .success((entry.tool.name, Array(text.utf8)))
  }

  /// The name that people know, for the result.
  func name(of call: ToolCall) -> String { entry(call.name)?.tool.name ?? call.name }
}
