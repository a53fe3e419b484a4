/// What can go wrong on the way of a message because of a peer, a persona, a file or a model.
///
/// The code is for programs (it stands in error grams as `code`), the message for people: what
/// happened, where, and what to do.
public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
  /// The closed set of reasons. Raw values are the words of the wire protocol.
  public enum Code: String, Sendable, CaseIterable {
    case failed, invalid, retired, cancelled, deadline
    case unknownTarget = "unknown_target"
    case queueFull = "queue_full"
    case hopLimit = "hop_limit"
    case tooLong = "too_long"
    case unknownMethod = "unknown_method"
    case state
    case notFound = "not_found"
    case denied
    case badJSON = "bad_json"
    case nameRefused = "name_refused"
    case llmUnreachable = "llm_unreachable"
    case llmNoModel = "llm_no_model"
    case llmRefused = "llm_refused"
    case llmCutOff = "llm_cut_off"
    case llmGarbled = "llm_garbled"
    case llmTooLong = "llm_too_long"
    case llmInvalid = "llm_invalid"
    case llmBudget = "llm_budget"

    /// The status by which persona.h knows the same reason.
    public var status: Int32 {
      switch self {
      case .failed: -1
      case .invalid, .badJSON, .nameRefused: -2
      case .retired: -3
      case .cancelled: -4
      case .deadline: -5
      case .unknownTarget: -6
      case .queueFull: -7
      case .hopLimit: -8
      case .tooLong: -9
      case .unknownMethod: -10
      case .state: -11
      case .notFound: -12
      case .denied: -13
      case .llmUnreachable: -20
      case .llmNoModel: -21
      case .llmRefused: -22
      case .llmCutOff: -23
      case .llmGarbled: -24
      case .llmTooLong: -25
      case .llmInvalid: -26
      case .llmBudget: -27
      }
    }

    /// The reason behind a status of persona.h; a status that we do not know is a plain failure.
    public init(status: Int32) {
      self = status == -2 ? .invalid : Self.allCases.first { $0.status == status } ?? .failed
    }
  }

  public var code: Code
  public var message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { "\(message) (\(code.rawValue))" }
}
