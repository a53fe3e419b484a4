import CPlatform
import Glibc

/// What the kernel must know of a shared library before the dynamic linker may touch it.
///
/// A 64-bit little-endian ELF file, read from a copy of its bytes. The structs and numbers are those of <elf.h>, which Swift's Glibc
/// module includes; elf(5) explains them.
///
/// Linkers put the section headers last, so a file that ends where they end is complete. The bytes may be anything: every read is
/// checked, none traps.
struct ELFFile: Sendable, Equatable {
  /// The libraries that it is linked against.
  private(set) var needed: [String] = []
  /// Whether `persona_entry_v1` is defined and exported.
  private(set) var exportsEntry = false
  /// Linked with `-z nodelete`.
  private(set) var isNoDelete = false
  /// It contains a Swift runtime of its own, which cannot run beside another one.
  private(set) var hasOwnSwiftRuntime = false
  /// It tells which line of the source each instruction comes from.
  private(set) var hasLines = false
  /// The different strings that begin like an about text, in the order of the file.
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
    private static let machine = EM_X86_64
  #elseif arch(arm64)
    private static let machine = EM_AARCH64
  #endif

  private static func name(ofMachine number: Int32) -> String {
    switch number {
    case EM_386: "i386"
    case EM_ARM: "arm"
    case EM_X86_64: "x86-64"
    case EM_AARCH64: "aarch64"
    case EM_RISCV: "riscv"
    default: "machine \(number)"
    }
  }

  /// Reads the whole file; throws if the dynamic linker must not open it.
  init(_ file: [UInt8]) throws(Malformed) {
    let bytes = Bytes(file)
    let header = try Self.header(bytes)
    let sections = try Self.sections(bytes, header)
    try Self.checkSize(bytes, header, sections)
    try readSymbols(bytes, sections)
    try readDynamic(bytes, sections)
    try findSwift(bytes, header, sections)
    findAboutTexts(bytes, sections)
  }

  /// The header of the file, which must be a shared library for this machine.
  private static func header(_ bytes: Bytes) throws(Malformed) -> Elf64_Ehdr {
    guard bytes.prefix(Int(SELFMAG)).elementsEqual(ELFMAG.utf8.prefix(bytes.count)) else { throw .notELF }
    let size = MemoryLayout<Elf64_Ehdr>.size
    guard bytes.count >= size else { throw .incomplete(bytes: bytes.count, expected: UInt64(size)) }
    let header = try bytes.read(Elf64_Ehdr.self, at: 0)
    let ours = name(ofMachine: machine)
    guard Int32(header.e_ident.4) == ELFCLASS64 else { throw .notOurs("the library is for 32-bit programs; build it for \(ours)") }
    guard Int32(header.e_ident.5) == ELFDATA2LSB else { throw .notOurs("the library is for big-endian machines; build it for \(ours)") }
    guard Int32(header.e_machine) == machine else {
      throw .notOurs(
        "the library is for \(name(ofMachine: Int32(header.e_machine))), this kernel runs on \(ours): build it for this machine")
    }
    guard Int32(header.e_type) == ET_DYN else { throw .notOurs("the file is an ELF file but no shared library: link it with -shared") }
    return header
  }

  // ── Sections ──

  private static func sections(_ bytes: Bytes, _ header: Elf64_Ehdr) throws(Malformed) -> [Elf64_Shdr] {
    let size = MemoryLayout<Elf64_Shdr>.size
    guard header.e_shoff > 0, header.e_shnum > 0 else { throw .broken("it has no section headers") }
    guard header.e_shentsize == size else { throw .broken("its section headers have \(header.e_shentsize) bytes instead of \(size)") }
    let (end, overflow) = header.e_shoff.addingReportingOverflow(UInt64(header.e_shnum) * UInt64(size))
    guard !overflow, end <= bytes.count else {
      throw .incomplete(bytes: bytes.count, expected: overflow ? header.e_shoff : end)
    }
    var sections: [Elf64_Shdr] = []
    for index in 0..<UInt64(header.e_shnum) { sections.append(try bytes.read(Elf64_Shdr.self, at: header.e_shoff, index: index)) }
    return sections
  }

  /// Checks that the file ends where the last of its section headers, sections and segments ends.
  private static func checkSize(_ bytes: Bytes, _ header: Elf64_Ehdr, _ sections: [Elf64_Shdr]) throws(Malformed) {
    let size = MemoryLayout<Elf64_Phdr>.size
    // Reading the sections has checked that this sum does not overflow.
    var end = header.e_shoff + UInt64(sections.count * MemoryLayout<Elf64_Shdr>.size)
    for section in sections { end = max(end, section.end) }
    guard header.e_phentsize == size else { throw .broken("its program headers do not have \(size) bytes each") }
    for index in 0..<UInt64(header.e_phnum) {
      let segment = try bytes.read(Elf64_Phdr.self, at: header.e_phoff, index: index)
      let (segmentEnd, isTooFar) = segment.p_offset.addingReportingOverflow(segment.p_filesz)
      end = max(end, isTooFar ? .max : segmentEnd)
    }
    guard end <= bytes.count else { throw .incomplete(bytes: bytes.count, expected: end) }
    guard end == bytes.count else { throw .trailing(bytes: bytes.count, expected: end) }
  }

  // ── What is in them ──

