import Protocol

extension Failure.Code {
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
