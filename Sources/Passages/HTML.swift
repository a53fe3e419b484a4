import CHTML

/// Reads HTML with libxml2, as tolerant of unclosed, unquoted and misplaced tags as browsers are.
///
/// A document is a sequence of events. Elements that the source leaves out ("html", "body") are reported too, and every element that
/// begins ends.
package enum HTML {
  package enum Event: Equatable {
    /// The name of an element, in lower case.
    case begin(String)
    case end(String)
    /// A piece of text, with character references resolved. The content of scripts and styles is text, too.
    case text(String)
  }

  /// Why a document could not be read.
  package enum Failed: Error { case tooLong, tooDeep, outOfMemory }

  /// The deepest nesting of elements.
  package static let deepest = 10_000

  /// How many times libxml2 may look at an open element to find the one that a tag ends: for each such tag it may look at all.
  private static let mostLooks = 1_000_000_000

  /// Reads a whole document in UTF-8, whatever encoding the document itself declares.
  package static func read(_ source: [UInt8], _ handle: (Event) -> Void) throws(Failed) {
    let mended = MendedHTML(source)
    guard let count = Int32(exactly: mended.bytes.count) else { throw .tooLong }
    // libxml2 refuses an empty document.
    guard count > 0 else { return }
    let deepest = min(deepest, max(256, mostLooks / max(1, mended.endTags)))
    let isDeep = try withoutActuallyEscaping(handle) { handle throws(Failed) in try parse(mended.bytes, count, deepest, handle) }
    if isDeep { throw .tooDeep }
  }

  /// The character that a reference such as "&amp;" or "&#8230;" stands for; nil if there is none.
  package static func character(_ reference: String) -> String? {
    guard reference.hasPrefix("&"), reference.hasSuffix(";") else { return nil }
    let name = reference.dropFirst().dropLast()
    guard name.hasPrefix("#") else { return htmlEntityLookup(String(name)).flatMap { scalar($0.pointee.value) } }
    let digits = name.dropFirst()
    return (digits.hasPrefix("x") || digits.hasPrefix("X") ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)).flatMap(scalar)
  }

  private static func scalar(_ value: UInt32) -> String? { value == 0 ? nil : Unicode.Scalar(value).map { String($0) } }

  // MARK: libxml2

  /// What libxml2 passes to the callbacks.
  private final class Reader {
    let handle: (Event) -> Void
    private let parser: htmlParserCtxtPtr
    private let deepest: Int
    private var depth = 0
    private(set) var isTooDeep = false

    init(_ parser: htmlParserCtxtPtr, deepest: Int, _ handle: @escaping (Event) -> Void) {
      self.parser = parser
      self.deepest = deepest
      self.handle = handle
    }

    static func of(_ context: UnsafeMutableRawPointer?) -> Reader { Unmanaged<Reader>.fromOpaque(context!).takeUnretainedValue() }

    func begin(_ name: UnsafePointer<xmlChar>) {
      depth += 1
      if depth > deepest, !isTooDeep {
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
  private static func parse(_ source: [UInt8], _ count: Int32, _ deepest: Int, _ handle: @escaping (Event) -> Void)
    throws(Failed) -> Bool
  {
    _ = initialised
    guard let parser = htmlNewParserCtxt() else { throw .outOfMemory }
    defer { htmlFreeParserCtxt(parser) }
    // In place of its own handler, which would build a tree and print errors.
    parser.pointee.sax.pointee = handler
    let reader = Reader(parser, deepest: deepest, handle)
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
