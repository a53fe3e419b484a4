import Kernel
import PersonaABI
import Wire

/// One gram to be handed to a persona.
struct CheckGram: Sendable {
  var method: String
  var payload: [UInt8]
  var source = "GUI"
  var topic = ""
  var trace = ""
  var milliseconds: UInt64 = 60_000
  var flags = UInt32(PERSONA_GRAM_WANTS_REPLY)
  var hops: UInt32 = 0

  init(_ method: String, _ payload: [UInt8]) {
    self.method = method
    self.payload = payload
  }
  init(_ method: String, _ payload: JSON) { self.init(method, payload.bytes) }

  /// The same gram, published on a topic: nobody waits for an answer.
  func published(on topic: String) -> CheckGram {
    var gram = self
    gram.topic = topic
    gram.flags = UInt32(PERSONA_GRAM_PUBLISHED)
    return gram
  }
  /// The same gram, from somebody who wants the answer streamed.
  var streamed: CheckGram {
    var gram = self
    gram.flags |= UInt32(PERSONA_GRAM_WANTS_STREAM)
    return gram
  }

  var words: String { "receive() of \(name)" }
  /// Its method and payload, shortened.
  var name: String { "\(CheckText.short(Array(method.utf8), limit: 40)) \(CheckText.short(payload))" }

  /// Grams for tests to which any sensible gram will do: one for each method of the persona, and plain conversation.
  static func usual(_ about: About, _ sample: inout SamplePayload) -> [CheckGram] {
    var grams: [CheckGram] = []
    for method in about.methods {
      let schema = method.takes.flatMap { try? JSON(parsing: $0.utf8) }
      grams.append(CheckGram(method.name, schema == nil ? ["content": "Hello"] : sample.fitting(schema)))
    }
    return grams + [CheckGram("talk", ["content": "Hello, who are you?"])]
  }

  func lent<R>(token: UInt64, guarded: Bool, _ body: (UnsafePointer<persona_gram_v1>) -> R) -> R {
    lend(Array(source.utf8), guarded: guarded) { source in
      lend(Array(method.utf8), guarded: guarded) { method in
        lend(payload, guarded: guarded) { payload in
          lend(Array(topic.utf8), guarded: guarded) { topic in
            lend(Array(trace.utf8), guarded: guarded) { trace in
              let gram = persona_gram_v1(
                token: token, source: source, method: method, payload: payload, topic: topic, trace: trace, deadline_ms: milliseconds,
                flags: flags, hops: hops)
              return withUnsafePointer(to: gram) { body($0) }
            }
          }
        }
      }
    }
  }
}
