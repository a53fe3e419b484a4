import CPlatform
import FoundationEssentials
import Glibc
import Synchronization
import Wire

/// Plays recorded messages to a library in a child process: a kernel of its own, with nobody in it but the persona.
///
/// What the persona wants of others is answered from the recording, so nothing of it reaches anybody; a crash or a hang
/// costs nothing. The child is an executable of ours, called with a hidden word. Both talk in lines of JSON: it gets
/// `{"library", "recording", "limit_ms", "live"}`, and says `{"begin": N}` and `{"end": N, "message": …}` for each message,
/// `{"chat": N, "question": …}` for a question that the recording does not hold, if `live` (it is answered by `{"chat": N,
/// "result": …}` or `"error"`), and at last `{"done": true}`, or `{"error": …}` if the library cannot be loaded.
public struct Stage: Sendable {
  /// Answers questions that the recording does not hold; may be called on any thread, and may answer on any.
  public typealias Model = @Sendable (_ question: JSON, _ end: @escaping @Sendable (Result<JSON, Failure>) -> Void) -> Void

  public struct Play: Sendable {
    /// What came of the messages, in their order; fewer than were to be played if it broke.
    public var messages: [Recording.Message] = []
    /// Why it ended in the middle of the next one.
    public var broke: Failure?
  }

  let command: [String]
  /// How long one message may take; also without a sign of life, the child is given up after that and five seconds.
  let limitMilliseconds: Int

  public init(command: [String], limitMilliseconds: Int = 30_000) {
    self.command = command
    self.limitMilliseconds = limitMilliseconds
  }

  /// Waits for the end. Any thread but the event loop's.
  ///
  /// - Throws: when the library cannot be loaded at all.
  public func play(_ recording: Recording, library: String, model: Model? = nil) throws(Failure) -> Play {
    let (pid, socket) = try Child.talking(command)
    let wire = Talk(socket)
    wire.say([
      "library": .string(library), "recording": recording.json, "limit_ms": .int(limitMilliseconds), "live": .bool(model != nil),
    ])
    var play = Play()
    var problem: String?
    var isDone = false
    while let line = wire.next(within: limitMilliseconds + 5000) {
      if let number = line["chat"], let question = line["question"], let model {
        model(question) { wire.say(Self.answer(number, $0)) }
      } else if let message = line["message"] {
        do throws(Recording.Malformed) { play.messages.append(try Recording.Message(message)) } catch {
          preconditionFailure("the stage writes messages: \(error)")
        }
      } else if let error = line["error"] {
        problem = error.plain
      } else if line["done"] != nil {
        isDone = true
      }
    }
    wire.close()
    let hung = wire.hasTimedOut
    if hung { kill(pid, SIGKILL) }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    if let problem { throw Failure(.failed, problem) }
    if isDone { return play }
    if hung {
      play.broke = Failure(.deadline, "it hung: nothing came within \(limitMilliseconds) ms")
    } else if status & 0x7f != 0 {
      play.broke = Failure(.failed, "it crashed: \(String(cString: strsignal(status & 0x7f))) (signal \(status & 0x7f))")
    } else {
      play.broke = Failure(.failed, "it ended the process, with exit status \(status >> 8 & 0xff)")
    }
    return play
  }

  private static func answer(_ number: JSON, _ result: Result<JSON, Failure>) -> JSON {
    switch result {
    case .success(let answer): ["chat": number, "result": answer]
    case .failure(let failure): ["chat": number, "error": ["code": .string(failure.code.rawValue), "message": .string(failure.message)]]
    }
  }

  // MARK: The child's side

