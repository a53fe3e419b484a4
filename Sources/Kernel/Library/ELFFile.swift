import CPlatform
import Glibc

/// What the kernel must know of a shared library before the dynamic linker may touch it.
///
/// A 64-bit ELF file, little-endian, read from a copy of its bytes. The layout, as elf(5) has it:
///
///     header, 64 bytes   16 e_type · 18 e_machine · 32 e_phoff · 40 e_shoff · 54 e_phentsize · 56 e_phnum
///                        58 e_shentsize · 60 e_shnum · 62 e_shstrndx
///     segment, 56 bytes  0 p_type · 8 p_offset · 32 p_filesz
///     section, 64 bytes  0 sh_name · 4 sh_type · 8 sh_flags · 24 sh_offset · 32 sh_size · 40 sh_link
///     symbol, 24 bytes   0 st_name · 4 st_info · 5 st_other · 6 st_shndx
///     dynamic, 16 bytes  0 d_tag · 8 d_val
///
/// Linkers put the section headers last, so a file that ends where they end is whole: that told every
/// cut file from every whole one. Bytes may be anything: each read is checked, none traps.
struct ELFFile: Sendable, Equatable {
  /// The libraries that it is linked against.
  private(set) var needed: [String] = []
  /// Whether `persona_entry_v1` is defined and exported.
  private(set) var exportsEntry = false
  /// Linked with `-z nodelete`.
  private(set) var isNoDelete = false
  /// It brings a Swift runtime of its own, which cannot live beside another one.
  private(set) var hasOwnSwiftRuntime = false
  /// The distinct strings that begin as an about text does, in the order of the file.
  private(set) var aboutTexts: [String] = []

  enum Malformed: Error, Equatable, CustomStringConvertible {
    case incomplete(bytes: Int, expected: UInt64)
    case trailing(bytes: Int, expected: UInt64)
    case notELF
    case notOurs(String)
    case broken(String)

    var description: String {
      switch self {
      case .incomplete(let bytes, let expected):
        "the file is incomplete: it has \(bytes) bytes" + (expected > 0 ? " of at least \(expected)" : "")
          + "; it is still being written, or it was cut off: wait for the build to end, or build it again"
      case .trailing(let bytes, let expected):
        "the file has \(bytes) bytes where the library ends after \(expected): it is still being written over, or something was appended; build it again"
      case .notELF: "the file is no shared library (no ELF header)"
      case .notOurs(let what): what
      case .broken(let what): "the file is damaged: \(what); build it again"
      }
    }
  }

  static let entrySymbol = "persona_entry_v1"

  #if arch(x86_64)
    static let machine: (number: UInt64, name: String) = (62, "x86-64")
  #elseif arch(arm64)
    static let machine: (number: UInt64, name: String) = (183, "aarch64")
  #endif

  /// Reads the whole file; throws what makes it unfit to be opened by anybody.
  init(_ file: [UInt8]) throws(Malformed) {
    let bytes = Bytes(file)
    let magic: [UInt8] = [0x7F, 0x45, 0x4C, 0x46]
    guard file.prefix(4).elementsEqual(magic.prefix(file.count)) else { throw .notELF }
    guard file.count >= 64 else { throw .incomplete(bytes: file.count, expected: 64) }
    guard file[4] == 2 else { throw .notOurs("the library is for 32-bit programs; build it for \(Self.machine.name)") }
    guard file[5] == 1 else { throw .notOurs("the library is for big-endian machines; build it for \(Self.machine.name)") }
    let machine = try bytes.number(at: 18, size: 2)
    guard machine == Self.machine.number else {
      throw .notOurs("the library is for \(Self.machineName(machine)), this kernel runs on \(Self.machine.name): build it for this machine")
    }
    guard try bytes.number(at: 16, size: 2) == 3 else {
      throw .notOurs("the file is an ELF file but no shared library: link it with -shared")
    }

    let sections = try Self.sections(bytes)
    try Self.checkSize(bytes, sections)
    try readSymbols(bytes, sections)
    try readDynamic(bytes, sections)
    for section in sections where try section.name(bytes, sections).hasPrefix("swift5_") {
      if !needed.contains(where: { $0.hasPrefix("libswiftCore.") }) { hasOwnSwiftRuntime = true }
    }
    try findAboutTexts(bytes, sections)
  }