  private mutating func readSymbols(_ bytes: Bytes, _ sections: [Elf64_Shdr]) throws(Malformed) {
    for table in sections where table.isOfType(SHT_DYNSYM) {
      guard table.sh_link < sections.count else { throw .broken("its symbols have no names") }
      let names = sections[Int(table.sh_link)]
      for index in 0..<(table.sh_size / UInt64(MemoryLayout<Elf64_Sym>.size)) {
        let symbol = try bytes.read(Elf64_Sym.self, at: table.sh_offset, index: index)
        // ELF64_ST_BIND and ELF64_ST_VISIBILITY.
        let (binding, visibility) = (Int32(symbol.st_info >> 4), Int32(symbol.st_other & 3))
        guard Int32(symbol.st_shndx) != SHN_UNDEF, binding == STB_GLOBAL || binding == STB_WEAK,
          visibility == STV_DEFAULT || visibility == STV_PROTECTED
        else { continue }
        if try bytes.has(Self.entrySymbol, in: names, at: symbol.st_name) { exportsEntry = true }
        if try bytes.has("swift_retain", in: names, at: symbol.st_name) { hasOwnSwiftRuntime = true }
      }
    }
  }

  private mutating func readDynamic(_ bytes: Bytes, _ sections: [Elf64_Shdr]) throws(Malformed) {
    // An Elf64_Dyn is a tag and a number; Swift cannot load it whole because the number is in a union.
    let size = MemoryLayout<Elf64_Dyn>.size
    for table in sections where table.isOfType(SHT_DYNAMIC) {
      guard table.sh_link < sections.count else { throw .broken("its dynamic section has no names") }
      let names = sections[Int(table.sh_link)]
      for index in 0..<(table.sh_size / UInt64(size)) {
        let tag = try bytes.read(Int64.self, at: table.sh_offset, index: 2 * index)
        let value = try bytes.read(UInt64.self, at: table.sh_offset, index: 2 * index + 1)
        switch tag {
        case Int64(DT_NULL): return
        case Int64(DT_NEEDED): needed.append(try bytes.string(in: names, at: value))
        case Int64(DT_FLAGS_1): isNoDelete = value & UInt64(DF_1_NODELETE) != 0
        default: break
        }
      }
    }
  }

  /// A library with Swift's sections that does not need libswiftCore has the runtime linked in.
  private mutating func findSwift(_ bytes: Bytes, _ header: Elf64_Ehdr, _ sections: [Elf64_Shdr]) throws(Malformed) {
    guard header.e_shstrndx < sections.count else { throw .broken("there is no section for section names") }
    let names = sections[Int(header.e_shstrndx)]
    for section in sections {
      let name = try bytes.string(in: names, at: UInt64(section.sh_name))
      if name.hasPrefix("swift5_"), !needed.contains(where: { $0.hasPrefix("libswiftCore.") }) { hasOwnSwiftRuntime = true }
      if name == ".debug_line" { hasLines = true }
    }
  }

  private mutating func findAboutTexts(_ bytes: Bytes, _ sections: [Elf64_Shdr]) {
    let loaded = UInt64(SHF_ALLOC)
    for section in sections
    where section.isOfType(SHT_PROGBITS) && section.sh_flags & (loaded | UInt64(SHF_EXECINSTR)) == loaded {
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

    func prefix(_ count: Int) -> ArraySlice<UInt8> { file.prefix(count) }

    /// The struct or number that stands at an offset, or in a table there at an index.
    func read<T: BitwiseCopyable>(_ type: T.Type, at offset: UInt64, index: UInt64 = 0) throws(Malformed) -> T {
      let size = MemoryLayout<T>.size
      let (distance, isTooLong) = index.multipliedReportingOverflow(by: UInt64(size))
      let (start, isTooFar) = offset.addingReportingOverflow(distance)
      guard !isTooLong, !isTooFar, start <= file.count, file.count - Int(start) >= size else {
        throw .broken("a number is outside the file")
      }
      return file.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: Int(start), as: T.self) }
    }

    private func range(_ section: Elf64_Shdr) throws(Malformed) -> Range<Int> {
      guard section.end <= file.count, section.sh_offset <= section.end else { throw .broken("a section is outside the file") }
      return Int(section.sh_offset)..<Int(section.end)
    }

    /// The string at an offset of a string section, in which it must end.
    func string(in section: Elf64_Shdr, at offset: UInt64) throws(Malformed) -> String {
      let range = try range(section)
      guard offset < range.count else { throw .broken("a name is outside its section") }
      guard let text = string(from: range.lowerBound + Int(offset), before: range.upperBound) else { throw .broken("a name has no end") }
      return text
    }

    func has(_ name: String, in section: Elf64_Shdr, at offset: Elf64_Word) throws(Malformed) -> Bool {
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

    /// The strings with a prefix that end in the section and have at most `longest` bytes. Strings that are not UTF-8 are left out.
    func strings(startingWith prefix: String, in section: Elf64_Shdr, longest: Int) -> [String] {
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

extension Elf64_Shdr {
  /// One of the SHT_ numbers.
  fileprivate func isOfType(_ type: Int32) -> Bool { sh_type == UInt32(type) }

  /// Where its bytes end in the file; 0 if it has none there.
  fileprivate var end: UInt64 {
    if isOfType(SHT_NOBITS) || isOfType(SHT_NULL) { return 0 }
    let (end, overflow) = sh_offset.addingReportingOverflow(sh_size)
    return overflow ? .max : end
  }
}