  /// Plays what comes on standard input; returns the exit status.
  public static func perform() -> Int32 {
    // Whatever the persona prints goes to standard error; our words keep their own way.
    dup2(1, 3)
    dup2(2, 1)
    bat_die_with_parent()
    let wire = Talk(0, output: 3)
    guard let order = wire.next(within: 10_000), let library = order["library"]?.string, let json = order["recording"],
      let recording = try? Recording(json)
    else { return 2 }
    var template = Array("/tmp/bat-stage-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      wire.say(["error": .string("no temporary folder can be made: \(String(cString: strerror(errno)))")])
      return 1
    }
    let folder = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    defer { _ = try? FileManager.default.removeItem(atPath: folder) }
    var configuration = Configuration(socketPath: folder + "/none", pluginFolders: [])
    configuration.reload.watch = false
    configuration.reload.recordedGrams = .max
    configuration.log.level = .error
    do throws(Failure) {
      let kernel = try BatKernel(configuration, logger: Logger(configuration.log))
      let manager = StageManager(
        kernel, wire, recording, limitMilliseconds: order["limit_ms"]?.int ?? 30_000, isLive: order["live"] == true)
      manager.begin(library: library)
      kernel.run()
      withExtendedLifetime(manager) {}
    } catch {
      wire.say(["error": .string(error.message)])
      return 1
    }
    return 0
  }
}

/// Leads the persona through the messages, and answers what it wants of others. The child's event loop only.
private final class StageManager: StandIn {
  private unowned let kernel: BatKernel
  private let wire: Talk
  private let recording: Recording
  private let limit: Int
  private let isLive: Bool
  private var slot: PersonaSlot?
  private var index = -1
  /// The steps of the message at hand that nothing has been answered from.
  private var left: [Recording.Step] = []
  private var asked: [Int: (Result<JSON, Failure>) -> Void] = [:]
  private var lastQuestion = 0

  init(_ kernel: BatKernel, _ wire: Talk, _ recording: Recording, limitMilliseconds: Int, isLive: Bool) {
    self.kernel = kernel
    self.wire = wire
    self.recording = recording
    limit = limitMilliseconds
    self.isLive = isLive
    kernel.supervisor.standIn = self
  }

  func begin(library: String) {
    var configuration = recording.configuration.object ?? [:]
    configuration["name"] = .string(recording.persona)
    let persona = PersonaConfiguration(
      name: recording.persona, library: library, prompt: configuration["prompt"]?.string ?? "", json: JSON.object(configuration).bytes)
    let managed = kernel.supervisor.add(persona) { slot in
      if let (schema, bytes) = recording.state {
        slot.states[schema] = bytes
        slot.lastSchema = schema
      }
      for (key, value) in recording.values { _ = slot.store.set(key, value) }
      slot.recorder.onEnd = { [unowned self] in ended() }
      self.slot = slot
    } done: { [unowned self] receipt in
      if let reason = receipt.outcome == .refused ? receipt.reason ?? "it was refused" : nil { return end(["error": .string(reason)]) }
      next()
    }
    guard managed else { return end(["error": "the persona cannot be here"]) }
    listen()
  }

  /// Answers to questions come in while the loop turns.
  private func listen() {
    let box = LoopOnly(self)
    let wire = wire
    let inbox = kernel.inbox
    startThread(name: "stage") {
      while let line = wire.next(within: nil) { inbox.post { _ in box.value.heard(line) } }
    }
  }

  private func heard(_ line: JSON) {
    guard let number = line["chat"]?.int, let end = asked.removeValue(forKey: number) else { return }
    if let error = line["error"] {
      end(.failure(Failure(error["code"]?.string.flatMap(Failure.Code.init) ?? .failed, error["message"]?.plain ?? "")))
    } else {
      end(.success(line["result"] ?? .null))
    }
  }

  private func next() {
    index += 1
    guard index < recording.messages.count, let slot else { return end(["done": true]) }
    let message = recording.messages[index]
    left = message.steps
    wire.say(["begin": .int(index)])
    let gram = message.gram
    var line = GramLine(target: Array((gram.topic.isEmpty ? recording.persona : gram.topic).utf8), method: Array(gram.method.utf8))
    line.source = Array(gram.source.utf8)
    line.payload = gram.payload.bytes
    line.trace = Array(gram.trace.utf8)
    let bytes = Array(line.bytes().dropLast())
    var envelope = Envelope()
    let code = bytes.withUnsafeBytes { Envelope.scan($0, into: &envelope) }
    precondition(code == 0, "a line that the kernel made is a gram")
    let bus = kernel.bus
    let asker: Request.Asker
    do throws(Failure) {
      asker = gram.topic.isEmpty && gram.source != recording.persona ? .name(try bus.claim(name: gram.source)) : .nobody
    } catch { asker = .nobody }
    let token = bus.open(asker: asker, target: slot.participant, trace: line.trace, hops: 1, milliseconds: limit, stream: false)
    bus.hand(token, to: slot, bytes, envelope, source: line.source, sender: 1, topic: Array(gram.topic.utf8))
  }

