import PersonaABI

/// What went wrong, as persona.h tells it: a status for programs and a text for people.
///
/// Throw one out of `receive` to tell the asker precisely.
///
/// ```swift in:receive
///     guard let text = gram.text else { throw KernelError.invalid("\(gram.method) needs a text, as in {\"content\":\"…\"}") }
///     do {
///       return try await kernel.bus.ask("BABS", "observe", ["content": .string(text)])
///     } catch let error as KernelError where error.isNotFound {
///       return ["content": "BABS is not here."]
///     }
/// ```
public struct KernelError: Error, Sendable, Equatable, CustomStringConvertible {
  /// One of `PERSONA_E_…`; what is not negative crosses as PERSONA_E_FAILED.
  public var status: Int32
  /// What happened, and what to do.
  public var message: String

  public init(_ status: Int32, _ message: String) {
    self.status = status
    self.message = message
  }

  /// The payload is not what the method takes.
  public static func invalid(_ message: String) -> KernelError { KernelError(Int32(PERSONA_E_INVALID), message) }
  /// There is no such method here; say which there are.
  public static func unknownMethod(_ message: String) -> KernelError { KernelError(Int32(PERSONA_E_UNKNOWN_METHOD), message) }

  /// There is no such thing: a key, a collection, a service.
  public var isNotFound: Bool { status == PERSONA_E_NOT_FOUND }
  public var isCancelled: Bool { status == PERSONA_E_CANCELLED }
  /// This generation has been replaced, or the kernel is stopping.
  public var isRetired: Bool { status == PERSONA_E_RETIRED }
  public var description: String { message }

  /// Any error, as it crosses to the kernel.
  static func crossing(_ error: any Error) -> KernelError {
    if let error = error as? KernelError { return error.status < 0 ? error : KernelError(Int32(PERSONA_E_FAILED), error.message) }
    if error is CancellationError { return KernelError(Int32(PERSONA_E_CANCELLED), "cancelled") }
    return KernelError(Int32(PERSONA_E_FAILED), "\(error)")
  }
}

extension KernelError {
  /// What does not fit, and where, for people: of what `Codable` throws only its place and its reason.
  static func words(for error: any Error) -> String {
    func place(_ path: [any CodingKey]) -> String {
      path.isEmpty ? "it" : "\"" + path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".") + "\""
    }
    switch error {
    case DecodingError.keyNotFound(let key, let context): return "\(place(context.codingPath + [key])) is missing"
    case DecodingError.valueNotFound(_, let context): return "\(place(context.codingPath)) is null"
    case DecodingError.typeMismatch(let type, let context): return "\(place(context.codingPath)) is no \(type)"
    case DecodingError.dataCorrupted(let context): return "\(place(context.codingPath)): \(context.debugDescription)"
    default: return "\(error)"
    }
  }
}
