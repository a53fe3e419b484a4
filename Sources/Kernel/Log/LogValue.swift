/// What may stand in a log line's fields: strings, numbers, booleans.
public protocol LogValue: Sendable {
  /// As it is written where no quotes are needed.
  var logText: String { get }
  /// Whether JSON wants it in quotes.
  var isLogString: Bool { get }
}
extension String: LogValue {
  public var logText: String { self }
  public var isLogString: Bool { true }
}
extension LogValue where Self: BinaryInteger {
  public var logText: String { String(self) }
  public var isLogString: Bool { false }
}
extension Int: LogValue {}
extension Int32: LogValue {}
extension Int64: LogValue {}
extension UInt16: LogValue {}
extension UInt32: LogValue {}
extension UInt64: LogValue {}
extension Bool: LogValue {
  public var logText: String { self ? "true" : "false" }
  public var isLogString: Bool { false }
}
extension Double: LogValue {
  public var logText: String { "\(self)" }
  /// JSON has no infinity and no NaN.
  public var isLogString: Bool { !isFinite }
}
