import PersonaABI
import Synchronization

/// The requests of one instance that have not ended: what to call when they do. Any thread.
///
/// Bounded twice: so many requests may be open, and so much text may wait for one of them. Both are charged to the instance.
final class PendingRequests: Sendable {
  /// What the persona gave with a request.
  struct Call: @unchecked Sendable {
    var part: persona_part?
    var done: persona_done
    var context: UnsafeMutableRawPointer?
  }

  /// So many may be open at a time.
  static let limit = 65_536
  /// So many bytes of pieces may wait for a lane that does not take them. What comes beyond is left out, to the request's end:
  /// the result has the whole.
  static let heldLimit = 4 << 20

  private struct Entry {
    let call: Call
    /// Pieces that have not been handed out; a job to do so is on the lane when there are any.
    var held: [UInt8] = []
    var isCut = false
    var isCancelled = false
  }
  private let entries = Mutex<[UInt64: Entry]>([:])
  private static let last = Atomic<UInt64>(0)

  /// A number for a request, unique in the process; never 0.
  static func nextNumber() -> UInt64 { last.wrappingAdd(1, ordering: .relaxed).newValue }

  /// Nil: too many are open.
  func begin(_ call: Call) -> UInt64? {
    entries.withLock { entries in
      guard entries.count < Self.limit else { return nil }
      let number = Self.nextNumber()
      entries[number] = Entry(call: call)
      return number
    }
  }

  /// Takes it out; nil: it has ended already. Whoever takes it out ends it.
  func end(_ request: UInt64) -> Call? { entries.withLock { $0.removeValue(forKey: request)?.call } }

  /// Takes out all that are open, in the order in which they were begun.
  func endAll() -> [(request: UInt64, call: Call)] {
    entries.withLock { entries in
      defer { entries = [:] }
      return entries.sorted { $0.key < $1.key }.map { ($0.key, $0.value.call) }
    }
  }

  /// True for the first time that an open request is cancelled.
  func cancel(_ request: UInt64) -> Bool {
    entries.withLock { entries in
      guard let entry = entries[request], !entry.isCancelled else { return false }
      entries[request]?.isCancelled = true
      return true
    }
  }

  // MARK: Pieces

  /// Keeps a piece for `takeHeld`. True: nothing waited before, so somebody must see to it that it is handed out.
  func hold(_ text: [UInt8], for request: UInt64) -> Bool {
    if text.isEmpty { return false }
    return entries.withLock { entries in
      guard let entry = entries[request], entry.call.part != nil, !entry.isCut else { return false }
      guard entry.held.count + text.count <= Self.heldLimit || entry.held.isEmpty else {
        entries[request]?.isCut = true
        return false
      }
      entries[request]?.held += text
      return entry.held.isEmpty
    }
  }

  /// What waits, and whom to give it.
  func takeHeld(for request: UInt64) -> (call: Call, text: [UInt8])? {
    entries.withLock { entries in
      guard let entry = entries[request], !entry.held.isEmpty else { return nil }
      entries[request]?.held = []
      return (entry.call, entry.held)
    }
  }
}
