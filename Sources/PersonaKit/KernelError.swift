import PersonaABI

/// What went wrong, as persona.h tells it: a status for programs and a text for people.
///
/// Throw one out of `receive` to tell the asker precisely.
public struct KernelError: Error, Sendable, Equatable, CustomStringConvertible {
  /// One of `PERSONA_E_…`; what is not negative crosses as PERSONA_E_FAILED.
  public var status: Int32
  public var message: String

  public init(_ status: Int32, _ message: String) {
    self.status = status
    self.message = message
  }

  /// The payload is not what the method takes.
  public static func invalid(_ message: String) -> KernelError { KernelError(Int32(PERSONA_E_INVALID), message) }
  /// There is no such method here; say which there are.
  public static func unknownMethod(_ message: String) -> KernelError { KernelError(Int32(PERSONA_E_UNKNOWN_METHOD), message) }

  public var isCancelled: Bool { status == PERSONA_E_CANCELLED }
  public var description: String { message }

  /// Any error, as it crosses to the kernel.
  static func crossing(_ error: any Error) -> KernelError {
    if let error = error as? KernelError { return error.status < 0 ? error : KernelError(Int32(PERSONA_E_FAILED), error.message) }
    if error is CancellationError { return KernelError(Int32(PERSONA_E_CANCELLED), "cancelled") }
    return KernelError(Int32(PERSONA_E_FAILED), "\(error)")
  }
}
