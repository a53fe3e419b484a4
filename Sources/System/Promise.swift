/// A value that one thread waits for and another gives. Any thread.
public final class Promise<Value: Sendable>: Sendable {
  private let monitor = Monitor<Value?>(nil)

  public init() {}

  /// The first value counts.
  public func fulfill(_ value: Value) { monitor.withLock { if $0 == nil { $0 = .some(value) } } }

  /// Waits for as long as it takes.
  public func wait() -> Value { monitor.wait { $0 } }

  /// Nil: it was not given in time.
  public func wait(milliseconds: Int) -> Value? { monitor.wait(milliseconds: milliseconds) { $0 } }
}
