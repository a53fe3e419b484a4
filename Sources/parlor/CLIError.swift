import Client
import Protocol
import Workbench

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

  /// What an error that somebody answered means to a script and to a person.
  init(_ report: ErrorReport) {
    let exit: ExitCode =
      switch report.code {
      case "unknown_target", "not_found": .noPersona
      case "deadline": .deadline
      case "cancelled": .interrupted
      case _ where report.code.hasPrefix("llm_"): .llm
      default: .failed
      }
    self.init(exit, "\(report.message) (\(report.code))")
  }

  /// Why the kernel did not do what was wanted, and what to do about it.
  init(_ error: ClientError) {
    switch error {
    case .unreachable: self.init(.noKernel, "\(error): start one with `./bat up`")
    case .silent: self.init(.noKernel, "\(error): see `./bat status` and `./bat log`")
    case .closed: self.init(.noKernel, "\(error): `./bat log` says why, `./bat up` starts it again")
    case .failed(let report): self.init(report)
    case .late: self.init(.deadline, error.description)
    case .interrupted: self.init(.interrupted, "")
    default: self.init(.failed, error.description)
    }
  }

  /// Any error that a command ends with.
  init(_ error: any Error) {
    switch error {
    case let error as CLIError: self = error
    case let error as ClientError: self.init(error)
    case let error as FileError: self.init(.failed, error.message)
    case let error as LibraryError: self.init(.failed, error.message)
    default: self.init(.failed, "\(error)")
    }
  }
}
