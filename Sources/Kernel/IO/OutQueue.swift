import Glibc
import System

/// Bytes that wait for a socket to take them, sent from their front.
///
/// Small lines are copied one behind the other, so that one call sends many of them. A long line that several connections wait for is
/// kept once: each queue holds it, and how much of it has gone.
struct OutQueue: ~Copyable {
  private enum Segment {
    case copied(Buffer)
    case shared(SharedLine, sent: Int)
  }

  private var segments = Deque<Segment>()
  /// All bytes that wait.
  private(set) var count = 0
  private let house: HouseBytes

  init(_ house: HouseBytes) { self.house = house }

  var isEmpty: Bool { count == 0 }

  /// What is to be sent next: the first segment, at least one byte unless the queue is empty.
  func withFirst<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
    switch segments.first {
    case .copied(let buffer): body(buffer.bytes)
    case .shared(let line, let sent): line.bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[sent...])) }
    case nil: body(UnsafeRawBufferPointer(start: nil, count: 0))
    }
  }

  /// Copies them.
  mutating func append(_ bytes: UnsafeRawPointer, _ n: Int) {
    if n == 0 { return }
    count += n
    if case .copied(let buffer) = segments.last { return buffer.append(bytes, n) }
    let buffer = house.spare ?? Buffer(house)
    house.spare = nil
    buffer.append(bytes, n)
    segments.append(.copied(buffer))
  }

  /// Keeps the line, of which so much has gone already.
  mutating func append(_ line: SharedLine, sent: Int) {
    count += line.bytes.count - sent
    segments.append(.shared(line, sent: sent))
  }

  /// So many bytes of the first segment have gone. An empty queue gives its memory back, so that idle connections cost nothing.
  mutating func drop(_ n: Int) {
    count -= n
    switch segments.first {
    case .copied(let buffer):
      if buffer.drop(n) {
        _ = segments.popFirst()
        if buffer.isWorthKeeping { house.spare = buffer }
      }
    case .shared(let line, let sent):
      _ = segments.popFirst()
      if sent + n < line.bytes.count { segments.prepend(.shared(line, sent: sent + n)) }
    case nil: break
    }
    if count == 0 { segments = Deque() }
  }

  /// Bytes that grow at their end and are taken from their front.
  final class Buffer {
    private var base: UnsafeMutableRawPointer?
    private var head = 0
    private var tail = 0
    private var capacity = 0
    private let house: HouseBytes

    init(_ house: HouseBytes) { self.house = house }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base.map { $0 + head }, count: tail - head) }

    func append(_ bytes: UnsafeRawPointer, _ n: Int) {
      if tail + n > capacity, head > 0 {
        memmove(base!, base! + head, tail - head)
        tail -= head
        head = 0
      }
      if tail + n > capacity {
        let before = capacity
        capacity = max((tail + n) * 3 / 2, 4096)
        base = realloc(base, capacity)
        precondition(base != nil, "out of memory: \(capacity) bytes for one connection's queue")
        house.take(capacity - before)
      }
      memcpy(base! + tail, bytes, n)
      tail += n
    }

    /// True: nothing is left.
    func drop(_ n: Int) -> Bool {
      head += n
      guard head == tail else { return false }
      (head, tail) = (0, 0)
      return true
    }

    /// It need not grow again in another queue.
    var isWorthKeeping: Bool { capacity <= 256 << 10 }

    deinit {
      free(base)
      house.giveBack(capacity)
    }
  }
}
