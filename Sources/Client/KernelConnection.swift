import Glibc
import Protocol
import System

/// A descriptor that ends a wait, as that of a Ctrl-C.
public struct Interrupt: Sendable {
  let descriptor: Int32
  let take: @Sendable () -> Bool

  /// - Parameters:
  ///   - descriptor: readable when something has happened.
  ///   - take: says whether that is to end the wait, and takes it.
  public init(descriptor: Int32, take: @escaping @Sendable () -> Bool) {
    self.descriptor = descriptor
    self.take = take
  }
}

/// One connection to the kernel: hello, requests, and whatever comes. For one thread.
///
/// The owner of a loop of its own polls `descriptor` (also for writing while `wantsToWrite`) and calls `advance`, which never waits.
/// Others use `attach`, `call`, `ask` and `wait`, which do; they pass over what comes besides.
public final class KernelConnection {
  public let path: String
  public let descriptor: Int32
  /// Ends the calls that wait.
  public let interrupt: Interrupt?
  private var machine: ConnectionMachine
  /// Bytes that the kernel has not taken yet.
  private var outgoing: [UInt8] = []
  /// What has come and `wait` has not looked at: at most what one read has brought.
  private var arrived: [Incoming] = []

  /// More is not kept for a kernel that does not read.
  private static let mostWaiting = 1 << 30

  /// Connects and says hello; the welcome comes later.
  ///
  /// - Parameters:
  ///   - name: nil: the kernel gives one.
  ///   - distinct: if somebody has the name, the kernel gives one like it.
  public convenience init(path: String, name: String?, distinct: Bool = false, interrupt: Interrupt? = nil) throws(ClientError) {
    try self.init(path: path, name: name, distinct: distinct, interrupt: interrupt, until: .now)
  }

  /// - Parameter end: how long to try while the kernel has no room for one more that wants to connect.
  private init(
    path: String, name: String?, distinct: Bool, interrupt: Interrupt?, until end: ContinuousClock.Instant
  ) throws(ClientError) {
    self.path = path
    self.interrupt = interrupt
    machine = ConnectionMachine(path: path)
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    if descriptor < 0 { throw .noSocket(why: Errno.last.description) }
    while let failure = Self.connect(descriptor, path) {
      guard failure.isFull, .now < end else { throw .unreachable(path: path, why: failure.why) }
      if interrupt?.take() == true { throw .interrupted }
      _ = waitForInput(interrupt.map { [$0.descriptor] } ?? [], for: .milliseconds(10))
    }
    write(ConnectionMachine.hello(name: name, distinct: distinct))
  }

  /// Connects, says hello and waits for the welcome.
  public convenience init(
    path: String, name: String?, distinct: Bool = false, within limit: Duration, interrupt: Interrupt? = nil
  ) throws(ClientError) {
    let end = ContinuousClock.now + limit
    try self.init(path: path, name: name, distinct: distinct, interrupt: interrupt, until: end)
    while machine.welcome == nil {
      guard try pause(until: end) else { throw .silent(path: path) }
      arrived += try advance()
    }
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
  }

  /// `isFull`: so many want to connect at this moment that the kernel has to take some of them first.
  private static func connect(_ descriptor: Int32, _ path: String) -> (why: String, isFull: Bool)? {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let fits = withUnsafeMutableBytes(of: &address.sun_path) { room in
      guard path.utf8.count < room.count else { return false }
      room.copyBytes(from: path.utf8)
      return true
    }
    guard fits else { return ("the path is longer than a socket's may be", false) }
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    if status == 0 { return nil }
    let error = Errno.last
    return (error.description, error.number == EAGAIN)
  }

  // MARK: What is known

  /// Nil until the hello is answered.
  public var welcome: Welcome? { machine.welcome }
  /// Our own name.
  public var name: String { machine.welcome?.name ?? "" }
  public var version: String { machine.welcome?.version ?? "?" }
  /// The names of the personas that are there, as far as we were told.
  public var personas: [String] { machine.personas.map(\.name) }

  /// What is said to a persona in a conversation.
  public func conversation(
    with persona: String, _ content: String, thread: String?, remember: Bool = true, stream: Bool, deadline: Duration? = nil
  ) -> Request {
    machine.conversation(with: persona, content, thread: thread, remember: remember, stream: stream, deadline: deadline)
  }

