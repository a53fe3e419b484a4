/// Makes vectors of texts, so that what means something similar lies near.
///
/// Any thread, several at a time; never the kernel's event loop, since a call returns when it is done.
public protocol Embedder: Sendable {
  /// Names model and version: vectors of different ones are never compared. As in "wordllama-0.4.0.post1/256".
  var id: String { get }

  /// How many numbers a vector has; nil as long as a server has not yet made the first one.
  var dimension: Int? { get }

  /// One vector of length 1 for each text, in their order; an empty one where there is nothing to embed: a text that is
  /// empty or, to a server, blank.
  func embed(_ texts: [String]) throws(EmbeddingError) -> [[Float]]

  /// Whether a call waits for a server, which can be silent or busy for a long time.
  var waitsForServer: Bool { get }

  /// Makes calls end soon that wait for somebody else, and refuses later ones, with `.stopped`.
  func stop()
}

extension Embedder {
  public var waitsForServer: Bool { false }
  public func stop() {}
}

/// Why there are no vectors.
public struct EmbeddingError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Reason: Sendable {
    /// The embedder's files are not on this machine.
    case notInstalled
    /// They are, and are not what they should be.
    case damaged
    /// `[memory]` asks for what cannot be.
    case misconfigured
    /// No server answered in time, or it broke off: the same call may succeed later.
    case unreachable
    /// A server will not do this.
    case refused
    /// A server's answer is not made of vectors.
    case garbled
    case stopped
  }

  public let reason: Reason
  /// What happened, where, and what to do.
  public let description: String

  public init(_ reason: Reason, _ description: String) {
    self.reason = reason
    self.description = description
  }
}

/// Makes a vector's length 1; one of zeros stays as it is.
func normalize(_ vector: inout [Float]) {
  let square = vector.reduce(0) { $0 + Double($1) * Double($1) }
  guard square > 0 else { return }
  let scale = Float(1 / square.squareRoot())
  for index in vector.indices { vector[index] *= scale }
}
