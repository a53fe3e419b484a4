import Protocol
import Wire

/// What a persona is told in a replay when it wants something of others: from the recording, from the live model, or that it is held
/// back. A value: one for each message.
struct ReplayAnswers {
  enum Decision {
    case now(Result<JSON, Failure>)
    /// It is for the host's model.
    case ask(question: JSON)
  }

  /// What one message may ask the live model; a persona that goes round in circles must end, too.
  static let mostQuestions = 16

  private let persona: String
  private let isLive: Bool
  /// The steps that nothing has been answered from.
  private var left: [Recording.Step]
  private var questions = 0

  init(_ steps: [Recording.Step], persona: String, isLive: Bool) {
    left = steps
    self.persona = persona
    self.isLive = isLive
  }

  mutating func decide(_ call: OutboundCall) -> Decision {
    if let place = left.firstIndex(where: { $0.call == call }) { return .now(Self.result(of: left.remove(at: place))) }
    if isLive { return decideLive(call) }
    // Something like it: asked in other words, or with other details.
    if let place = left.firstIndex(where: { $0.call.isLike(call) }) { return .now(Self.result(of: left.remove(at: place))) }
    return .now(.failure(Failure(.failed, "the recording holds no answer to this: \(persona) \(call.text)")))
  }

  private mutating func decideLive(_ call: OutboundCall) -> Decision {
    guard case .chat(let question) = call else {
      return .now(.failure(Failure(.failed, "held back in a shadow: \(persona) \(call.text), which it did not do then")))
    }
    questions += 1
    guard questions <= Self.mostQuestions else {
      return .now(
        .failure(Failure(.failed, "a shadow may ask the live model \(Self.mostQuestions) times for one message, and no more")))
    }
    return .ask(question: question)
  }

  private static func result(of step: Recording.Step) -> Result<JSON, Failure> {
    switch step.end {
    case .result(let result): .success(result)
    case .failure(let failure): .failure(failure)
    case .silence: .success(.null)
    case nil: .failure(Failure(.cancelled, "it had no end when it was recorded"))
    }
  }
}
