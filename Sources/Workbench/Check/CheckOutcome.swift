import Glibc
import Kernel

/// How one test went.
public struct CheckOutcome: Sendable, Equatable {
  public enum Verdict: String, Sendable { case ok, failed, warning, skipped }
  public var name: String
  /// What the test shows, in a sentence.
  public var shows: String
  public var findings: [CheckFinding]
  public var seconds: Double

  /// The worst of the findings.
  public var verdict: Verdict {
    let levels = findings.map(\.level)
    return levels.contains(.failure) ? .failed : levels.contains(.warning) ? .warning : levels.contains(.skipped) ? .skipped : .ok
  }

  /// How a test's process ended.
  struct End: Equatable {
    /// nil if it was ended by a signal, or by us after its time limit.
    var status: Int32?
    var signal: Int32?
    var timedOut = false
  }

  /// The findings of a test, from what its process reported and how it ended.
  static func judge(_ lines: [CheckLog.Line], printed: [String], end: End, limitSeconds: Int) -> [CheckFinding] {
    var findings: [CheckFinding] = []
    var call: String?
    var last: String?
    var hasEnded = false
    for line in lines {
      switch line {
      case .begins(let name): (call, last) = (name, name)
      case .returned: call = nil
      case .finding(let finding): findings.append(finding)
      case .ended: hasEnded = true
      }
    }
    let place = call.map { "in \($0)" } ?? last.map { "after the return of \($0)" } ?? "before any call"
    let words = printed.suffix(3).joined(separator: " · ")
    let said = words.isEmpty ? "" : "; the last that it printed: \(words)"
    if end.timedOut {
      findings.append(
        CheckFinding(
          .failure,
          hasEnded
            ? "something that it started holds our output open: a child process outlives destroy()"
            : "hangs \(place): the test was given up after \(limitSeconds) s\(said)"))
    } else if let signal = end.signal {
      findings.append(CheckFinding(.failure, "crashes \(place): \(name(of: signal))\(said)"))
    } else if !hasEnded {
      findings.append(
        CheckFinding(.failure, "ends the whole process \(place), with exit status \(end.status ?? 0): a persona never calls exit()\(said)"))
    }
    return findings
  }

  /// Divides a process's output into lines of the log and lines that the persona printed.
  static func lines(_ output: [UInt8]) -> (ours: [CheckLog.Line], printed: [String]) {
    var ours: [CheckLog.Line] = []
    var printed: [String] = []
    for line in output.split(separator: 0x0A) {
      if let line = CheckLog.Line(line) {
        ours.append(line)
      } else {
        printed.append(String(decoding: line.prefix(400), as: UTF8.self))
        if printed.count > 100 { printed.removeFirst(50) }
      }
    }
    return (ours, printed)
  }

  /// "SIGSEGV (Segmentation fault)".
  static func name(of signal: Int32) -> String {
    let names = [
      SIGSEGV: "SIGSEGV", SIGABRT: "SIGABRT", SIGBUS: "SIGBUS", SIGILL: "SIGILL", SIGFPE: "SIGFPE", SIGTRAP: "SIGTRAP", SIGKILL: "SIGKILL",
      SIGTERM: "SIGTERM", SIGPIPE: "SIGPIPE",
    ]
    return "\(names[signal] ?? "signal \(signal)") (\(String(cString: strsignal(signal))))"
  }
}