  // MARK: Without waiting

  /// Whether bytes wait until the descriptor can be written.
  public var wantsToWrite: Bool { !outgoing.isEmpty }

  /// Writes what waits, reads what is there, and says what it means.
  ///
  /// - Throws: `.closed` when the kernel has gone, `.failed` when it refuses the hello.
  public func advance() throws(ClientError) -> [Incoming] {
    flush()
    let bytes: [UInt8]?
    do { bytes = try readSome(descriptor) } catch { throw .closed(path: path) }
    guard let bytes else { return [] }
    if bytes.isEmpty { throw .closed(path: path) }
    return try machine.receive(bytes)
  }

  /// Starts a request, and returns the number by which its answers are known.
  ///
  /// A kernel that has gone meanwhile is told by `advance`.
  public func start(_ request: Request) throws(ClientError) -> Int {
    if outgoing.count > Self.mostWaiting { throw .tooMuchWaits(bytes: outgoing.count) }
    let (id, line) = try machine.start(request, now: .now)
    write(line)
    return id
  }

  /// Takes a request back. Nothing comes of it any more.
  public func cancel(_ id: Int) { write(machine.cancel(id)) }

  /// Answers somebody who has asked us with an error. To a gram that wants no answer, or was sent to many, nothing is said.
  public func refuse(_ gram: Gram, _ failure: Failure) {
    if let line = machine.refusal(of: gram, failure) { write(line) }
  }

  private func write(_ bytes: [UInt8]) {
    outgoing += bytes
    flush()
  }

  private func flush() {
    var done = 0
    outgoing.withUnsafeBytes { bytes in
      while done < bytes.count {
        let n = send(descriptor, bytes.baseAddress! + done, bytes.count - done, Int32(MSG_NOSIGNAL))
        if n >= 0 {
          done += n
        } else if errno == EINTR {
          continue
        } else {
          // Of a connection that has ended, the next read tells.
          if errno != EAGAIN { done = bytes.count }
          return
        }
      }
    }
    outgoing.removeFirst(done)
  }

  // MARK: Waiting

  /// What may come of a request that is waited for.
  public enum Step: Sendable, Equatable {
    case delta(Delta)
    case end(Payload)
  }

  /// Asks a method of `KERNEL`, and waits for its reply.
  public func call<M: KernelMethod>(_ method: M, deadline: Duration? = nil) throws(ClientError) -> M.Reply {
    try ask(Request(method, deadline: deadline)).reply(to: M.self)
  }

  /// Asks, and waits for the end.
  public func ask(_ request: Request) throws(ClientError) -> Payload {
    let id = try start(request)
    while true { if case .end(let payload) = try wait(for: id) { return payload } }
  }

  /// Waits for the next step of a request. Its end is its last step, and so is an error.
  ///
  /// - Throws: `.failed` with what was answered; `.interrupted`, after a cancel; `.late` when the kernel lets the deadline pass by two
  ///   seconds.
  public func wait(for id: Int) throws(ClientError) -> Step {
    let end = machine.end(of: id)
    while true {
      while !arrived.isEmpty {
        switch arrived.removeFirst() {
        case .delta(id, let delta): return .delta(delta)
        case .reply(id, let payload): return .end(payload)
        case .failure(id, let report): throw .failed(report)
        default: continue
        }
      }
      let isInTime: Bool
      do throws(ClientError) { isInTime = try pause(until: end) } catch {
        cancel(id)
        throw error
      }
      if !isInTime { throw .late }
      arrived = try advance()
    }
  }

  /// Waits until there is something for `advance` to do; false when the time is over.
  ///
  /// - Throws: `.interrupted`.
  public func pause(until end: ContinuousClock.Instant?) throws(ClientError) -> Bool {
    if interrupt?.take() == true { throw .interrupted }
    let left = end.map { $0 - .now }
    if let left, left <= .zero { return false }
    let descriptors = [descriptor] + (interrupt.map { [$0.descriptor] } ?? [])
    _ = waitForInput(descriptors, writing: wantsToWrite ? [descriptor] : [], for: left)
    if interrupt?.take() == true { throw .interrupted }
    return true
  }
}
