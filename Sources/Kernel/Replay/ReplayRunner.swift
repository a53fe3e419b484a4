import CPlatform
import FoundationEssentials
import Glibc
import Protocol
import System
import Wire

/// Leads the persona through the messages of a play, and answers what it wants of others: the child's side of `ReplayHost`.
/// Event loop only.
final class ReplayRunner: StubResponder {
  /// What one message may ask the live model; a persona that goes round in circles must end, too.
  static let mostQuestions = 16

  private unowned let kernel: BatKernel
  private let wire: LineSocket
  private let recording: Recording
  private let limit: Int
  private let isLive: Bool
  private let waits: Bool
  private var slot: PersonaSlot?
  private var index = -1
  private var token: UInt64 = 0
  /// When the message at hand has had its time; none while the live model is asked.
  private var clock: UInt64?
  /// The steps of the message at hand that nothing has been answered from.
  private var left: [Recording.Step] = []
  /// What the live model has been asked and has not answered.
  private var asked: [Int: (Result<JSON, Failure>) -> Void] = [:]
  private var lastQuestion = 0
  private var questions = 0

  static func perform() -> Int32 {
    // Our words have their own way; the persona finds nothing to read, and what it prints goes to standard error.
    let socket = fcntl(0, F_DUPFD_CLOEXEC, 3)
    let nothing = open("/dev/null", O_RDWR | O_CLOEXEC)
    guard socket >= 0, nothing >= 0 else { return 1 }
    dup2(nothing, 0)
    dup2(2, 1)
    bat_die_with_parent()
    let wire = LineSocket(socket)
    guard let order = wire.next(within: 10_000), let library = order["library"]?.string, let json = order["recording"],
      let recording = try? Recording(json)
    else { return 2 }
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/bat-stage-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      wire.say(["error": .string("no folder can be made in \(parent): \(String(cString: strerror(errno)))")])
      return 1
    }
    let folder = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    var configuration = Configuration(socketPath: folder + "/none", pluginFolders: [])
    configuration.reload.watch = false
    configuration.reload.recordedGrams = .max
    configuration.log.level = .error
    let waits = order["wait"] == true
    // In a debugger every call may take its time.
    if waits { configuration.reload.callMilliseconds = 86_400_000 }
    let made = Result { () throws(Failure) in try BatKernel(configuration, logger: Logger(configuration.log)) }
    // The library is opened where it is, so the kernel needs no folder; a crash could not remove it.
    _ = try? FileManager.default.removeItem(atPath: folder)
    do throws(Failure) {
      let kernel = try made.get()
      let manager = ReplayRunner(
        kernel, wire, recording, limitMilliseconds: order["limit_ms"]?.int ?? 30_000, isLive: order["live"] == true, waits: waits)
      manager.begin(library: library)
      kernel.run()
      withExtendedLifetime(manager) {}
      return 0
    } catch {
      wire.say(["error": .string(error.message)])
      return 1
    }
  }

  private init(_ kernel: BatKernel, _ wire: LineSocket, _ recording: Recording, limitMilliseconds: Int, isLive: Bool, waits: Bool) {
    self.kernel = kernel
    self.wire = wire
    self.recording = recording
    limit = limitMilliseconds
    self.isLive = isLive
    self.waits = waits
    kernel.supervisor.stub = self
  }

  private func begin(library: String) {
    let image: LibraryImage
    do throws(LibraryError) {
      let file = try LibraryFile(reading: library)
      let (about, warnings) = try file.check(services: HostTables.services)
      image = LibraryImage(path: library, originalPath: library, hash: file.hash, about: about, warnings: warnings)
    } catch {
      return end(["error": .string(error.message)])
    }
    var configuration = recording.configuration.object ?? [:]
    configuration["name"] = .string(recording.persona)
    let persona = PersonaConfiguration(
      name: recording.persona, library: library, prompt: configuration["prompt"]?.string ?? "", json: JSON.object(configuration).bytes)
    let isHere = kernel.supervisor.add(persona, .image(image)) { slot in
      if let (schema, bytes) = recording.state {
        slot.states[schema] = bytes
        slot.lastSchema = schema
      }
      for (key, value) in recording.values { _ = slot.store.set(key, value) }
      (slot.recorder.room, slot.recorder.longest) = (.max, .max)
      slot.recorder.onEnd = { [unowned self] in ended($0.mail.token) }
      self.slot = slot
    } done: { [unowned self] receipt in
      if receipt.outcome == .refused { return end(["error": .string(receipt.reason ?? "it was refused")]) }
      if waits { wire.say(["ready": true]) } else { next() }
    }
    guard isHere else { return end(["error": .string("no persona can be called \(recording.persona)")]) }
    listen()
  }

  /// What is said to us comes in while the loop turns.
  private func listen() {
    let box = LoopOnly(self)
    let (wire, inbox) = (wire, kernel.inbox)
    startThread(name: "stage") {
      while let line = wire.next(within: nil) { inbox.post { _ in box.value.heard(line) } }
    }
  }

  private func heard(_ line: JSON) {
    if line["go"] != nil { return next() }
    guard let number = line["chat"]?.int, let end = asked.removeValue(forKey: number) else { return }
    if asked.isEmpty { startClock() }
    if let error = line["error"] {
      end(.failure(Failure(error["code"]?.string.flatMap(Failure.Code.init) ?? .failed, error["message"]?.plain ?? "")))
    } else {
      end(.success(line["result"] ?? .null))
    }
  }

  // MARK: One message

  private func next() {
    index += 1
    guard index < recording.messages.count, let slot else { return end(["done": true]) }
    let message = recording.messages[index]
    left = message.steps
    questions = 0
    wire.say(["begin": .int(index)])
    let gram = message.gram
    var line = GramLine(target: Array((gram.topic.isEmpty ? recording.persona : gram.topic).utf8), method: Array(gram.method.utf8))
    line.source = Array(gram.source.utf8)
    line.payload = gram.payload.bytes
    line.trace = Array(gram.trace.utf8)
    line.hops = gram.hops
    line.stream = gram.wantsStream
    let asker: any Asker = gram.wantsReply ? NameAsker(absent: Participant(line.source)) : NoAsker(log: kernel.router.log)
    token = kernel.router.requests.nextToken()
    var copy = Gram(token: token, line, asker: asker, sender: nil, senderID: 1)
    copy.milliseconds = 86_400_000
    copy.recipient = slot.participant
    startClock()
    guard kernel.router.deliver(copy) else {
      return end(["error": .string("\(recording.persona) does not run any more, and takes no message \(index + 1)")])
    }
  }

  private func startClock() {
    stopClock()
    if waits { return }
    clock = kernel.loop.after(milliseconds: limit) { [unowned self] in
      clock = nil
      if isStuck { return hung() }
      kernel.router.requests.cancel(token, Failure(.deadline, "no answer from \(recording.persona) within \(limit) ms"))
    }
  }

  private func stopClock() {
    if let clock { kernel.loop.cancel(timer: clock) }
    clock = nil
  }

  private var callLimit: Int { kernel.supervisor.settings.callMilliseconds }

  /// The persona's code has not come back for longer than a call may take.
  private var isStuck: Bool {
    guard let lane = slot?.current?.generation.lane.lane else { return false }
    return lane.load(now: MachineClock.now()).busy >= UInt64(min(callLimit, limit)) * 1_000_000
  }

  private func hung() { end(["hung": .int(index)]) }

  /// The gram has its end; the call in which it got that may still have something to do and to send.
  private func ended(_ token: UInt64) {
    guard token == self.token, let generation = slot?.current?.generation else { return }
    stopClock()
    left = []
    for (number, end) in asked {
      wire.say(["cancel": .int(number)])
      end(.failure(Failure(.cancelled, "the message has ended")))
    }
    asked = [:]
    let box = LoopOnly(self)
    generation.lane.lane.run { generation.inbox.post { _ in box.value.told() } }
    clock = kernel.loop.after(milliseconds: callLimit) { [unowned self] in hung() }
  }

  private func told() {
    stopClock()
    guard let take = slot?.recorder.takes(.token(token)).first else { preconditionFailure("a message that has ended was recorded") }
    wire.say(["end": .int(index), "message": take.message.json])
    next()
  }

  private func end(_ word: JSON) {
    wire.say(word)
    kernel.loop.stop()
  }

  // MARK: What the persona wants of others

  func answer(_ errand: OutboundCall, _ end: @escaping (Result<JSON, Failure>) -> Void) {
    if let place = left.firstIndex(where: { $0.errand == errand }) { return end(Self.result(of: left.remove(at: place))) }
    if isLive {
      guard case .chat(let question) = errand else {
        return end(.failure(Failure(.failed, "held back in a shadow: \(recording.persona) \(errand.text), which it did not do then")))
      }
      questions += 1
      guard questions <= Self.mostQuestions else {
        return end(.failure(Failure(.failed, "a shadow may ask the live model \(Self.mostQuestions) times for one message, and no more")))
      }
      lastQuestion += 1
      asked[lastQuestion] = end
      stopClock()
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
