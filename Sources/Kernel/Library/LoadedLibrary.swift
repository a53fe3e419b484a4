import Glibc
import PersonaABI

/// A persona's code in this process, with its entry checked. It is never unloaded.
///
/// `@unchecked Sendable`: what it points to is constant, by the contract of persona.h.
public struct LoadedLibrary: @unchecked Sendable {
  public private(set) var image: LibraryImage
  public let entry: UnsafePointer<persona_entry>
  /// The library's functions. Those that an older minor version of persona.h does not have are nil.
  public let vtable: persona_vtable

  /// Opens the copy, which runs the library's initialisers, and calls persona_entry_v1(). Any thread.
  public static func open(_ image: LibraryImage) throws(LibraryError) -> LoadedLibrary {
    let name = image.originalPath
    _ = layouts
    // Global symbols would let one persona see another's; unloading leaves the Swift runtime with dangling pointers.
    guard let handle = dlopen(image.path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) else {
      throw LibraryError(.link, "\(name) cannot be linked: \(linkerError())")
    }
    guard let symbol = dlsym(handle, ELFFile.entrySymbol) else {
      throw LibraryError(.noEntry, "\(name) does not export \(ELFFile.entrySymbol)(): \(linkerError())")
    }
    typealias Entry = @convention(c) () -> UnsafeRawPointer?
    guard let entry = unsafeBitCast(symbol, to: Entry.self)() else {
      throw LibraryError(.entry, "\(name): \(ELFFile.entrySymbol)() returned NULL; it must return the address of a persona_entry")
    }
    return try LoadedLibrary(image: image, at: entry)
  }

  /// The same with one more warning.
  func warned(_ warning: String) -> LoadedLibrary {
    var library = self
    library.image.warnings.append(warning)
    return library
  }

  /// The tables of persona.h, made known to the Swift runtime before any library is opened.
  ///
  /// The runtime keeps one description of a C struct for the whole process: the first that is used. A library of an older minor
  /// version would describe the tables as shorter than they are here, and unspecialised code of ours would copy only that much.
  private static let layouts = [
    ObjectIdentifier(persona_host.self), ObjectIdentifier(persona_vtable.self), ObjectIdentifier(persona_bus_v1.self),
    ObjectIdentifier(persona_llm_v1.self), ObjectIdentifier(persona_rag_v1.self), ObjectIdentifier(persona_state_v1.self),
    ObjectIdentifier(persona_timer_v1.self), ObjectIdentifier(persona_log_v1.self), ObjectIdentifier(persona_config_v1.self),
  ]

  /// Reads members by their offsets until they are checked: a library may have put NULL where the header says _Nonnull.
  private init(image: LibraryImage, at entry: UnsafeRawPointer) throws(LibraryError) {
    let name = image.originalPath
    func number<T: FixedWidthInteger>(_ field: PartialKeyPath<persona_entry>, as: T.Type) -> T {
      entry.loadUnaligned(fromByteOffset: MemoryLayout<persona_entry>.offset(of: field)!, as: T.self)
    }
    let magic = number(\persona_entry.magic, as: UInt32.self)
    guard magic == PERSONA_MAGIC else {
      throw LibraryError(
        .entry,
        "\(name): the entry begins with 0x\(String(magic, radix: 16)) instead of PERSONA_MAGIC: it is no persona_entry, or is not initialised"
      )
    }
    let major = number(\persona_entry.abi_major, as: UInt16.self)
    guard Int32(major) == PERSONA_ABI_MAJOR else {
      throw LibraryError(
        .version,
        "\(name) is built for major version \(major) of persona.h, this kernel speaks \(PERSONA_ABI_MAJOR): "
          + (Int32(major) > PERSONA_ABI_MAJOR ? "update the kernel, or build the persona with this kernel's persona.h" : "build it again"))
    }
    let size = number(\persona_entry.size, as: UInt32.self)
    guard size >= MemoryLayout<persona_entry>.size else {
      throw LibraryError(
        .entry, "\(name): persona_entry.size is \(size); it must be sizeof(persona_entry), \(MemoryLayout<persona_entry>.size)")
    }
    guard let about = UnsafePointer<CChar>(bitPattern: number(\persona_entry.about, as: UInt.self)) else {
      throw LibraryError(.entry, "\(name): persona_entry.about is NULL; set it to persona_about")
    }
    guard strcmp(about, image.about.text) == 0 else {
      throw LibraryError(.entry, "\(name): persona_entry.about is not the about text that stands in the file; set it to persona_about")
    }
    guard number(\persona_entry.create, as: UInt.self) != 0 else { throw LibraryError(.entry, "\(name): persona_entry.create is NULL") }
    guard let table = UnsafeRawPointer(bitPattern: number(\persona_entry.vtable, as: UInt.self)) else {
      throw LibraryError(.entry, "\(name): persona_entry.vtable is NULL")
    }
    self.image = image
    self.entry = entry.assumingMemoryBound(to: persona_entry.self)
    self.vtable = Self.widened(table)
    guard vtable.destroy != nil, vtable.receive != nil else {
      throw LibraryError(
        .entry,
        "\(name): the vtable has no \(vtable.destroy == nil ? "destroy" : "receive")(), which is required (its size says \(vtable.size) bytes)"
      )
    }
  }

  /// Copies the library's table into one of this kernel's size, with zeros where it ends earlier.
  private static func widened(_ table: UnsafeRawPointer) -> persona_vtable {
    var vtable = persona_vtable()
    let size = Int(table.loadUnaligned(as: UInt32.self))
    withUnsafeMutableBytes(of: &vtable) { into in
      // Whole pointers only.
      let known = min(size, into.count) / MemoryLayout<UInt>.size * MemoryLayout<UInt>.size
      into.copyMemory(from: UnsafeRawBufferPointer(start: table, count: known))
    }
    return vtable
  }

  private static func linkerError() -> String { dlerror().map { String(cString: $0) } ?? "the dynamic linker gives no reason" }
}
