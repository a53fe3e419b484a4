import CMarkdown

/// Reads CommonMark with GitHub's tables, task lists, strikethrough and bare links, with md4c.
///
/// A document is a sequence of events: nested blocks that begin and end, and the text in them.
package enum Markdown {
  package enum Block: Equatable {
    case document, quote, list, item, rule, html, paragraph, table
    /// The head or the body of a table, a row, a cell.
    case tablePart, tableRow, tableCell
    /// The level is from 1, the highest, to 6.
    case heading(level: Int)
    /// `fence` is the character that its fences consist of; nil for indented code.
    case code(fence: Character?)
  }

  package enum Text: Equatable {
    case plain, code, html
    /// A character reference as it was written, "&amp;" or "&#8230;".
    case reference
    /// The end of a line in the source, which is a line break (hard) or a space (soft) in the document.
    case lineBreak, softBreak
  }

  package enum Event: Equatable {
    case begin(Block)
    case end(Block)
    /// `offset` is where the text is in the source, in bytes; nil if md4c made it up, such as the "\n" after a line of code.
    case text(Text, String, offset: Int?)
  }

  /// The source is too long, or there is not enough memory for it.
  package struct Failed: Error {}

  /// Reads a whole document in UTF-8.
  package static func read(_ source: [UInt8], _ handle: (Event) -> Void) throws(Failed) {
    guard let size = MD_SIZE(exactly: source.count) else { throw Failed() }
    let result = withoutActuallyEscaping(handle) { handle in
      source.withUnsafeBytes { bytes in
        var reader = Reader(source: bytes, handle: handle)
        var parser = Self.parser
        return withUnsafeMutablePointer(to: &reader) {
          md_parse(bytes.baseAddress?.assumingMemoryBound(to: CChar.self), size, &parser, $0)
        }
      }
    }
    guard result == 0 else { throw Failed() }
  }

  /// What md4c passes to the callbacks.
  private struct Reader {
    let source: UnsafeRawBufferPointer
    let handle: (Event) -> Void

    static func of(_ context: UnsafeMutableRawPointer?) -> Reader { context!.assumingMemoryBound(to: Reader.self).pointee }

    func text(_ kind: Text, _ start: UnsafePointer<CChar>?, _ count: MD_SIZE) {
      let text = UnsafeRawBufferPointer(start: start, count: Int(count))
      // md4c passes pointers into the source, or to constants of its own.
      let address = UInt(bitPattern: text.baseAddress)
      let first = UInt(bitPattern: source.baseAddress)
      let isInSource = address >= first && address < first + UInt(source.count)
      handle(.text(kind, String(decoding: text, as: UTF8.self), offset: isInSource ? Int(address - first) : nil))
    }
  }

  // Named in full below: a C function captures nothing, not even its type.
  private static var parser: MD_PARSER {
    MD_PARSER(
      abi_version: 0,
      flags: UInt32(
        MD_FLAG_PERMISSIVEURLAUTOLINKS | MD_FLAG_PERMISSIVEEMAILAUTOLINKS | MD_FLAG_PERMISSIVEWWWAUTOLINKS | MD_FLAG_TABLES
          | MD_FLAG_STRIKETHROUGH | MD_FLAG_TASKLISTS),
      enter_block: { type, detail, context in
        Reader.of(context).handle(.begin(Markdown.block(type, detail)))
        return 0
      },
      leave_block: { type, detail, context in
        Reader.of(context).handle(.end(Markdown.block(type, detail)))
        return 0
      },
      enter_span: { _, _, _ in 0 },
      leave_span: { _, _, _ in 0 },
      text: { type, start, count, context in
        let reader = Reader.of(context)
        switch type {
        case MD_TEXT_NULLCHAR: reader.handle(.text(.plain, "\u{FFFD}", offset: nil))
        case MD_TEXT_BR: reader.text(.lineBreak, start, count)
        case MD_TEXT_SOFTBR: reader.text(.softBreak, start, count)
        case MD_TEXT_ENTITY: reader.text(.reference, start, count)
        case MD_TEXT_CODE: reader.text(.code, start, count)
        case MD_TEXT_HTML: reader.text(.html, start, count)
        default: reader.text(.plain, start, count)
        }
        return 0
      },
      debug_log: nil, syntax: nil)
  }

  private static func block(_ type: MD_BLOCKTYPE, _ detail: UnsafeMutableRawPointer?) -> Block {
    switch type {
    case MD_BLOCK_DOC: return .document
    case MD_BLOCK_QUOTE: return .quote
    case MD_BLOCK_UL, MD_BLOCK_OL: return .list
    case MD_BLOCK_LI: return .item
    case MD_BLOCK_HR: return .rule
    case MD_BLOCK_HTML: return .html
    case MD_BLOCK_TABLE: return .table
    case MD_BLOCK_THEAD, MD_BLOCK_TBODY: return .tablePart
    case MD_BLOCK_TR: return .tableRow
    case MD_BLOCK_TH, MD_BLOCK_TD: return .tableCell
    case MD_BLOCK_H: return .heading(level: Int(detail!.assumingMemoryBound(to: MD_BLOCK_H_DETAIL.self).pointee.level))
    case MD_BLOCK_CODE:
      let mark = detail!.assumingMemoryBound(to: MD_BLOCK_CODE_DETAIL.self).pointee.fence_char
      return .code(fence: mark == 0 ? nil : Character(Unicode.Scalar(UInt8(bitPattern: mark))))
    default: return .paragraph
    }
  }
}
