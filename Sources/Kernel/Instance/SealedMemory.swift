import Glibc

/// Memory for the kernel's tables that personas read: pages of their own, which can only be read once they are sealed.
///
/// A persona that writes into a table dies of it, in its rehearsal most likely; otherwise it would spoil the table of all others. Never freed.
enum SealedMemory {
  /// Room for one value, on pages of its own.
  static func allocate<T>(for type: T.Type) -> UnsafeMutablePointer<T> {
    let pages = mmap(nil, bytes(type), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let pages, pages != MAP_FAILED else { return .allocate(capacity: 1) }
    return pages.bindMemory(to: type, capacity: 1)
  }

  /// From now on the value can only be read. (Memory that is on no pages of its own, for want of them, stays as it is.)
  static func seal<T>(_ value: UnsafeMutablePointer<T>) {
    if UInt(bitPattern: value) % UInt(pageSize) == 0 { mprotect(value, bytes(T.self), PROT_READ) }
  }

  /// A value that is sealed at once.
  static func keep<T>(_ value: T) -> UnsafePointer<T> {
    let pointer = allocate(for: T.self)
    pointer.initialize(to: value)
    seal(pointer)
    return UnsafePointer(pointer)
  }

  private static let pageSize = Int(sysconf(Int32(_SC_PAGESIZE)))
  private static func bytes<T>(_ type: T.Type) -> Int { (MemoryLayout<T>.size + pageSize - 1) / pageSize * pageSize }
}
