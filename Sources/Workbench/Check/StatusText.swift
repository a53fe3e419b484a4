import Kernel
import Protocol

/// The names that persona.h gives to statuses.
enum StatusText {
  static func name(_ status: Int32) -> String {
    if status == 0 { return "PERSONA_OK" }
    if status == 1 { return "PERSONA_LATER" }
    // Codes that share a status have the first one's name in persona.h.
    guard let code = Failure.Code.allCases.first(where: { $0.status == status }) else { return "status \(status)" }
    return "PERSONA_E_\(code.rawValue.uppercased()) (\(status))"
  }

  /// Every error that a request can end with.
  static let errors: [Int32] = Set(Failure.Code.allCases.map(\.status)).sorted(by: >)
}
