import Protocol
import Wire

/// A step of an answer under way, as `bus->progress` of persona.h describes it: what a `delta` says. A value.
///
/// It is read and checked on the thread that hands it in, so that the event loop parses nothing.
struct AnswerStep: Sendable {
  /// The longest step, in bytes of JSON.
  static let longest = 64 << 10

  let delta: Delta

  /// Nil: it is no JSON object with a "kind", or its text or speaker is no string.
  init?(parsing json: [UInt8]) {
    guard var members = (try? JSON(parsing: json))?.object, let kind = members["kind"]?.string else { return nil }
    let speaker = members.removeValue(forKey: "speaker")
    guard speaker == nil || speaker?.string != nil else { return nil }
    var text: JSON?
    // The text of a part is a piece of the answer, and stands where the pieces of bus->stream() stand.
    if kind == "part" {
      text = members.removeValue(forKey: "text")
      guard text?.string != nil else { return nil }
    }
    delta = Delta(text: text?.string, event: .object(members), speaker: speaker?.string)
  }

  init(_ delta: Delta) { self.delta = delta }

  /// A piece of what somebody says.
  init(part text: String, speaker: String) {
    delta = Delta(text: text, event: ["kind": "part"], speaker: speaker)
  }

  /// What somebody is about; nil: the one who was asked.
  init(status: String, speaker: String?) {
    delta = Delta(text: nil, event: ["kind": "status", "text": .string(status)], speaker: speaker)
  }

  /// The same step; if it names no speaker, it is this one's.
  func by(_ speaker: String) -> AnswerStep {
    var delta = delta
    delta.speaker = delta.speaker ?? speaker
    return AnswerStep(delta)
  }

  /// What goes over the wire.
  var payload: [UInt8] { PayloadCoding.bytes(of: delta) }
}
