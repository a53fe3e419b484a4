import Glibc
import System
import Wire

/// One attached connection to the kernel: hello, requests, and whatever comes. Blocking; for one thread.
final class KernelConnection {
  /// Ready to be read when grams wait.
  let descriptor: Int32
  let path: String
  /// What the kernel answered to the hello: version, name, limits, personas.
  private(set) var welcome: JSON = .null
  private var lines = LineReader()
  private var lastID = 0

  /// Connects, says hello and takes the welcome.
  ///
  /// - Parameter name: the name to be known by; `nil` lets the kernel give one.
  /// - Throws: `.noKernel` when nobody answers within the time; `.failed` when the name is refused.
  init(path: String, name: String?, within limit: Duration = .seconds(5)) throws(CLIError) {
    self.path = path
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    if descriptor < 0 { throw CLIError(.failed, "no socket could be made: \(Errno(number: errno))") }
    if let reason = Self.connect(descriptor, path) {
      throw CLIError(.noKernel, "no kernel answers at \(path) (\(reason)): start one with `./bat up`")
    }
    var hello: [String: JSON] = ["hello": 1]
    if let name { hello["name"] = .string(name) }
    try send(.object(hello))
    let clock = ContinuousClock()
    let end = clock.now + limit
    while true {
      if Signals.takeInterrupt() { throw CLIError(.interrupted, "") }
      guard clock.now < end else {
        throw CLIError(.noKernel, "something listens at \(path), but it does not answer: see `./bat status` and `./bat log`")
      }
      guard waitForInput([descriptor, Signals.descriptor], for: end - clock.now).contains(descriptor) else { continue }
      for gram in try receive() {
        if gram.method == "error" { throw CLIError(errorPayload: gram.payload) }
        if gram.method == "welcome" {
          welcome = gram.payload
          return
        }
      }
    }
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
  }

  private static func connect(_ descriptor: Int32, _ path: String) -> String? {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let fits = withUnsafeMutableBytes(of: &address.sun_path) { room in
      guard path.utf8.count < room.count else { return false }
      room.copyBytes(from: path.utf8)
      return true
    }
    guard fits else { return "the path is longer than a socket's may be" }
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    return status == 0 ? nil : Errno(number: errno).description
  }

  var name: String { welcome["name"]?.string ?? "" }
  var personas: [String] { (welcome["personas"]?.array ?? []).compactMap { $0["name"]?.string } }

  func send(_ gram: JSON) throws(CLIError) {
    var line = gram.text
    line.append("\n")
    var failed = false
    line.withUTF8 { bytes in
      var done = 0
      while done < bytes.count {
        let n = Glibc.send(descriptor, bytes.baseAddress! + done, bytes.count - done, Int32(MSG_NOSIGNAL))
        if n >= 0 {
          done += n
        } else if errno != EINTR {
          failed = true
          return
        }
      }
    }
    if failed { throw gone }
  }

  /// Starts a request, and returns the `re` by which its answers are known.
  func start(_ request: Request) throws(CLIError) -> Int {
    lastID += 1
    try send(request.gram(id: lastID))
    return lastID
  }

  func cancel(_ id: Int) throws(CLIError) {
    try send(["target": "KERNEL", "method": "cancel", "payload": ["id": .int(id)]])
  }

  /// The grams that have come; waits for bytes when there are none, and may return nothing.
  func receive() throws(CLIError) -> [Gram] {
    let bytes: [UInt8]?
    do { bytes = try readSome(descriptor) } catch { throw gone }
    guard let bytes else { return [] }
    if bytes.isEmpty { throw gone }
    lines.append(bytes)
    var grams: [Gram] = []
    while let line = lines.next() {
      do {
        grams.append(Gram(json: try JSON(parsing: line)))
      } catch {
        throw CLIError(.failed, "\(path) sent a line that is not JSON (\(error.why)): is it a B.A.T. kernel?")
      }
    }
    return grams
  }

  private var gone: CLIError {
    CLIError(.noKernel, "the kernel at \(path) closed the connection: `./bat log` says why, `./bat up` starts it again")
  }

  /// Asks and waits for the end.
  ///
  /// - Parameter onDelta: gets the pieces of a streamed answer.
  /// - Throws: the error that the kernel or the persona answered; `.interrupted` on Ctrl-C, after a cancel;
  ///   `.deadline` also when the kernel itself lets the deadline pass by two seconds.
  func ask(_ request: Request, onDelta: (String) throws(CLIError) -> Void = { _ in }) throws(CLIError) -> JSON {
    let id = try start(request)
    let clock = ContinuousClock()
    let end = request.deadline.map { clock.now + $0 + .seconds(2) }
    while true {
      if Signals.takeInterrupt() {
        try cancel(id)
        throw CLIError(.interrupted, "")
      }
      if let end, clock.now >= end { throw CLIError(.deadline, "the kernel did not answer within the deadline and two seconds more") }
      guard waitForInput([descriptor, Signals.descriptor], for: end.map { $0 - clock.now }).contains(descriptor) else { continue }
      for gram in try receive() where gram.re == id {
        switch gram.method {
        case "delta": try onDelta(gram.payload["text"]?.string ?? "")
        case "error": throw CLIError(errorPayload: gram.payload)
        default: return gram.payload
        }
      }
    }
  }
}

/// A gram that wants an answer.
struct Request {
  var target = "KERNEL"
  var method: String
  var payload: JSON = [:]
  /// Whether the pieces of the answer are wanted as they come.
  var stream = false
  var deadline: Duration?

  /// What is said to a persona in a conversation.
  ///
  /// - Parameter thread: which of its conversations; `nil` is the one that has our name.
  static func conversation(with persona: String, _ content: String, thread: String?, stream: Bool, deadline: Duration? = nil) -> Request {
    var payload: [String: JSON] = ["content": .string(content)]
    if let thread { payload["thread"] = .string(thread) }
    let method = persona == "BRICK" ? "process_architect_query" : "talk"
    return Request(target: persona, method: method, payload: .object(payload), stream: stream, deadline: deadline)
  }

  fileprivate func gram(id: Int) -> JSON {
    var gram: [String: JSON] = ["target": .string(target), "method": .string(method), "payload": payload, "id": .int(id)]
    if stream { gram["stream"] = true }
    if let deadline { gram["deadline_ms"] = .int(max(1, deadline.milliseconds)) }
    return .object(gram)
  }
}
