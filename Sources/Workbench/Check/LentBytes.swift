import Glibc
import PersonaABI

/// Bytes that are lent for one call.
///
/// When `guarded`, they end where a page ends that may be read, and are gone after the call: whoever reads on for a
/// zero at the end, or keeps the pointer, crashes at once instead of once a week.
func lend<R>(_ bytes: [UInt8], guarded: Bool, _ body: (persona_text) -> R) -> R {
  func text(_ raw: UnsafeRawBufferPointer) -> persona_text {
    persona_text(bytes: raw.baseAddress?.assumingMemoryBound(to: CChar.self), count: raw.count)
  }
  guard guarded, let pages = GuardedPages(count: bytes.count) else { return bytes.withUnsafeBytes { body(text($0)) } }
  defer { pages.remove() }
  pages.bytes.copyBytes(from: bytes)
  return body(text(UnsafeRawBufferPointer(pages.bytes)))
}

/// Memory with a page behind it that nobody may touch.
struct GuardedPages {
  private let start: UnsafeMutableRawPointer
  private let length: Int
  /// It ends at the page that nobody may touch.
  let bytes: UnsafeMutableRawBufferPointer

  /// Nil: the system gives none.
  init?(count: Int) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let usable = max(1, (count + page - 1) / page) * page
    guard let start = mmap(nil, usable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), start != MAP_FAILED,
      mprotect(start + usable, page, PROT_NONE) == 0
    else { return nil }
    self.start = start
    length = usable + page
    bytes = UnsafeMutableRawBufferPointer(start: start + usable - count, count: count)
  }

  /// Whoever reads it afterwards crashes. The addresses are never used again: a pointer that was kept must not meet other bytes.
  func remove() {
    madvise(start, length, MADV_DONTNEED)
    mprotect(start, length, PROT_NONE)
  }
}
