import CHTML

/// A document changed where libxml2 2.9 reads it differently from browsers, or takes too long for it.
///
/// libxml2 ends at a zero byte, does not know that "<!-->" and "<!--->" are complete comments, and wants a semicolon after the names of
/// Latin-1 characters. It compares each attribute of a tag with all before it, so attributes beyond a limit are left out; nobody reads
/// attributes here.
struct MendedHTML {
  private(set) var bytes: [UInt8] = []
  /// How many tags end something.
  private(set) var endTags = 0
  private let source: [UInt8]
  private var at = 0

  /// Attributes of one tag that are kept, about.
  private static let mostAttributes = 100
  private static let raw: [(begin: StaticString, end: StaticString)] = [("<script", "</script"), ("<style", "</style")]

  init(_ source: [UInt8]) {
    self.source = source
    bytes.reserveCapacity(source.count + 64)
    while at < source.count {
      switch source[at] {
      case 0: at += 1
      case UInt8(ascii: "&"): takeReference()
      case UInt8(ascii: "<"): takeMarkup()
      default: take(1)
      }
    }
  }

  private mutating func take(_ count: Int) {
    let end = min(at + count, source.count)
    while at < end {
      if source[at] != 0 { bytes.append(source[at]) }
      at += 1
    }
  }

  private func isNext(_ text: StaticString) -> Bool {
    source.count - at >= text.utf8CodeUnitCount
      && (0..<text.utf8CodeUnitCount).allSatisfy { lower(source[at + $0]) == text.utf8Start[$0] }
  }

  private func lower(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) }
  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

  private mutating func takeReference() {
    let name = source[(at + 1)...].prefix(8).prefix { Self.isAlphanumeric($0) }
    take(1 + name.count)
    let next = at < source.count ? source[at] : 0x20
    guard !name.isEmpty, next != UInt8(ascii: ";"), next != UInt8(ascii: "="), !Self.isAlphanumeric(next),
      let entity = htmlEntityLookup(String(decoding: name, as: UTF8.self)), entity.pointee.value < 256
    else { return }
    bytes.append(UInt8(ascii: ";"))
  }

  private mutating func takeMarkup() {
    if isNext("</") { endTags += 1 }
    if isNext("<!--->") || isNext("<!-->") {
      at += isNext("<!-->") ? 5 : 6
      bytes += "<!---->".utf8
    } else if isNext("<!--") {
      take(4)
      while at < source.count, !isNext("-->"), !isNext("--!>") { take(1) }
    } else if let (_, end) = Self.raw.first(where: { isNext($0.begin) }) {
      takeTag()
      // What is in it is no markup.
      while at < source.count, !isNext(end) { take(1) }
    } else {
      takeTag()
    }
  }

  /// A tag up to its end; of its attributes no more than the limit.
  private mutating func takeTag() {
    take(1)
    guard at < source.count, (0x61...0x7A).contains(source[at] | 0x20) else { return }
    var count = 0
    var quote: UInt8?
    while at < source.count {
      let byte = source[at]
      if let open = quote {
        if byte == open { quote = nil }
      } else if byte == UInt8(ascii: ">") {
        return
      } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'"), source[at - 1] == UInt8(ascii: "=") || Self.isSpace(source[at - 1])
      {
        quote = byte
      } else if Self.isSpace(byte) || byte == UInt8(ascii: "/") || byte == UInt8(ascii: "=") {
        count += 1
      }
      if count > Self.mostAttributes { at += 1 } else { take(1) }
    }
  }
}
