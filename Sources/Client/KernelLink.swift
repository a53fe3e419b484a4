import Protocol

/// How long to wait before the kernel is tried again: a first pause, doubled with each failure up to a longest one.
public struct Backoff: Sendable {
  private var pause: Duration
  private let longest: Duration
  private var due: ContinuousClock.Instant

  public init(first: Duration, longest: Duration, now: ContinuousClock.Instant) {
    pause = first
    self.longest = longest
    due = now + first
  }

  public func left(_ now: ContinuousClock.Instant) -> Duration { max(.zero, due - now) }
  public func isDue(_ now: ContinuousClock.Instant) -> Bool { due <= now }

  public mutating func failed(_ now: ContinuousClock.Instant) {
    pause = min(pause * 2, longest)
    due = now + pause
  }
}

/// A connection that comes back when the kernel does. For one thread, whose loop polls `descriptors` for `timeout` and calls `advance`.
public final class KernelLink {
  public enum Event: Sendable {
    /// The kernel has come back.
    case attached
    case incoming(Incoming)
    /// The kernel has gone; open requests get no answer. It is tried again until it is back.
    case lost
  }

  public let path: String
  /// Nil while the kernel is gone.
  public private(set) var connection: KernelConnection?
  private let name: String?
  private let distinct: Bool
  /// Ends the calls that wait, on each connection.
  private let interrupt: Interrupt?
  private let pauses: (first: Duration, longest: Duration)
  private var backoff: Backoff
  /// One that has said hello, and until when it waits for the welcome.
  private var candidate: (connection: KernelConnection, until: ContinuousClock.Instant)?

  /// How long a kernel may take for the welcome.
  private static let patience = Duration.seconds(2)

  /// - Parameters:
  ///   - name: the one to be known by when it comes back.
  ///   - distinct: if somebody has it then, one like it.
  ///   - pauses: between the attempts, from the first to the longest.
  public init(
    _ connection: KernelConnection, name: String?, distinct: Bool = false, pauses: (first: Duration, longest: Duration)
  ) {
    self.connection = connection
    self.name = name
    self.distinct = distinct
    interrupt = connection.interrupt
    self.pauses = pauses
    path = connection.path
    backoff = Backoff(first: pauses.first, longest: pauses.longest, now: .now)
  }

  private var current: KernelConnection? { connection ?? candidate?.connection }

  /// To be polled until it can be read; nil while there is no connection at all.
  public var descriptor: Int32? { current?.descriptor }
  /// Whether it is to be polled until it can be written, too.
  public var wantsToWrite: Bool { current?.wantsToWrite ?? false }

  /// After which time `advance` is to be called without anything to read; nil: never.
  public func timeout(_ now: ContinuousClock.Instant) -> Duration? {
    if connection != nil { return nil }
    return candidate.map { max(.zero, $0.until - now) } ?? backoff.left(now)
  }

  /// Does what can be done now, and says what has happened.
  ///
  /// - Throws: what will not get better by waiting, as a name that the kernel refuses.
  public func advance(_ now: ContinuousClock.Instant) throws(ClientError) -> [Event] {
    if let connection {
      do throws(ClientError) { return try connection.advance().map(Event.incoming) } catch {
        guard case .closed = error else { throw error }
        self.connection = nil
        backoff = Backoff(first: pauses.first, longest: pauses.longest, now: now)
        return [.lost]
      }
    }
    do throws(ClientError) { return try attach(now) } catch {
      switch error {
      case .unreachable, .closed, .silent:
        candidate = nil
        backoff.failed(now)
        return []
      default: throw error
      }
    }
  }

  private func attach(_ now: ContinuousClock.Instant) throws(ClientError) -> [Event] {
    guard let (connection, until) = candidate else {
      if backoff.isDue(now) {
        candidate = (try KernelConnection(path: path, name: name, distinct: distinct, interrupt: interrupt), now + Self.patience)
      }
      return []
    }
    let incoming = try connection.advance()
    guard connection.welcome != nil else {
      if now >= until { throw .silent(path: path) }
      return []
    }
    candidate = nil
    self.connection = connection
    // The welcome itself is told by `attached`.
    return [.attached] + incoming.dropFirst().map(Event.incoming)
  }
}
