/// A text as the index of words has it, so that what is written without spaces between words is found, too.
///
/// The index's tokenizer (FTS5's unicode61) divides a text at what is neither letter nor number. A sentence in Chinese, Japanese or Thai
/// would be one word to it, so here each character of such a run becomes a word with the one after it: "東京都" is "東京 京都 都". Any two
/// characters that stand together are found by their pair, one alone by the beginning of a word. Other text stays as it is, but for
/// characters that are the same with another code: letters of full width, Hangul and kana in parts; and the points that Hebrew and Arabic
/// are mostly written without are left out.
enum WordText {
  /// What goes into the index.
  static func indexed(_ text: String) -> String {
    var text = text
    if text.withUTF8({ !mayNeedWork($0) }) { return text }
    var divided = String.UnicodeScalarView()
    divided.reserveCapacity(text.unicodeScalars.count * 2)
    divide(text) { piece in
      switch piece {
      case .plain(let scalar): divided.append(scalar)
      case .run(let characters):
        for index in characters.indices {
          divided.append(" ")
          divided.append(contentsOf: characters[index])
          if index + 1 < characters.count { divided.append(contentsOf: characters[index + 1]) }
        }
        divided.append(" ")
      }
    }
    return String(divided)
  }

  /// A part of a text.
  enum Piece {
    case plain(Unicode.Scalar)
    /// Characters of a script that has no spaces between words, each with the marks on it.
    case run([String.UnicodeScalarView])
  }

  static func divide(_ text: String, _ take: (Piece) -> Void) {
    var run: [String.UnicodeScalarView] = []
    var composer = Composer()
    func add(_ scalar: Unicode.Scalar) {
      if isUnspaced(scalar) {
        run.append(.init([scalar]))
      } else if !run.isEmpty, isMark(scalar) {
        run[run.count - 1].append(scalar)
      } else {
        if !run.isEmpty { take(.run(run)) }
        run = []
        take(.plain(scalar))
      }
    }
    for scalar in text.unicodeScalars where !isPoint(scalar) { composer.take(usual(scalar), add) }
    composer.end(add)
    if !run.isEmpty { take(.run(run)) }
  }

  /// Whether a text may have something else in it than what stays as it is. Quick, since most texts have not.
  private static func mayNeedWork(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    for index in bytes.indices where bytes[index] >= 0xD6 {
      // U+2000 to U+2E7F: dashes, quotation marks, arrows.
      if bytes[index] == 0xE2, index + 1 < bytes.count, bytes[index + 1] < 0xBA { continue }
      return true
    }
    return false
  }

  private static func isUnspaced(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x0E01...0x0E30, 0x0E32...0x0E33, 0x0E40...0x0E46,  // Thai
      0x0E81...0x0EB0, 0x0EB2...0x0EB3, 0x0EC0...0x0EC6, 0x0EDC...0x0EDF,  // Lao
      0x1000...0x102A, 0x103F, 0x1050...0x1055, 0x1780...0x17B3, 0x17D7,  // Burmese, Khmer
      0x2E80...0x2FDF, 0x3005...0x3007, 0x3021...0x3029, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFAFF, 0x20000...0x3FFFD,  // Han
      0x3041...0x3096, 0x309D...0x309F, 0x30A1...0x30FA, 0x30FC...0x30FF, 0x31F0...0x31FF,  // kana
      0x3105...0x312F, 0x31A0...0x31BF, 0xA000...0xA48C,  // Bopomofo, Yi
      0xAC00...0xD7A3:  // Hangul has spaces, but what stands at the end of its words changes
      true
    default: false
    }
  }

  private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .spacingMark: true
    default: false
    }
  }

  /// Vowel points of Hebrew and Arabic, and the stroke that makes Arabic words longer.
  private static func isPoint(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x0591...0x05BD, 0x05BF, 0x05C1...0x05C2, 0x05C4...0x05C5, 0x05C7, 0x0610...0x061A, 0x0640, 0x064B...0x065F, 0x0670,
      0x06D6...0x06DC, 0x06DF...0x06E4, 0x06E7...0x06E8, 0x06EA...0x06ED:
      true
    default: false
    }
  }

  // MARK: One code for one character

  private static let halfWidthKana = Array("ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン゙゚".unicodeScalars)

  private static func usual(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
    switch scalar.value {
    case 0xFF01...0xFF5E: Unicode.Scalar(scalar.value - 0xFEE0) ?? scalar
    case 0xFF66...0xFF9F: halfWidthKana[Int(scalar.value - 0xFF66)]
    case 0x3000: " "
    default: scalar
    }
  }

  /// Puts Hangul syllables and kana together that come in parts, as file names from macOS and text of half width have them.
  private struct Composer {
    private var last: Unicode.Scalar?

    mutating func take(_ scalar: Unicode.Scalar, _ add: (Unicode.Scalar) -> Void) {
      if let last, let both = Self.composed(last.value, scalar.value).flatMap(Unicode.Scalar.init) {
        self.last = both
      } else {
        if let last { add(last) }
        last = scalar
      }
    }

    mutating func end(_ add: (Unicode.Scalar) -> Void) {
      if let last { add(last) }
      last = nil
    }

    private static func composed(_ a: UInt32, _ b: UInt32) -> UInt32? {
      switch b {
      case 0x1161...0x1175 where (0x1100...0x1112).contains(a): return 0xAC00 + ((a - 0x1100) * 21 + (b - 0x1161)) * 28
      case 0x11A8...0x11C2 where (0xAC00...0xD7A3).contains(a) && (a - 0xAC00) % 28 == 0: return a + b - 0x11A7
      case 0x3099, 0x309A:
        let kana = a >= 0x30A0 ? a - 0x60 : a
        guard (0x3041...0x3096).contains(kana) else { return nil }
        if b == 0x309A { return (0x306F...0x307B).contains(kana) && kana % 3 == 0 ? a + 2 : nil }
        if kana == 0x3046 { return a + 0x4E }
        let isVoiced =
          (0x304B...0x3061).contains(kana) && kana % 2 == 1 || [0x3064, 0x3066, 0x3068].contains(kana)
          || (0x306F...0x307B).contains(kana) && kana % 3 == 0
        return isVoiced ? a + 1 : nil
      default: return nil
      }
    }
  }
}
