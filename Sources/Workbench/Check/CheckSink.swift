import Kernel
import PersonaABI
import Synchronization

/// A sink for save() that is full after `limit` bytes, and reports writes at the wrong time or on the wrong thread.
final class CheckSink: @unchecked Sendable {
  private let limit: Int
  private let lane: Lane
  private let log: CheckLog
  private struct Contents {
    var bytes: [UInt8] = []
    /// A write was refused.
    var overflow = false
    var isOpen = true
  }
  private let contents = Mutex(Contents())

  init(limit: Int, lane: Lane, log: CheckLog) {
    self.limit = limit
    self.lane = lane
    self.log = log
  }

  var bytes: [UInt8] { contents.withLock { $0.bytes } }
  var overflow: Bool { contents.withLock { $0.overflow } }
  /// Ends the time in which the persona may write to it.
  func close() { contents.withLock { $0.isOpen = false } }

  /// The sink as persona.h has it. Never freed, because a persona may keep it against the rules.
  var raw: persona_sink {
    persona_sink(context: Unmanaged.passRetained(self).toOpaque()) { context, source, count in
      let sink = Unmanaged<CheckSink>.fromOpaque(context!).takeUnretainedValue()
      return sink.write(UnsafeRawBufferPointer(start: source, count: source == nil ? 0 : count))
    }
  }

  private func write(_ piece: UnsafeRawBufferPointer) -> Int32 {
    if !lane.isCurrent { log.fail("writes to the sink of save() on a thread of its own; persona.h allows it on the lane alone") }
    return contents.withLock { contents in
      guard contents.isOpen else {
        log.fail("writes to the sink of save() after save() has returned")
        return Int32(PERSONA_E_FAILED)
      }
      if contents.overflow || contents.bytes.count + piece.count > limit {
        contents.overflow = true
        return Int32(PERSONA_E_TOO_LONG)
      }
      contents.bytes += piece
      return 0
    }
  }
}
