import CHTML

/// Reads HTML with libxml2, as tolerant of unclosed, unquoted and misplaced tags as browsers are.
///
/// A document is a sequence of events. Elements that the source leaves out ("html", "body") are reported too, and every element that
/// begins ends.
enum HTML {
  enum Event: Equatable {
    /// The name of an element, in lower case.
    case begin(String)
    case end(String)
    /// A piece of text, with character references resolved. The content of scripts and styles is text, too.
    case text(String)
  }

  /// Why a document could not be read.
  enum Failed: Error { case tooLong, tooDeep, outOfMemory }

  /// The deepest nesting of elements. libxml2 searches all open elements for the one that a tag ends, which takes minutes when there are
  /// many more.
  static let deepest = 10_000

  /// Reads a whole document in UTF-8, whatever encoding the document itself declares.
  static func read(_ source: [UInt8], _ handle: (Event) -> Void) throws(Failed) {
    let source = mended(source)
    guard let count = Int32(exactly: source.count) else { throw .tooLong }
    // libxml2 refuses an empty document.
    guard count > 0 else { return }
    let isDeep = try withoutActuallyEscaping(handle) { handle throws(Failed) in try parse(source, count, handle) }
    if isDeep { throw .tooDeep }
  }

  /// The character that a reference such as "&amp;" or "&#8230;" stands for; nil if there is none.
  static func character(_ reference: String) -> String? {
    guard reference.hasPrefix("&"), reference.hasSuffix(";") else { return nil }
    let name = reference.dropFirst().dropLast()
    guard name.hasPrefix("#") else { return htmlEntityLookup(String(name)).flatMap { scalar($0.pointee.value) } }
    let digits = name.dropFirst()
    return (digits.hasPrefix("x") || digits.hasPrefix("X") ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)).flatMap(scalar)
  }

  private static func scalar(_ value: UInt32) -> String? { value == 0 ? nil : Unicode.Scalar(value).map { String($0) } }

  /// Changes what libxml2 2.9 reads differently from browsers: it ends at a zero byte, does not know that "<!-->" and "<!--->" are
  /// complete comments, and wants a semicolon after the names of Latin-1 characters.
  private static func mended(_ source: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(source.count + 64)
    var index = 0
    while index < source.count {
      let rest = source[index...]
      switch source[index] {
      case 0: index += 1
      case UInt8(ascii: "&"):
        let name = rest.dropFirst().prefix(8).prefix { isAlphanumeric($0) }
        result += source[index..<name.endIndex]
        index = name.endIndex
        if lacksSemicolon(name, before: index < source.count ? source[index] : 0x20) { result.append(UInt8(ascii: ";")) }
      case UInt8(ascii: "<") where rest.starts(with: Self.emptyComment) || rest.starts(with: Self.emptierComment):
        result += "<!---->".utf8
        index += rest.starts(with: Self.emptyComment) ? Self.emptyComment.count : Self.emptierComment.count
      default:
        result.append(source[index])
        index += 1
      }
    }
    return result
  }

  private static let emptyComment = Array("<!--->".utf8)
  private static let emptierComment = Array("<!-->".utf8)

  private static func lacksSemicolon(_ name: ArraySlice<UInt8>, before next: UInt8) -> Bool {
    guard !name.isEmpty, next != UInt8(ascii: ";"), next != UInt8(ascii: "="), !isAlphanumeric(next) else { return false }
    return htmlEntityLookup(String(decoding: name, as: UTF8.self)).map { $0.pointee.value < 256 } ?? false
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) }

  // MARK: libxml2

  /// What libxml2 passes to the callbacks.
  private final class Reader {
    let handle: (Event) -> Void
    private let parser: htmlParserCtxtPtr
    private var depth = 0
    private(set) var isTooDeep = false

    init(_ parser: htmlParserCtxtPtr, _ handle: @escaping (Event) -> Void) {
      self.parser = parser
      self.handle = handle
    }

    static func of(_ context: UnsafeMutableRawPointer?) -> Reader { Unmanaged<Reader>.fromOpaque(context!).takeUnretainedValue() }

    func begin(_ name: UnsafePointer<xmlChar>) {
      depth += 1
      if depth > HTML.deepest, !isTooDeep {
        isTooDeep = true
        xmlStopParser(parser)
      }
      handle(.begin(String(cString: name)))
    }

    func end(_ name: UnsafePointer<xmlChar>) {
      depth -= 1
      handle(.end(String(cString: name)))
    }

    func text(_ start: UnsafePointer<xmlChar>?, _ count: Int32) {
      handle(.text(String(decoding: UnsafeBufferPointer(start: start, count: Int(count)), as: UTF8.self)))
    }
  }

  /// Returns whether elements are nested too deep.
  private static func parse(_ source: [UInt8], _ count: Int32, _ handle: @escaping (Event) -> Void) throws(Failed) -> Bool {
    _ = initialised
    guard let parser = htmlNewParserCtxt() else { throw .outOfMemory }
    defer { htmlFreeParserCtxt(parser) }
    // In place of its own handler, which would build a tree and print errors.
    parser.pointee.sax.pointee = handler
    let reader = Reader(parser, handle)
    parser.pointee.userData = Unmanaged.passUnretained(reader).toOpaque()
    let options = [HTML_PARSE_RECOVER, HTML_PARSE_NOERROR, HTML_PARSE_NOWARNING, HTML_PARSE_NONET, HTML_PARSE_IGNORE_ENC]
    withExtendedLifetime(reader) {
      source.withUnsafeBytes { bytes in
        let start = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
        let document = htmlCtxtReadMemory(parser, start, count, nil, "UTF-8", Int32(options.reduce(0) { $0 | $1.rawValue }))
        if let document { xmlFreeDoc(document) }
      }
    }
    if parser.pointee.errNo == Int32(XML_ERR_NO_MEMORY.rawValue) { throw .outOfMemory }
    return reader.isTooDeep
  }

  private static var handler: htmlSAXHandler {
    var handler = htmlSAXHandler()
    handler.startElement = { context, name, _ in if let name { Reader.of(context).begin(name) } }
    handler.endElement = { context, name in if let name { Reader.of(context).end(name) } }
    handler.characters = { context, start, count in Reader.of(context).text(start, count) }
    handler.ignorableWhitespace = handler.characters
    handler.cdataBlock = handler.characters
    return handler
  }

  /// libxml2 must be initialised by one thread.
  private static let initialised: Void = xmlInitParser()
}
