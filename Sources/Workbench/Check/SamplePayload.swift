import Wire

/// Makes payloads for grams: those that fit a schema, and those that nobody would send.
struct SamplePayload {
  var random: SeededRandom
  /// The deepest nesting of JSON that the kernel lets pass.
  private static let deepest = 62

  init(_ random: SeededRandom) { self.random = random }

  /// A value that fits the schema, as far as its types, properties, choices and bounds say.
  mutating func fitting(_ schema: JSON?, depth: Int = 0) -> JSON {
    guard let schema, depth < 8 else { return "text" }
    if let choices = schema["enum"]?.array, !choices.isEmpty { return random.pick(choices) }
    if let value = schema["const"] { return value }
    if let choices = (schema["anyOf"] ?? schema["oneOf"])?.array, let first = choices.first { return fitting(first, depth: depth + 1) }
    switch schema["type"]?.string ?? schema["type"]?.array?.first?.string ?? (schema["properties"] == nil ? "string" : "object") {
    case "object":
      let required = schema["required"]?.array?.compactMap(\.string) ?? []
      var members: [String: JSON] = [:]
      for (key, property) in (schema["properties"]?.object ?? [:]).sorted(by: { $0.key < $1.key })
      where required.contains(key) || random.once(in: 2) {
        members[key] = fitting(property, depth: depth + 1)
      }
      return .object(members)
    case "array": return .array([fitting(schema["items"], depth: depth + 1)])
    case "integer": return .int(schema["minimum"]?.int ?? min(3, schema["maximum"]?.int ?? 3))
    case "number": return .double(schema["minimum"]?.number ?? min(1.5, schema["maximum"]?.number ?? 1.5))
    case "boolean": return .bool(random.once(in: 2))
    case "null": return .null
    default:
      // A schema may ask for more than memory holds.
      let shortest = min(max(0, schema["minLength"]?.int ?? 0), Self.longestText)
      let longest = max(0, schema["maxLength"]?.int ?? .max)
      let text = random.pick(["Hello", "What do you see from the window?", "Ein Haus, 12 Räume 🦇"])
      return .string(String(text.prefix(longest)) + String(repeating: "x", count: max(0, shortest - text.count)))
    }
  }

  /// In characters.
  private static let longestText = 65_536

  /// JSON that the kernel would let pass and that fits no schema.
  mutating func odd() -> [UInt8] {
    switch Int.random(in: 0..<12, using: &random) {
    case 0: return Array(String(repeating: "[", count: Self.deepest).utf8) + Array(String(repeating: "]", count: Self.deepest).utf8)
    case 1:
      return Array((String(repeating: "{\"content\":", count: Self.deepest) + "1" + String(repeating: "}", count: Self.deepest)).utf8)
    case 2:
      let count = random.pick([65_535, 65_536, 300_000])
      return Array("{\"content\":\"".utf8) + [UInt8](repeating: UInt8(ascii: "x"), count: count) + Array("\"}".utf8)
    case 3: return Array(random.pick(["1e308", "-0", "0.1e-400", "18446744073709551616", "-9223372036854775809", "1E400", "2.5"]).utf8)
    case 4: return Array(random.pick(["null", "true", "[]", "{}", "\"\"", "[[],{}]", " \t\n{} "]).utf8)
    case 5: return Array(#"{"content":"\ud83e\udd87 \u0000 \ud800 \\ \" \/","content":"twice","":1}"#.utf8)
    case 6: return JSON.object(["content": .string("🦇𝔊🏳️‍🌈\u{202E}\u{0}\u{FFFF}")]).bytes
    case 7: return JSON.array((0..<2000).map { .int($0) }).bytes
    case 8: return JSON.object(Dictionary(uniqueKeysWithValues: (0..<500).map { ("key\($0)", JSON.int($0)) })).bytes
    default: return tree(depth: 0).bytes
    }
  }

  /// The value with some of its parts removed or replaced.
  mutating func spoilt(_ value: JSON) -> JSON {
    switch value {
    case .object(var members):
      guard let key = members.keys.sorted().randomElement(using: &random) else { return tree(depth: 2) }
      members[key] = random.once(in: 3) ? nil : random.once(in: 2) ? tree(depth: 2) : spoilt(members[key] ?? .null)
      return .object(members)
    case .array(let items): return random.once(in: 2) ? [] : .array(items.map { spoilt($0) })
    default: return tree(depth: 2)
    }
  }

  private mutating func tree(depth: Int) -> JSON {
    switch Int.random(in: 0..<(depth > 5 ? 6 : 9), using: &random) {
    case 0: return .null
    case 1: return .bool(random.once(in: 2))
    case 2: return .int(Int(truncatingIfNeeded: random.next()))
    case 3: return .double(Double.random(in: -1e12...1e12, using: &random))
    case 4, 5: return .string(word())
    case 6: return .array((0..<Int.random(in: 0...4, using: &random)).map { _ in tree(depth: depth + 1) })
    default:
      var members: [String: JSON] = [:]
      for _ in 0..<Int.random(in: 0...4, using: &random) { members[key()] = tree(depth: depth + 1) }
      return .object(members)
    }
  }

  private mutating func key() -> String {
    random.pick(["content", "text", "thread", "query", "name", "persona", "delegate", "id", "model", "seconds", "count", word()])
  }

  /// A few characters from all over Unicode.
  mutating func word() -> String {
    var text = String.UnicodeScalarView()
    for _ in 0..<Int.random(in: 0...12, using: &random) {
      let ranges: [ClosedRange<UInt32>] = [0x20...0x7E, 0x20...0x7E, 0x00...0x1F, 0x80...0x7FF, 0xE000...0xFFFD, 0x1_0000...0x10_FFFF]
      if let scalar = Unicode.Scalar(UInt32.random(in: random.pick(ranges), using: &random)) { text.append(scalar) }
    }
    return String(text)
  }
}
