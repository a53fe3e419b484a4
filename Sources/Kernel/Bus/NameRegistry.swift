import Glibc

/// Participants by name: a hash table that is asked with bytes in place, once for each message.
final class NameRegistry {
  private var buckets: UnsafeMutablePointer<Unmanaged<Participant>?>
  private var capacity = 64
  private(set) var count = 0

  init() {
    buckets = .allocate(capacity: capacity)
    buckets.initialize(repeating: nil, count: capacity)
  }

  deinit {
    for participant in all { Unmanaged.passUnretained(participant).release() }
    buckets.deallocate()
  }

  @inline(__always)
  private func bucket(_ bytes: UnsafePointer<UInt8>, _ n: Int) -> Int {
    var hash: UInt32 = 2_166_136_261
    var i = 0
    while i < n {
      hash = (hash ^ UInt32(bytes[i])) &* 16_777_619
      i &+= 1
    }
    return Int(hash) & (capacity &- 1)
  }

  /// Good until the event loop's turn has ended, as `Participant.only` is.
  @inline(__always)
  func find(_ bytes: UnsafePointer<UInt8>, _ n: Int) -> Unmanaged<Participant>? {
    var candidate = buckets[bucket(bytes, n)]
    while let participant = candidate {
      if participant._withUnsafeGuaranteedRef({ $0.count == n && memcmp($0.bytes, bytes, n) == 0 }) { return participant }
      candidate = participant._withUnsafeGuaranteedRef { $0.next }
    }
    return nil
  }

  func find(_ name: [UInt8]) -> Participant? {
    name.isEmpty ? nil : name.withUnsafeBufferPointer { find($0.baseAddress!, $0.count)?.takeUnretainedValue() }
  }

  /// The participant of that name, made if there is none.
  func make(_ name: [UInt8]) -> Participant {
    if let found = find(name) { return found }
    if count >= capacity { grow() }
    let participant = Participant(name)
    insert(Unmanaged.passRetained(participant))
    count += 1
    return participant
  }

  /// Takes it out if nobody answers to it any more.
  func release(_ participant: Participant) {
    guard participant.isEmpty else { return }
    let index = bucket(participant.bytes, participant.count)
    if buckets[index]?.takeUnretainedValue() === participant {
      buckets[index] = participant.next
    } else {
      var before = buckets[index]?.takeUnretainedValue()
      while let p = before, p.next?.takeUnretainedValue() !== participant { before = p.next?.takeUnretainedValue() }
      guard let before else { return }
      before.next = participant.next
    }
    participant.next = nil
    count -= 1
    Unmanaged.passUnretained(participant).release()
  }

  /// In no order.
  var all: [Participant] {
    var out: [Participant] = []
    for index in 0..<capacity {
      var candidate = buckets[index]?.takeUnretainedValue()
      while let participant = candidate {
        out.append(participant)
        candidate = participant.next?.takeUnretainedValue()
      }
    }
    return out
  }

  private func insert(_ participant: Unmanaged<Participant>) {
    let held = participant.takeUnretainedValue()
    let index = bucket(held.bytes, held.count)
    held.next = buckets[index]
    buckets[index] = participant
  }

  private func grow() {
    let everybody = all
    buckets.deallocate()
    capacity *= 2
    buckets = .allocate(capacity: capacity)
    buckets.initialize(repeating: nil, count: capacity)
    for participant in everybody { insert(Unmanaged.passUnretained(participant)) }
  }
}
