import Wire

/// What parlor's exit status says to a script.
enum ExitCode: Int32 {
  case ok = 0
  /// Anything without a number of its own, a refused reload for one.
  case failed = 1
  case usage = 2
  case noKernel = 3
  case noPersona = 4
  case deadline = 5
  /// The language model: every code of the wire that begins with `llm_`.
  case llm = 7
  case interrupted = 130
}

/// Something that a person must be told: what happened, and what to do.
struct CLIError: Error, Equatable {
  var exit: ExitCode
  /// For the standard error, without "parlor: " before it. Empty: there is nothing to say.
  var message: String

  init(_ exit: ExitCode, _ message: String) {
    self.exit = exit
    self.message = message
  }

  /// What an error gram of the wire means to a script and to a person.
  init(errorPayload payload: JSON) {
    let code = payload["code"]?.string ?? "failed"
    let message = payload["message"]?.string ?? payload.text
    let exit: ExitCode =
      switch code {
      case "unknown_target", "not_found": .noPersona
      case "deadline": .deadline
      case "cancelled": .interrupted
      case _ where code.hasPrefix("llm_"): .llm
      default: .failed
      }
    self.init(exit, "\(message) (\(code))")
  }
}
