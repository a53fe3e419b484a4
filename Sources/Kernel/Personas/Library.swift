import Glibc
import CPlatform
import PersonaABI

struct LibraryImage: Sendable { var path: String; var hash: String; var about: About; var warnings: [String] = []
  static func rehearsed(_ path: String) throws(Failure) -> LibraryImage { throw Failure(.failed, "x") } }

/// An opened library: its code is mapped for as long as the process lives.
struct Library: @unchecked Sendable {
  let image: LibraryImage
  let entry: UnsafePointer<persona_entry>
  /// As large as ours; functions that the library was built without are nil.
  let vtable: persona_vtable
  var about: About { image.about }
  static func open(_ image: LibraryImage) throws(Failure) -> Library { throw Failure(.failed, "x") }
}
final class LibraryStore: Sendable {
  init(folders: [String], beside: String) throws(Failure) {}
  func find(_ name: String) -> String? { nil }
  func copy(library: String, label: String, unlessHash: String?, services: [String], runningSchema: UInt32?) throws(Failure) -> LibraryImage? { nil }
  func discard(_ image: LibraryImage) {}
  func removeAll() {}
}
struct LibraryWatcher { var descriptor: Int32; init() throws { descriptor = bat_eventfd() }; func watch(folder: String) throws {} }
struct LibrarySettling {}
