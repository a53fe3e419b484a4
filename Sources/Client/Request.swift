import Protocol
import System
import Wire

/// A gram that wants an answer.
public struct Request: Sendable, Equatable {
  public var target: String
  public var method: String
  /// JSON.
  public var payload: [UInt8]
  /// Whether the pieces of the answer are wanted as they come.
  public var stream: Bool
  /// After so long the kernel ends it; nil: when the kernel thinks fit.
  public var deadline: Duration?

  public init(target: String, method: String, payload: JSON = .null, stream: Bool = false, deadline: Duration? = nil) {
    self.target = target
    self.method = method
    self.payload = payload.bytes
    self.stream = stream
    self.deadline = deadline
  }

  /// One of `KERNEL`'s methods.
  public init<M: KernelMethod>(_ method: M, deadline: Duration? = nil) {
    target = "KERNEL"
    self.method = M.method.name
    payload = PayloadCoding.bytes(of: method)
    stream = false
    self.deadline = deadline
  }

  /// Arrays and objects in each other that a payload may have: the gram itself is one more.
  static let deepest = 63

  func line(id: Int) -> [UInt8] {
    var line = GramLine(target: Array(target.utf8), method: Array(method.utf8))
    line.payload = payload
    line.id = Array(String(id).utf8)
    line.stream = stream
    if let deadline { line.deadlineMilliseconds = max(1, deadline.milliseconds) }
    return line.bytes()
  }
}