  private static func machineName(_ number: UInt64) -> String {
    switch number {
    case 3: "i386"
    case 40: "arm"
    case 62: "x86-64"
    case 183: "aarch64"
    case 243: "riscv"
    default: "machine \(number)"
    }
  }

  // ── Sections ──

  private struct Section {
    enum Kind { static let data: UInt64 = 1, dynamic: UInt64 = 6, noBits: UInt64 = 8, dynamicSymbols: UInt64 = 11 }
    enum Flag { static let allocated: UInt64 = 2, executable: UInt64 = 4 }
    var nameOffset, kind, flags, offset, size, link: UInt64

    var end: UInt64 {
      if kind == Kind.noBits || kind == 0 { return 0 }
      let (end, overflow) = offset.addingReportingOverflow(size)
      return overflow ? .max : end
    }

    func name(_ bytes: Bytes, _ sections: [Section]) throws(Malformed) -> String {
      let index = try bytes.number(at: 62, size: 2)
      guard index < sections.count else { throw .broken("there is no section for section names") }
      return try bytes.string(in: sections[Int(index)], at: nameOffset)
    }
  }

  private static func sections(_ bytes: Bytes) throws(Malformed) -> [Section] {
    let offset = try bytes.number(at: 40, size: 8)
    let entry = try bytes.number(at: 58, size: 2)
    let count = try bytes.number(at: 60, size: 2)
    guard offset > 0, count > 0 else { throw .broken("it has no section headers") }
    guard entry == 64 else { throw .broken("its section headers have \(entry) bytes instead of 64") }
    let (end, overflow) = offset.addingReportingOverflow(entry * count)
    guard !overflow, end <= bytes.count else { throw .incomplete(bytes: bytes.count, expected: overflow ? offset : end) }
    var sections: [Section] = []
    for index in 0..<count {
      let at = offset + index * entry
      sections.append(
        Section(
          nameOffset: try bytes.number(at: at, size: 4), kind: try bytes.number(at: at + 4, size: 4),
          flags: try bytes.number(at: at + 8, size: 8),
          offset: try bytes.number(at: at + 24, size: 8), size: try bytes.number(at: at + 32, size: 8),
          link: try bytes.number(at: at + 40, size: 4)))
    }
    return sections
  }

  /// The file ends where the last of section headers, sections and segments ends.
  private static func checkSize(_ bytes: Bytes, _ sections: [Section]) throws(Malformed) {
    var end = try bytes.number(at: 40, size: 8) + UInt64(sections.count) * 64
    for section in sections { end = max(end, section.end) }
    let segments = try bytes.number(at: 32, size: 8)
    guard try bytes.number(at: 54, size: 2) == 56 else { throw .broken("its program headers do not have 56 bytes each") }
    for index in 0..<(try bytes.number(at: 56, size: 2)) {
      let (at, overflow) = segments.addingReportingOverflow(index * 56)
      guard !overflow else { throw .broken("its program headers are outside the file") }
      let (segmentEnd, tooFar) = try bytes.number(at: at, plus: 8, size: 8).addingReportingOverflow(
        try bytes.number(at: at, plus: 32, size: 8))
      end = max(end, tooFar ? .max : segmentEnd)
    }
    guard end <= bytes.count else { throw .incomplete(bytes: bytes.count, expected: end) }
    guard end == bytes.count else { throw .trailing(bytes: bytes.count, expected: end) }
  }

  // ── What is in them ──

  private mutating func readSymbols(_ bytes: Bytes, _ sections: [Section]) throws(Malformed) {
    for table in sections where table.kind == Section.Kind.dynamicSymbols {
      guard table.link < sections.count else { throw .broken("its symbols have no names") }
      let names = sections[Int(table.link)]
      for index in 0..<(table.size / 24) {
        let at = table.offset + index * 24
        let binding = try bytes.number(at: at, plus: 4, size: 1) >> 4
        let visibility = try bytes.number(at: at, plus: 5, size: 1) & 3
        let isDefined = try bytes.number(at: at, plus: 6, size: 2) != 0
        // Global or weak, and neither internal nor hidden.
        guard isDefined, binding == 1 || binding == 2, visibility == 0 || visibility == 3 else { continue }
        let name = try bytes.number(at: at, size: 4)
        if try bytes.has(Self.entrySymbol, in: names, at: name) { exportsEntry = true }
        if try bytes.has("swift_retain", in: names, at: name) { hasOwnSwiftRuntime = true }
      }
    }
  }

