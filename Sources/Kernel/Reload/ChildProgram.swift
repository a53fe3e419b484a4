import Protocol
import System

extension Subprocess {
  /// Starts one of the kernel's own children, without Swift's backtracer: a crash is told by its signal, and a backtrace would only
  /// take its time.
  static func started(_ plan: Plan) throws(Failure) -> Subprocess {
    var plan = plan
    plan.environment = environmentLines().filter { !$0.hasPrefix("SWIFT_BACKTRACE=") } + ["SWIFT_BACKTRACE=enable=no"]
    do throws(Failed) { return try Subprocess(plan) } catch { throw Failure(.failed, error.description) }
  }
}
