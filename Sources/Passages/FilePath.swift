/// A path as the disk has it: bytes, which need not be UTF-8, and by which "é" is not an "e" with an accent.
package struct FilePath: Hashable, Comparable, Sendable {
  /// Without the zero at the end.
  package let bytes: [UInt8]

  package init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }
  package init(_ text: String) { bytes = Array(text.utf8) }

  /// The path as text, for the memory and for people. Different paths have different texts: a byte that is no UTF-8 stands in it
  /// as "\xFF", and so does a backslash that would look like the beginning of one.
  package var text: String {
    var text = ""
    var parser = Unicode.UTF8.ForwardParser()
    var rest = bytes[...].makeIterator()
    var at = 0
    while true {
      switch parser.parseScalar(from: &rest) {
      case .emptyInput: return text
      case .valid(let scalar):
        if scalar.count == 1, Self.escaped(bytes[at...]) != nil { text += Self.escape(bytes[at]) } else { text += Self.text(scalar) }
        at += scalar.count
      case .error(let count):
        for byte in bytes[at..<min(at + count, bytes.count)] { text += Self.escape(byte) }
        at += count
      }
    }
  }

  /// The path that has this text.
  package init(text: String) {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.first {
      if let escaped = Self.escaped(rest) {
        bytes.append(escaped)
        rest = rest.dropFirst(4)
      } else {
        bytes.append(byte)
        rest = rest.dropFirst()
      }
    }
    self.bytes = bytes
  }

  private static func text(_ scalar: Unicode.UTF8.EncodedScalar) -> String { String(Unicode.UTF8.decode(scalar)) }

  private static func escape(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 16, uppercase: true)
    return "\\x" + (digits.count == 1 ? "0" : "") + digits
  }

  /// The byte that "\xFF" at the beginning stands for; nil if there is none.
  private static func escaped(_ bytes: ArraySlice<UInt8>) -> UInt8? {
    let four = Array(bytes.prefix(4))
    guard four.count == 4, four[0] == UInt8(ascii: "\\"), four[1] == UInt8(ascii: "x") else { return nil }
    guard four[2...].allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x46).contains($0) }) else { return nil }
    return UInt8(String(decoding: four[2...], as: UTF8.self), radix: 16)
  }

  package static func < (a: FilePath, b: FilePath) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }

  // MARK: Parts

  private static let slash = UInt8(ascii: "/")

  /// What is behind the last slash.
  package var name: [UInt8] { Array(bytes.suffix(from: bytes.lastIndex(of: Self.slash).map { $0 + 1 } ?? 0)) }

  /// The folder that it is in; nil for "/".
  package var parent: FilePath? {
    guard let last = bytes.lastIndex(of: Self.slash), bytes.count > 1 else { return nil }
    return FilePath(last == 0 ? [Self.slash] : Array(bytes[..<last]))
  }

  /// What has this name in this folder.
  package func appending(_ name: [UInt8]) -> FilePath { FilePath((bytes == [Self.slash] ? [] : bytes) + [Self.slash] + name) }

  /// Whether it lies in that folder, or in one below it.
  package func isBelow(_ folder: FilePath) -> Bool {
    if folder.bytes == [Self.slash] { return bytes.count > 1 }
    return bytes.count > folder.bytes.count && bytes[folder.bytes.count] == Self.slash && bytes.starts(with: folder.bytes)
  }

  /// Lends it as C has it. A path with a zero in it is none, and names nothing.
  package func withCString<R>(_ body: (UnsafePointer<CChar>) -> R) -> R {
    if bytes.contains(0) { return "".withCString(body) }
    return (bytes + [0]).withUnsafeBufferPointer { $0.withMemoryRebound(to: CChar.self) { body($0.baseAddress!) } }
  }
}
