import PersonaABI
import System
import Wire

extension persona_text {
  /// The bytes, lent for as long as they stay where they are.
  init(lending bytes: UnsafeRawBufferPointer) {
    self.init(bytes: bytes.baseAddress?.assumingMemoryBound(to: CChar.self), count: bytes.count)
  }
}

extension Array<UInt8> {
  /// Lends them for the length of one call.
  func lend<R>(_ body: (persona_text) -> R) -> R { withUnsafeBytes { body(persona_text(lending: $0)) } }
}

extension Mail {
  /// Lends the gram as persona.h describes it, for the length of one call.
  func lend<R>(_ body: (UnsafePointer<persona_gram_v1>) -> R) -> R {
    line.withUnsafeBytes { raw in
      func part(_ field: Envelope.Field) -> persona_text {
        field.isPresent ? persona_text(lending: UnsafeRawBufferPointer(rebasing: raw[field.range])) : persona_text()
      }
      // An escaped method is the rare case: it is written out, and all others are lent where they stand.
      let plain = envelope.method.escaped ? unescaped(UnsafeRawBufferPointer(rebasing: raw[envelope.method.range])) : []
      return source.lend { source in
        trace.lend { trace in
          topic.lend { topic in
            plain.lend { plain in
              var gram = persona_gram_v1()
              gram.token = token
              gram.source = source
              gram.method = envelope.method.escaped ? plain : part(envelope.method)
              gram.payload = envelope.payload.isPresent ? part(envelope.payload) : HostTables.null
              gram.topic = topic
              gram.trace = trace
              gram.deadline_ms = millisecondsLeft
              gram.flags = flags
              gram.hops = UInt32(clamping: hops)
              return withUnsafePointer(to: gram, body)
            }
          }
        }
      }
    }
  }

  /// 0: there is no deadline; at least 1 where there is one.
  private var millisecondsLeft: UInt64 {
    let now = MachineClock.now()
    return deadline == 0 ? 0 : max(1, (deadline - min(deadline, now)) / 1_000_000)
  }

  private var flags: UInt32 {
    (wantsReply ? UInt32(PERSONA_GRAM_WANTS_REPLY) : 0) | (wantsStream ? UInt32(PERSONA_GRAM_WANTS_STREAM) : 0)
      | (topic.isEmpty ? 0 : UInt32(PERSONA_GRAM_PUBLISHED))
  }
}
