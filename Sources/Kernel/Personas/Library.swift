import Glibc
import PersonaABI

/// A private copy of a library's file that has been checked without running any of it.
struct LibraryImage: Sendable {
  /// The copy, which stays while the library is open.
  var path: String
  /// SHA-256, in hex.
  var hash: String
  var about: About
  /// What is odd and was let pass.
  var warnings: [String] = []
}

/// An opened library: its code is mapped for as long as the process lives.
struct Library: @unchecked Sendable {
  let image: LibraryImage
  let entry: UnsafePointer<persona_entry>
  /// As large as ours; functions that the library was built without are nil.
  let vtable: persona_vtable
  var about: About { image.about }

  /// Opens the copy beside every other generation. Code of the library (its initialisers) runs here for the first time.
  static func open(_ image: LibraryImage) throws(Failure) -> Library {
    guard let handle = dlopen(image.path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) else {
      throw Failure(.failed, "the library cannot be opened: \(String(cString: dlerror()))")
    }
    guard let symbol = dlsym(handle, "persona_entry_v1") else {
      throw Failure(.failed, "the library has no persona_entry_v1: \(String(cString: dlerror()))")
    }
    let function = unsafeBitCast(symbol, to: (@convention(c) () -> UnsafePointer<persona_entry>?).self)
    guard let entry = function() else { throw Failure(.invalid, "persona_entry_v1 returned NULL") }
    let ours = UInt32(MemoryLayout<persona_entry>.size)
    if entry.pointee.magic != PERSONA_MAGIC {
      throw Failure(.invalid, "persona_entry_v1 does not point to a persona_entry: its magic is \(hex(entry.pointee.magic)), not \(hex(UInt32(PERSONA_MAGIC)))")
    }
    if Int32(entry.pointee.abi_major) != PERSONA_ABI_MAJOR {
      throw Failure(
        .invalid,
        "built for persona.h \(entry.pointee.abi_major).\(entry.pointee.abi_minor), this kernel has \(PERSONA_ABI_MAJOR).\(PERSONA_ABI_MINOR): rebuild it with this kernel's persona.h"
      )
    }
    if entry.pointee.size < ours { throw Failure(.invalid, "its persona_entry has \(entry.pointee.size) bytes, at least \(ours) are needed: rebuild it") }
    let text = String(cString: entry.pointee.about)
    if text != image.about.text {
      throw Failure(.invalid, "persona_entry.about is not the about text that stands in the file: point it to persona_about (PERSONA_ABOUT)")
    }
    // A library that was built with a shorter table has nil where it ends; a longer one is cut.
    var vtable = persona_vtable()
    withUnsafeMutableBytes(of: &vtable) { target in
      let count = min(Int(entry.pointee.vtable.pointee.size), target.count)
      target.copyMemory(from: UnsafeRawBufferPointer(start: entry.pointee.vtable, count: count))
    }
    if vtable.destroy == nil || vtable.receive == nil {
      throw Failure(.invalid, "its persona_vtable lacks \(vtable.destroy == nil ? "destroy" : "receive"), which is required")
    }
    return Library(image: image, entry: entry, vtable: vtable)
  }

  private static func hex(_ value: UInt32) -> String { "0x" + String(value, radix: 16) }
}