  private func ended() {
    guard let message = slot?.recorder.messages(last: 1, failedOnly: false).first else {
      preconditionFailure("a message that has ended was recorded")
    }
    wire.say(["end": .int(index), "message": message.json])
    asked = [:]
    // Not in the middle of what has ended it.
    let box = LoopOnly(self)
    kernel.inbox.post { _ in box.value.next() }
  }

  private func end(_ word: JSON) {
    wire.say(word)
    kernel.loop.stop()
  }

  func answer(_ errand: Errand, on behalf: UInt64, _ end: @escaping (Result<JSON, Failure>) -> Void) {
    if case .send = errand { return }
    if let place = left.firstIndex(where: { $0.errand == errand }) { return end(Self.result(of: left.remove(at: place))) }
    if isLive, case .chat(let question) = errand {
      lastQuestion += 1
      asked[lastQuestion] = end
      return wire.say(["chat": .int(lastQuestion), "question": question])
    }
    // Something like it: asked in other words, or with other details.
    if let place = left.firstIndex(where: { $0.errand.isLike(errand) }) { return end(Self.result(of: left.remove(at: place))) }
    end(.failure(Failure(.failed, "the recording holds no answer to this: \(recording.persona) \(errand.text)")))
  }

  private static func result(of step: Recording.Step) -> Result<JSON, Failure> {
    switch step.end {
    case .result(let result): .success(result)
    case .failure(let failure): .failure(failure)
    case .silence: .success(.null)
    case nil: .failure(Failure(.cancelled, "it had no end when it was recorded"))
    }
  }
}

/// Lines of JSON over a stream, in both directions. One thread reads; any may write.
private final class Talk: Sendable {
  private let input: Int32
  private let output: Int32
  /// What was read and is no whole line yet. The reader's own.
  private let rest = Mutex<[UInt8]>([])
  private let writing = Mutex(true)
  private let timedOut = Mutex(false)

  init(_ input: Int32, output: Int32? = nil) {
    self.input = input
    self.output = output ?? input
  }

  var hasTimedOut: Bool { timedOut.withLock { $0 } }

  /// The other end may be gone: then nobody needs it.
  func say(_ line: JSON) {
    let bytes = line.bytes + [0x0a]
    writing.withLock { isOpen in
      var at = 0
      while isOpen, at < bytes.count {
        let count = bytes.withUnsafeBytes { send(output, $0.baseAddress! + at, $0.count - at, Int32(MSG_NOSIGNAL)) }
        if count < 0, errno == EINTR { continue }
        if count <= 0 { return }
        at += count
      }
    }
  }

  /// The next line; nil at the end, or when nothing has come within the time (nil: there is none).
  func next(within milliseconds: Int?) -> JSON? {
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let line = rest.withLock { rest -> [UInt8]? in
        guard let end = rest.firstIndex(of: 0x0a) else { return nil }
        defer { rest.removeFirst(end + 1) }
        return Array(rest[..<end])
      }
      if let line { return try? JSON(parsing: line) }
      var entry = pollfd(fd: input, events: Int16(POLLIN), revents: 0)
      let ready = poll(&entry, 1, milliseconds.map { Int32(clamping: $0) } ?? -1)
      if ready < 0, errno == EINTR { continue }
      if ready == 0 {
        timedOut.withLock { $0 = true }
        return nil
      }
      let count = read(input, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { return nil }
      rest.withLock { $0 += chunk[..<count] }
    }
  }

  /// Nothing is said any more.
  func close() {
    writing.withLock { $0 = false }
    Glibc.close(input)
  }
}
