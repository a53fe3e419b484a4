import CVector
import Glibc
import System

/// A file in memory, which somebody may shorten meanwhile: then the rest of it reads as zeros, and `isWhole` says so.
///
/// It ends with the object. Whoever has it decides which thread uses it.
final class GuardedMapping: @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  let size: Int
  private let watch: OpaquePointer?

  /// - Parameter isWritable: whether what is written goes into the file.
  init(_ descriptor: Int32, size: Int, isWritable: Bool) throws(Errno) {
    let pointer = mmap(nil, size, isWritable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, descriptor, 0)
    guard let pointer, pointer != MAP_FAILED else { throw .last }
    base = pointer
    self.size = size
    watch = bat_guard_begin(pointer, size)
  }

  deinit {
    if let watch { bat_guard_end(watch) }
    munmap(base, size)
  }

  /// Whether all that was touched so far was there.
  var isWhole: Bool { watch.map { bat_guard_is_broken($0) == 0 } ?? true }
}
