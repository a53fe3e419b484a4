import Kernel
import Wire

/// A piece of a call, as a server sends it.
struct ToolCallPiece {
  var index: Int?
  var id: String?
  var name: String?
  /// Text of arguments, of which more may come; nil: none.
  var text: [UInt8]?
  /// Arguments that came as an object: all of them.
  var object: [UInt8]?

  init(_ value: LenientJSON) {
    let function = value["function"]?.object != nil ? value["function"] : nil
    index = (value["index"] ?? function?["index"])?.count
    id = value["id"]?.word.map { String($0.prefix(Self.nameLimit)) }
    name = (function?["name"] ?? value["name"])?.text.map { String($0.trimmingBlanks().prefix(Self.nameLimit)) }
    let arguments = ["arguments", "parameters", "args", "input"].lazy.compactMap { function?[$0] ?? value[$0] }.first
    switch arguments {
    case .string(let bytes)?: text = bytes
    case .object?, .array?: object = arguments?.json.bytes
    default: break
    }
  }

  static let nameLimit = 256

  var isEmpty: Bool { name == nil && object == nil && text?.allSatisfy { $0 <= 32 } != false }
  var bytes: Int { (text ?? object)?.count ?? 0 }
}

/// Puts the calls of tools together that come in pieces. A value.
///
/// The pieces of a call should have its index, and its first piece an identifier and a name. Servers differ: all calls have index
/// 0, or count from 1, or have none; identifiers and names come again, anew, or never; arguments come as an object; and an empty
/// piece follows. So a call begins where a name comes that cannot belong to the call before it, and what has no name is no call.
struct ToolCallAssembler {
  private struct Open {
    var index: Int?
    var id: String?
    var name = ""
    private(set) var arguments: [UInt8] = []
    private var extent = JSONExtent()

    init(index: Int?) { self.index = index }

    /// The arguments are an object, from its first to its last bracket.
    var isWhole: Bool { extent.isOver && arguments.first { $0 > 32 } == UInt8(ascii: "{") }

    mutating func add(_ bytes: [UInt8]) {
      arguments += bytes
      extent.pass(bytes)
    }

    mutating func set(_ bytes: [UInt8]) {
      (arguments, extent) = ([], JSONExtent())
      add(bytes)
    }
  }

  /// A server that numbers calls wildly costs no memory.
  private static let limit = 128

  private var open: [Open] = []

  /// Takes the pieces that came together; of one call there is only one among them.
  mutating func add(_ pieces: [ToolCallPiece]) {
    var touched: Set<Int> = []
    for piece in pieces {
      var place = self.place(of: piece)
      if let found = place, begins(piece, at: found, isTouched: touched.contains(found)) { place = nil }
      if place == nil {
        guard !piece.isEmpty || piece.id != nil && piece.index != nil, open.count < Self.limit else { continue }
        open.append(Open(index: piece.index))
      }
      let at = place ?? open.count - 1
      touched.insert(at)
      merge(piece, into: &open[at])
    }
  }

  /// The call that a piece may belong to.
  private func place(of piece: ToolCallPiece) -> Int? {
    if let id = piece.id,
      let found = open.lastIndex(where: { $0.id == id && ($0.index == piece.index || piece.index == nil || $0.index == nil) })
    {
      return found
    }
    if let index = piece.index { return open.lastIndex { $0.index == index } }
    return open.indices.last
  }

  /// Whether a piece begins a call of its own, and does not go on with the one at that place.
  private func begins(_ piece: ToolCallPiece, at place: Int, isTouched: Bool) -> Bool {
    let call = open[place]
    if let id = piece.id, id == call.id { return false }
    guard piece.name != nil else { return false }
    if isTouched { return true }
    if piece.index == nil, call.index == nil, piece.name != call.name { return true }
    if piece.id != nil, call.id != nil { return true }
    // A name that comes again: of the same call, unless that has all that it needs.
    return call.isWhole
      && (piece.object != nil || piece.text?.first { $0 > 32 } == UInt8(ascii: "{") || piece.name != call.name)
  }

  private func merge(_ piece: ToolCallPiece, into call: inout Open) {
    if call.id == nil { call.id = piece.id }
    if let name = piece.name, name != call.name {
      // A name may come in pieces, too, before the arguments begin.
      if name.hasPrefix(call.name) {
        call.name = name
      } else if call.arguments.isEmpty {
        call.name = String((call.name + name).prefix(ToolCallPiece.nameLimit))
      }
    }
    if let object = piece.object {
      if !call.isWhole { call.set(object) }
    } else if let text = piece.text {
      // All of it once more.
      if text.first(where: { $0 > 32 }) == UInt8(ascii: "{"), call.isWhole { return }
      call.add(text)
    }
  }

  /// What has been called, with identifiers that are there once.
  var calls: [ToolCall] {
    var ids: Set<String> = []
    var calls: [ToolCall] = []
    for call in open where !call.name.isEmpty {
      var id = call.id ?? ""
      var number = calls.count + 1
      while id.isEmpty || ids.contains(id) {
        id = "call_\(number)"
        number += 1
      }
      ids.insert(id)
      calls.append(ToolCall(id: id, name: call.name, arguments: Self.text(call.arguments)))
    }
    return calls
  }

  /// The arguments as JSON text. Those that are JSON within a string are unpacked; none are an empty object.
  private static func text(_ arguments: [UInt8]) -> String {
    let text = TextJoiner.text(arguments)
    if text.trimmingBlanks().isEmpty || text.trimmingBlanks() == "null" { return "{}" }
    guard let value = LenientJSONReader.value(in: arguments) else { return text }
    if case .string(let inner) = value, let unpacked = LenientJSONReader.value(in: inner), unpacked.object != nil {
      return unpacked.json.text
    }
    // What is JSON to us alone is written as it should be.
    if value.object != nil, (try? JSON(parsing: text.utf8)) == nil { return value.json.text }
    return text
  }
}
