import Glibc

/// A name on the bus, and who answers to it: connections, or one persona. Event loop only.
final class Participant {
  let name: [UInt8]
  let text: String
  var connections: ContiguousArray<Connection> = []
  var slot: PersonaSlot?
  /// The next one in the same bucket of the table.
  fileprivate var next: Participant?

  init(_ name: [UInt8]) {
    self.name = name
    text = String(decoding: name, as: UTF8.self)
  }

  var isEmpty: Bool { connections.isEmpty && slot == nil }
}

/// Participants by name: a hash table that is asked with bytes in place, once for each message.
struct NameTable {
  private var buckets: [Participant?] = Array(repeating: nil, count: 64)
  private(set) var count = 0

  @inline(__always)
  private func bucket(_ bytes: UnsafePointer<UInt8>, _ n: Int) -> Int {
    var hash: UInt32 = 2_166_136_261
    var i = 0
    while i < n {
      hash = (hash ^ UInt32(bytes[i])) &* 16_777_619
      i &+= 1
    }
    return Int(hash) & (buckets.count - 1)
  }

  @inline(__always)
  func find(_ bytes: UnsafePointer<UInt8>, _ n: Int) -> Participant? {
    var candidate = buckets[bucket(bytes, n)]
    while let participant = candidate {
      if participant.name.count == n, participant.name.withUnsafeBufferPointer({ memcmp($0.baseAddress!, bytes, n) == 0 }) {
        return participant
      }
      candidate = participant.next
    }
    return nil
  }

  func find(_ name: [UInt8]) -> Participant? { name.isEmpty ? nil : name.withUnsafeBufferPointer { find($0.baseAddress!, $0.count) } }

  /// The participant of that name, made if there is none.
  mutating func make(_ name: [UInt8]) -> Participant {
    if let found = find(name) { return found }
    if count >= buckets.count { grow() }
    let participant = Participant(name)
    insert(participant)
    count += 1
    return participant
  }

  /// Takes it out if nobody answers to it any more.
  mutating func release(_ participant: Participant) {
    guard participant.isEmpty else { return }
    let index = participant.name.withUnsafeBufferPointer { bucket($0.baseAddress!, $0.count) }
    if buckets[index] === participant {
      buckets[index] = participant.next
    } else {
      var before = buckets[index]
      while let p = before, p.next !== participant { before = p.next }
      guard let before else { return }
      before.next = participant.next
    }
    participant.next = nil
    count -= 1
  }

  /// In no order.
  var all: [Participant] {
    var out: [Participant] = []
    for bucket in buckets {
      var candidate = bucket
      while let participant = candidate {
        out.append(participant)
        candidate = participant.next
      }
    }
    return out
  }

  private mutating func insert(_ participant: Participant) {
    let index = participant.name.withUnsafeBufferPointer { bucket($0.baseAddress!, $0.count) }
    participant.next = buckets[index]
    buckets[index] = participant
  }

  private mutating func grow() {
    let everybody = all
    buckets = Array(repeating: nil, count: buckets.count * 2)
    for participant in everybody {
      participant.next = nil
      insert(participant)
    }
  }
}
