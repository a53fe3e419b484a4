import System

/// Which encoding a file is in, and its text.
///
/// A file says it by a byte order mark, by `<meta charset>`, by the first line of XML or CSS, or near its head as "coding: NAME" (Emacs,
/// Vim, Python). What says nothing is UTF-8, or else, if it looks like a western European language, windows-1252, as browsers have it.
package struct TextEncoding {
  package let text: String
  /// The encoding if it had to be guessed.
  package let guessed: String?

  /// - Parameter assumed: of a file that says nothing and is not UTF-8.
  package init(_ bytes: [UInt8], _ kind: SourceFile.Kind, assumed: String? = nil) throws(SourceFile.Refused) {
    if let (name, mark, unit) = Self.mark(bytes) {
      text = try Self.decoded(Array(bytes.dropFirst(mark)), name, unit: unit)
      guessed = nil
      return
    }
    let valid = String(validating: bytes, as: UTF8.self)
    let declared = Self.declared(in: Array(bytes.prefix(Self.head)), kind).map(Self.known)
    // A page is read as it says, as browsers do. In other files a word may only look so: sound UTF-8 is believed before it, unless there
    // are the escapes of an encoding of 7 bits.
    if let declared, declared != "UTF-8", kind == .html || valid == nil || bytes.contains(0x1B), Iconv.knows(declared) {
      text = try Self.decoded(bytes, declared)
      guessed = nil
    } else if let valid {
      text = valid
      guessed = nil
    } else if let assumed {
      text = try Self.decoded(bytes, Self.known(assumed))
      guessed = nil
    } else if bytes.prefix(Self.head).contains(0) {
      throw SourceFile.Refused(why: "it is not text")
    } else if Self.isNearlyUTF8(bytes) {
      text = String(decoding: bytes, as: UTF8.self)
      guessed = "UTF-8 with some damage"
    } else if Self.looksWestern(bytes) {
      text = try Self.decoded(bytes, "WINDOWS-1252")
      guessed = "windows-1252"
    } else {
      throw SourceFile.Refused(why: "it is not text in UTF-8, and does not say in which encoding it is: --encoding NAME says it")
    }
    if text.utf8.prefix(Self.head).contains(0) { throw SourceFile.Refused(why: "it is not text") }
  }

  private static let head = 8192

  private static func decoded(_ bytes: [UInt8], _ name: String, unit: Int = 1) throws(SourceFile.Refused) -> String {
    let (text, replaced): (String, Int)
    if name == "UTF-8" {
      text = String(decoding: bytes, as: UTF8.self)
      replaced = text.unicodeScalars.count { $0 == "\u{FFFD}" }
    } else {
      do throws(Iconv.Unknown) { (text, replaced) = try Iconv.text(bytes, from: name, unit: unit) } catch {
        throw SourceFile.Refused(why: "its encoding \(name) is not known here (`iconv -l` lists those that are)")
      }
    }
    // A little damage is replaced; what is damaged all over is in another encoding, or no text.
    if replaced > 3, replaced > text.utf8.count / 100 { throw SourceFile.Refused(why: "it says that it is text in \(name), and is not") }
    if text.utf8.prefix(head).contains(0) { throw SourceFile.Refused(why: "it is not text") }
    return text
  }

  // MARK: What a file says

  /// The encoding that a byte order mark tells, how long that is, and how many bytes a unit has.
  private static func mark(_ bytes: [UInt8]) -> (name: String, count: Int, unit: Int)? {
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { return ("UTF-8", 3, 1) }
    if bytes.starts(with: [0xFF, 0xFE, 0, 0]), bytes.count % 4 == 0 { return ("UTF-32LE", 4, 4) }
    if bytes.starts(with: [0, 0, 0xFE, 0xFF]) { return ("UTF-32BE", 4, 4) }
    if bytes.starts(with: [0xFF, 0xFE]) { return ("UTF-16LE", 2, 2) }
    if bytes.starts(with: [0xFE, 0xFF]) { return ("UTF-16BE", 2, 2) }
    return nil
  }

  /// What stands in the file's own words; the bytes of all encodings that can say so look like ASCII there.
  private static func declared(in head: [UInt8], _ kind: SourceFile.Kind) -> String? {
    let head = String(String.UnicodeScalarView(head.map { Unicode.Scalar($0 < 0x80 ? $0 : 0x3F) })).lowercased()
    let lines = head.split(omittingEmptySubsequences: false) { $0.isNewline }.prefix(2)
    if head.drop(while: \.isWhitespace).hasPrefix("<?xml"), let end = head.firstRange(of: "?>"),
      let name = name(behind: "encoding", in: head[..<end.lowerBound])
    {
      return name
    }
    switch kind {
    case .html:
      var rest = head[...]
      while let start = rest.firstRange(of: "<") {
        rest = rest[start.lowerBound...]
        if rest.hasPrefix("<!--") {
          rest = rest.firstRange(of: "-->").map { rest[$0.upperBound...] } ?? ""
          continue
        }
        let end = rest.firstIndex(of: ">") ?? rest.endIndex
        if rest.hasPrefix("<meta"), let name = name(behind: "charset", in: rest[..<end]) { return name }
        rest = rest[start.upperBound...]
      }
      return nil
    case .pdf: return nil
    case .text, .markdown, .code:
      if head.hasPrefix("@charset") { return name(behind: "@charset", in: lines[0], orBlank: true) }
      for line in lines { if let name = name(behind: "coding", in: line) { return name } }
      return nil
    }
  }

  /// The name behind a word and "=" or ":", with or without quotes.
  private static func name(behind word: String, in text: Substring, orBlank: Bool = false) -> String? {
    var rest = text
    while let found = rest.firstRange(of: word) {
      rest = rest[found.upperBound...]
      let value = rest.drop { $0 == " " || $0 == "\t" }
      guard let sign = value.first, sign == "=" || sign == ":" || orBlank else { continue }
      let name = value.drop { " \t=:\"'".contains($0) }.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.:".contains($0)) }
      if !name.isEmpty { return String(name) }
    }
    return nil
  }

  /// The encoding that is meant by a name on a page: what calls itself Latin-1 is windows-1252, and so on, as browsers have it; what can
  /// be read as ASCII so far is not UTF-16.
  private static func known(_ name: String) -> String {
    switch name.lowercased() {
    case "utf-8", "utf8", "utf-16", "utf-16le", "utf-16be", "unicode", "utf-8-unix", "utf-8-emacs", "utf-8-dos": "UTF-8"
    case "iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1", "l1", "ascii", "us-ascii", "cp1252", "x-cp1252", "windows-1252",
      "iso-8859-1-unix", "latin-1-unix":
      "WINDOWS-1252"
    case "iso-8859-9", "latin5", "windows-1254": "WINDOWS-1254"
    case "iso-8859-11", "tis-620", "windows-874": "CP874"
    case "gb2312", "gbk", "x-gbk", "gb_2312-80", "gb18030": "GB18030"
    case "big5", "big5-hkscs", "x-x-big5": "BIG5-HKSCS"
    case "shift_jis", "shift-jis", "sjis", "x-sjis", "ms932", "windows-31j": "CP932"
    case "euc-kr", "ks_c_5601-1987", "korean", "windows-949": "CP949"
    case let other: other.uppercased()
    }
  }

  // MARK: Guessing

  /// Whether most of what is beyond ASCII is sound UTF-8, as in a log in which a line was cut.
  private static func isNearlyUTF8(_ bytes: [UInt8]) -> Bool {
    let text = String(decoding: bytes, as: UTF8.self)
    var (sound, damaged) = (0, 0)
    for scalar in text.unicodeScalars where !scalar.isASCII { if scalar == "\u{FFFD}" { damaged += 1 } else { sound += 1 } }
    return damaged * 20 < sound
  }

  /// Whether the bytes beyond ASCII are few among letters, and all of them are characters of windows-1252.
  private static func looksWestern(_ bytes: [UInt8]) -> Bool {
    var (letters, beyond) = (0, 0)
    for byte in bytes {
      switch byte {
      case 0x81, 0x8D, 0x8F, 0x90, 0x9D: return false
      case 0..<9, 0x0E..<0x1B, 0x1C..<0x20, 0x7F: return false
      case 0x41...0x5A, 0x61...0x7A: letters += 1
      case 0x80...: beyond += 1
      default: break
      }
    }
    return beyond * 3 <= letters
  }
}
