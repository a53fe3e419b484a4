import Glibc

/// Memory between two pages that nobody may touch: what reads one byte outside of its input ends the process there.
final class GuardedMemory {
  private let start: UnsafeMutableRawPointer
  private let size: Int
  /// The input that is being checked, for the signal handler. Written and read by the only thread.
  nonisolated(unsafe) private static var current = UnsafeRawBufferPointer(start: nil, count: 0)

  init(capacity: Int) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    size = (capacity + page - 1) / page * page
    guard let all = mmap(nil, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), all != MAP_FAILED,
      mprotect(all + page, size, PROT_READ | PROT_WRITE) == 0
    else { fatalError("no memory for the inputs: \(String(cString: strerror(errno)))") }
    start = all + page
  }

  /// Lends a copy of the bytes that ends, or begins, at a page that cannot be read.
  func withBytes<R>(_ bytes: [UInt8], atEnd: Bool, _ body: (UnsafeRawBufferPointer) -> R) -> R {
    let place = atEnd ? start + (size - bytes.count) : start
    bytes.withUnsafeBytes { if let base = $0.baseAddress { place.copyMemory(from: base, byteCount: bytes.count) } }
    Self.current = UnsafeRawBufferPointer(start: place, count: bytes.count)
    return body(Self.current)
  }

  /// Prints the input when the process traps, reads outside of it, or does not come back in time (SIGALRM), and ends with status 1.
  static func printOnFault() {
    for number in [SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGALRM] {
      signal(number) { _ in
        let head: StaticString = "fuzz: this input traps, is read outside of its bytes, or takes more than 60 s:\n"
        write(2, head.utf8Start, head.utf8CodeUnitCount)
        write(2, GuardedMemory.current.baseAddress, GuardedMemory.current.count)
        write(2, "\n", 1)
        _exit(1)
      }
    }
  }
}
