import Glibc
import PersonaABI

/// Lends bytes for one call.
///
/// If `guarded`, they end where a readable page ends, and cannot be read after the call: a persona that looks for a zero at the end,
/// or keeps the pointer, crashes at once.
func lend<R>(_ bytes: [UInt8], guarded: Bool, _ body: (persona_text) -> R) -> R {
  func text(_ raw: UnsafeRawBufferPointer) -> persona_text {
    persona_text(bytes: raw.baseAddress?.assumingMemoryBound(to: CChar.self), count: raw.count)
  }
  guard guarded, let pages = GuardedPages(count: bytes.count) else { return bytes.withUnsafeBytes { body(text($0)) } }
  defer { pages.remove() }
  pages.bytes.copyBytes(from: bytes)
  return body(text(UnsafeRawBufferPointer(pages.bytes)))
}

/// Memory followed by a page that cannot be read or written.
struct GuardedPages {
  private let start: UnsafeMutableRawPointer
  private let length: Int
  /// The usable bytes, which end at that page.
  let bytes: UnsafeMutableRawBufferPointer

  /// nil if the system gives no memory.
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

  /// Makes it unreadable. The addresses are never used again, so that a pointer that was kept cannot point at other bytes.
  func remove() {
    madvise(start, length, MADV_DONTNEED)
    mprotect(start, length, PROT_NONE)
  }
}
