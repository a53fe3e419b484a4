import Glibc

/// Bytes that wait for a socket to take them: a growing buffer that is sent from its front.
struct OutQueue: ~Copyable {
  private var base: UnsafeMutableRawPointer?
  private var head = 0
  private var tail = 0
  private var capacity = 0

  var count: Int { tail - head }
  var isEmpty: Bool { tail == head }
  /// What is to be sent next.
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base.map { $0 + head }, count: count) }

  mutating func append(_ bytes: UnsafeRawPointer, _ n: Int) {
    if tail + n > capacity {
      if head > 0 {
        memmove(base!, base! + head, count)
        tail -= head
        head = 0
      }
      if tail + n > capacity {
        capacity = max((tail + n) * 3 / 2, 4096)
        base = realloc(base, capacity)
        precondition(base != nil, "out of memory: \(capacity) bytes for one connection's queue")
      }
    }
    memcpy(base! + tail, bytes, n)
    tail += n
  }

  /// So many bytes have gone. An empty queue gives its memory back, so that idle connections cost nothing.
  mutating func drop(_ n: Int) {
    head += n
    if head == tail { self = OutQueue() }
  }

  deinit { free(base) }
}
