import Glibc
import System

/// A build under way: the steps of a plan, one after the other. For one thread.
public final class Build {
  public enum Outcome: Sendable, Equatable {
    /// `seconds`: the time of the commands themselves.
    case built(library: String, seconds: Double, warnings: [Diagnostic])
    case failed([Diagnostic], output: String)
  }

  private let plan: BuildPlan
  private var left: ArraySlice<BuildPlan.Step>
  private var process: BuildProcess?
  private var began = ContinuousClock.now
  private var problem: String?
  private var warnings: [Diagnostic] = []

  public init(_ plan: BuildPlan) {
    self.plan = plan
    left = plan.steps[...]
    next()
  }

  /// To be polled for input; nil: `advance` has something to say at once.
  public var descriptor: Int32? { process?.descriptor }

  private func next() {
    guard let step = left.popFirst() else { return process = nil }
    do throws(Subprocess.Failed) { process = try BuildProcess(step) } catch {
      process = nil
      problem = error.description
    }
  }

  /// Goes on as far as it can without waiting.
  public func advance() -> Outcome? {
    while true {
      if let problem { return .failed([Diagnostic(severity: .error, message: problem)], output: "") }
      guard let outcome = process?.advance() else { return nil }
      let complaints = Diagnostic.read(outcome.output).filter { $0.severity != .note }
      guard outcome.status == 0 else {
        var found = complaints
        if !found.contains(where: { $0.severity == .error }) {
          let how = outcome.status.map { "exit status \($0)" } ?? "a signal"
          let last = outcome.output.split(whereSeparator: \.isNewline).last.map { ": \($0)" } ?? ""
          found.append(Diagnostic(severity: .error, message: "the build ended with \(how)\(last)"))
        }
        return .failed(found, output: outcome.output)
      }
      warnings += complaints.filter { $0.severity == .warning }
      if !left.isEmpty {
        next()
        continue
      }
      let seconds = (ContinuousClock.now - began) / .seconds(1)
      guard let target = plan.target else { return .built(library: plan.library, seconds: seconds, warnings: warnings) }
      guard rename(plan.library, target) == 0 else {
        problem = "\(plan.library) cannot be renamed to \(target): \(String(cString: strerror(errno)))"
        continue
      }
      return .built(library: target, seconds: seconds, warnings: warnings)
    }
  }

  /// Waits for its end.
  public func wait() -> Outcome {
    while true {
      if let outcome = advance() { return outcome }
      guard let descriptor else { continue }
      var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      poll(&entry, 1, -1)
    }
  }
}
