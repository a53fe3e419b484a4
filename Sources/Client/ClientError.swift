import Protocol

/// Why something that was wanted of the kernel did not happen.
public enum ClientError: Error, Sendable, Equatable {
  /// Nobody listens there.
  case unreachable(path: String, why: String)
  /// Somebody listens there, and does not answer the hello.
  case silent(path: String)
  /// The connection has ended.
  case closed(path: String)
  /// What listens there does not speak the kernel's language.
  case notAKernel(path: String, why: String)
  /// The kernel, or whoever was asked, answered with an error.
  case failed(ErrorReport)
  /// No answer came within the request's deadline and two seconds more.
  case late
  /// The owner of the connection wanted to wait no longer.
  case interrupted
  /// Not sent: the line would be longer than the kernel takes.
  case tooLong(bytes: Int, limit: Int)
  /// Not sent: the payload is nested deeper than the kernel takes.
  case tooDeep(limit: Int)
  /// Not sent: so much waits to be written already.
  case tooMuchWaits(bytes: Int)
  /// The reply is not what that method gives.
  case unreadable(method: String, why: String)
  /// This process has no room for another socket.
  case noSocket(why: String)
}

extension ClientError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unreachable(let path, let why): "no kernel answers at \(path) (\(why))"
    case .silent(let path): "something listens at \(path), but it does not answer"
    case .closed(let path): "the kernel at \(path) closed the connection"
    case .notAKernel(let path, let why): "\(path) sent a line that is not JSON (\(why)): is it a B.A.T. kernel?"
    case .failed(let report): "\(report.message) (\(report.code))"
    case .late: "the kernel did not answer within the deadline and two seconds more"
    case .interrupted: "interrupted"
    case .tooLong(let bytes, let limit):
      "the message has \(bytes) bytes, and the kernel takes \(limit) at the most: send less, or raise bus.frame_bytes in personas.toml"
    case .tooDeep(let limit): "the payload has more than \(limit) arrays and objects in each other, and the kernel takes no more"
    case .tooMuchWaits(let bytes): "the kernel reads too slowly: \(bytes) bytes wait to be sent to it"
    case .unreadable(let method, let why): "the kernel's answer to \(method) is not what this client knows: \(why)"
    case .noSocket(let why): "no socket could be made: \(why)"
    }
  }
}
