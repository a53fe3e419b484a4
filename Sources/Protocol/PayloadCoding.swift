import FoundationEssentials
import Wire

/// Payloads to and from bytes.
public enum PayloadCoding {
  /// Why a payload is not what was expected: for people, one line without the method's name.
  public struct Unreadable: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
  }

  /// JSON on one line, its keys in order.
  public static func bytes(of value: some Encodable) -> [UInt8] {
    if let json = value as? JSON { return json.bytes }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // JSON has no word for them; with this strategy there is no value of ours that cannot be written.
    encoder.nonConformingFloatEncodingStrategy = .convertToString(positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    guard let data = try? encoder.encode(value) else { preconditionFailure("the types of this module can be written") }
    return Array(data)
  }

  /// Reads a payload; no bytes and null are an empty object.
  public static func value<T: Decodable>(_ type: T.Type, from bytes: [UInt8]) throws(Unreadable) -> T {
    if type is JSON.Type {
      do { return try JSON(parsing: bytes) as! T } catch { throw Unreadable(description: error.why) }
    }
    let isEmpty = bytes.isEmpty || bytes.elementsEqual("null".utf8)
    do { return try JSONDecoder().decode(type, from: Data(isEmpty ? Array("{}".utf8) : bytes)) } catch {
      let why = explain(error)
      // The decoder does not say where a number is that its type has no room for.
      if why == notAnObject, case .object? = try? JSON(parsing: bytes) { throw Unreadable(description: "a number in it is out of range") }
      throw Unreadable(description: why)
    }
  }

  private static let notAnObject = "it is not a JSON object"

  /// What a decoder's error says, in plain words and with the place.
  public static func explain(_ error: any Error) -> String {
    switch error {
    case DecodingError.keyNotFound(let key, let context): "\(place(context.codingPath + [key])) is missing"
    case DecodingError.typeMismatch(let type, let context):
      context.codingPath.isEmpty ? notAnObject : "\(place(context.codingPath)) is not \(name(of: type))"
    case DecodingError.valueNotFound(let type, let context): "\(place(context.codingPath)) is null, not \(name(of: type))"
    case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
      "\(place(context.codingPath)): \(context.debugDescription)"
    default: notAnObject
    }
  }

  private static func place(_ path: [any CodingKey]) -> String {
    var text = ""
    for key in path { text += key.intValue.map { "[\($0)]" } ?? (text.isEmpty ? key.stringValue : "." + key.stringValue) }
    return "\"\(text)\""
  }

  private static func name(of type: any Any.Type) -> String {
    switch type {
    case is String.Type: "a string"
    case is Bool.Type: "true or false"
    case is any FixedWidthInteger.Type: "a whole number"
    case is any BinaryFloatingPoint.Type: "a number"
    case is any RangeReplaceableCollection.Type, is [any Decodable].Type: "a list"
    default: "what it should be"
    }
  }
}