  private mutating func readDynamic(_ bytes: Bytes, _ sections: [Section]) throws(Malformed) {
    for table in sections where table.kind == Section.Kind.dynamic {
      guard table.link < sections.count else { throw .broken("its dynamic section has no names") }
      for index in 0..<(table.size / 16) {
        let tag = try bytes.number(at: table.offset, plus: index * 16, size: 8)
        let value = try bytes.number(at: table.offset, plus: index * 16 + 8, size: 8)
        switch tag {
        case 0: return
        case 1: needed.append(try bytes.string(in: sections[Int(table.link)], at: value))
        case 0x6fff_fffb: isNoDelete = value & 8 != 0
        default: break
        }
      }
    }
  }

  private mutating func findAboutTexts(_ bytes: Bytes, _ sections: [Section]) throws(Malformed) {
    for section in sections
    where section.kind == Section.Kind.data && section.flags & (Section.Flag.allocated | Section.Flag.executable) == Section.Flag.allocated
    {
      for text in bytes.strings(startingWith: About.firstLine, in: section, longest: About.longest) where !aboutTexts.contains(text) {
        aboutTexts.append(text)
      }
    }
  }

  // ── Reading ──

  /// The bytes of the file, every access checked against its end.
  private struct Bytes {
    private let file: [UInt8]
    var count: Int { file.count }

    init(_ file: [UInt8]) { self.file = file }

    func number(at offset: UInt64, plus: UInt64 = 0, size: Int) throws(Malformed) -> UInt64 {
      let (start, overflow) = offset.addingReportingOverflow(plus)
      guard !overflow, start <= file.count, file.count - Int(start) >= size else { throw .broken("a number is outside the file") }
      return file.withUnsafeBytes { bytes in
        switch size {
        case 1: UInt64(bytes[Int(start)])
        case 2: UInt64(UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: Int(start), as: UInt16.self)))
        case 4: UInt64(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: Int(start), as: UInt32.self)))
        default: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: Int(start), as: UInt64.self))
        }
      }
    }

    private func range(_ section: Section) throws(Malformed) -> Range<Int> {
      guard section.end <= file.count, section.offset <= section.end else { throw .broken("a section is outside the file") }
      return Int(section.offset)..<Int(section.end)
    }

    /// The string of a string section; it must end in the section.
    func string(in section: Section, at offset: UInt64) throws(Malformed) -> String {
      let range = try range(section)
      guard offset < range.count else { throw .broken("a name is outside its section") }
      guard let text = string(from: range.lowerBound + Int(offset), before: range.upperBound) else { throw .broken("a name has no end") }
      return text
    }

    func has(_ name: String, in section: Section, at offset: UInt64) throws(Malformed) -> Bool {
      let range = try range(section)
      guard offset < range.count, range.count - Int(offset) > name.utf8.count else { return false }
      return file.withUnsafeBytes { bytes in
        var name = name
        return name.withUTF8 { name in
          let start = range.lowerBound + Int(offset)
          return memcmp(bytes.baseAddress! + start, name.baseAddress!, name.count) == 0 && bytes[start + name.count] == 0
        }
      }
    }

    /// Strings that begin so and end in the section, before they grow longer than `longest`. What is not UTF-8 is none.
    func strings(startingWith prefix: String, in section: Section, longest: Int) -> [String] {
      guard let range = try? range(section) else { return [] }
      var found: [String] = []
      var start = range.lowerBound
      while let next = position(of: prefix, in: start..<range.upperBound) {
        if let text = string(from: next, before: min(range.upperBound, next + longest + 1)) { found.append(text) }
        start = next + 1
      }
      return found
    }

    private func position(of text: String, in range: Range<Int>) -> Int? {
      file.withUnsafeBytes { bytes in
        var text = text
        return text.withUTF8 { text in
          guard let found = bat_find(bytes.baseAddress! + range.lowerBound, range.count, text.baseAddress!, text.count) else { return nil }
          return found - bytes.baseAddress!
        }
      }
    }

    private func string(from start: Int, before limit: Int) -> String? {
      file.withUnsafeBytes { bytes in
        guard let end = memchr(bytes.baseAddress! + start, 0, limit - start) else { return nil }
        return String(
          validating: UnsafeRawBufferPointer(start: bytes.baseAddress! + start, count: UnsafeRawPointer(end) - bytes.baseAddress! - start),
          as: UTF8.self)
      }
    }
  }
}
