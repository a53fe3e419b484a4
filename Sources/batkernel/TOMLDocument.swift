import CTOML

/// A TOML value and where it stands.
struct TOMLValue: Equatable {
  enum Content: Equatable {
    /// In the order of the text.
    case table([Entry])
    case array([TOMLValue])
    case string(String)
    case integer(Int64)
    case number(Double)
    case boolean(Bool)
    /// A date, a time or both, in their TOML form.
    case date(String)
  }
  struct Entry: Equatable {
    var key: String
    var value: TOMLValue
  }
  struct Position: Equatable {
    var line, column: Int
  }

  var content: Content
  /// Of the key; of the value itself in an array.
  var position: Position

  struct SyntaxError: Error, Equatable {
    var position: Position
    var message: String
  }

  /// Parses a whole text; its content is a table.
  static func parse(_ text: String) throws(SyntaxError) -> TOMLValue {
    let builder = Builder()
    var text = text
    let isTOML = text.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) { characters in
        ctoml_parse(characters.baseAddress, characters.count, Unmanaged.passUnretained(builder).toOpaque()) { context, event in
          Unmanaged<Builder>.fromOpaque(context!).takeUnretainedValue().take(event!.pointee)
        }
      }
    }
    if !isTOML { throw builder.error ?? SyntaxError(position: Position(line: 1, column: 1), message: "this is not TOML") }
    return builder.root!
  }

  /// What a person would call it.
  var kind: String {
    switch content {
    case .table: "a table"
    case .array: "an array"
    case .string: "a string"
    case .integer: "a whole number"
    case .number: "a number"
    case .boolean: "true or false"
    case .date: "a date"
    }
  }

  /// As JSON, after what is in `into`; dates become strings. Returns the place of a number that JSON does not have.
  func appendJSON(to bytes: inout [UInt8]) -> Position? {
    var refused: Position?
    func separated<T>(_ elements: [T], _ open: Unicode.Scalar, _ close: Unicode.Scalar, _ append: (T) -> Void) {
      bytes.append(UInt8(ascii: open))
      for (index, element) in elements.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        append(element)
      }
      bytes.append(UInt8(ascii: close))
    }
    switch content {
    case .table(let entries):
      separated(entries, "{", "}") { entry in
        Self.appendJSONString(entry.key, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        refused = entry.value.appendJSON(to: &bytes) ?? refused
      }
    case .array(let elements): separated(elements, "[", "]") { refused = $0.appendJSON(to: &bytes) ?? refused }
    case .string(let text), .date(let text): Self.appendJSONString(text, to: &bytes)
    case .integer(let integer): bytes.append(contentsOf: String(integer).utf8)
    case .number(let number):
      if number.isFinite { bytes.append(contentsOf: String(number).utf8) } else { refused = position }
    case .boolean(let boolean): bytes.append(contentsOf: String(boolean).utf8)
    }
    return refused
  }

  private static func appendJSONString(_ text: String, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(contentsOf: [UInt8(ascii: "\\"), byte])
      case UInt8(ascii: "\n"): bytes.append(contentsOf: "\\n".utf8)
      case 0..<0x20: bytes.append(contentsOf: ("\\u00" + (byte < 16 ? "0" : "") + String(byte, radix: 16)).utf8)
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }

  /// Puts the walk of CTOML together again.
  private final class Builder {
    private var open: [(key: String, value: TOMLValue)] = []
    var root: TOMLValue?
    var error: SyntaxError?

    func take(_ event: ctoml_event) {
      let position = Position(line: Int(event.line), column: Int(event.column))
      let key = Self.text(event.key, event.key_count)
      let content: Content
      switch event.kind {
      case ctoml_begin_table: return open.append((key, TOMLValue(content: .table([]), position: position)))
      case ctoml_begin_array: return open.append((key, TOMLValue(content: .array([]), position: position)))
      case ctoml_end:
        let (key, value) = open.removeLast()
        return put(value, key)
      case ctoml_error:
        error = SyntaxError(position: position, message: Self.text(event.text, event.text_count))
        return
      case ctoml_string: content = .string(Self.text(event.text, event.text_count))
      case ctoml_integer: content = .integer(event.integer)
      case ctoml_float: content = .number(event.number)
      case ctoml_boolean: content = .boolean(event.integer != 0)
      default: content = .date(Self.text(event.text, event.text_count))
      }
      put(TOMLValue(content: content, position: position), key)
    }

    private func put(_ value: TOMLValue, _ key: String) {
      guard let last = open.indices.last else { return root = value }
      switch open[last].value.content {
      case .table(var entries):
        entries.append(Entry(key: key, value: value))
        open[last].value.content = .table(entries)
      case .array(var elements):
        elements.append(value)
        open[last].value.content = .array(elements)
      default: preconditionFailure("only tables and arrays are begun")
      }
    }

    private static func text(_ bytes: UnsafePointer<CChar>?, _ count: Int) -> String {
      bytes.map { String(decoding: UnsafeRawBufferPointer(start: $0, count: count), as: UTF8.self) } ?? ""
    }
  }
}
