import Protocol
import Wire

/// How far a connection has come: its first line says who it is, and nothing else is understood before.
enum Handshake: Equatable {
  /// The first line is awaited.
  case expected
  /// A client of the Python original: it sent its bare name, and gets grams and nothing else.
  case named
  /// It said hello, and gets welcome, receipts and deltas.
  case attached

  /// What a first line means.
  enum FirstLine: Equatable {
    /// Nil: the kernel gives a name. `distinct`: if somebody has it, the kernel gives one like it.
    case name([UInt8]?, Handshake, distinct: Bool = false)
    /// A message for its author.
    case refused(String)
  }

  /// In bytes.
  private static let longestLine = 4096

  /// Reads a first line. Whether the name is free is for the registry to say.
  static func read(_ line: some Collection<UInt8>) -> FirstLine {
    if line.count > longestLine { return .refused("the first line has \(line.count) bytes, and may have \(longestLine)") }
    func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
    var name = Array(line)
    // A line may end in CR LF.
    while let last = name.last, isBlank(last) || last == 0x0d { name.removeLast() }
    name = Array(name.drop(while: isBlank))
    var (greeting, distinct) = (Handshake.named, false)
    if name.first == UInt8(ascii: "{") {
      guard let hello = try? PayloadCoding.value(Hello.self, from: name), hello.hello == 1 else {
        return .refused("the first line is neither a name nor {\"hello\":1,\"name\":…}; see docs/WIRE.md")
      }
      greeting = .attached
      guard let given = hello.name else { return .name(nil, .attached) }
      name = Array(given.utf8)
      distinct = hello.distinct ?? false
    }
    if name.isEmpty { return .refused("the first line is empty: begin with your name") }
    if let problem = Name.problem(name) { return .refused(problem) }
    return .name(name, greeting, distinct: distinct)
  }
}
