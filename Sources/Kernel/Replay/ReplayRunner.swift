import FoundationEssentials
import Glibc
import Protocol
import System
import Wire

/// Leads the persona through the messages of a play, and answers what it wants of others: the child's side of `ReplayHost`.
/// Event loop only.
final class ReplayRunner: StubResponder {
  private unowned let kernel: BatKernel
  private let wire: LineSocket
  private let job: ReplayJob
  private var slot: PersonaSlot?
  private var index = -1
  private var token: UInt64 = 0
  /// When the message at hand has had its time; none while the live model is asked.
  private var clock: UInt64?
  private var answers: ReplayAnswers
  /// What the live model has been asked and has not answered.
  private var asked: [Int: (Result<JSON, Failure>) -> Void] = [:]
  private var lastQuestion = 0

  /// Returns the exit status.
  static func perform() -> Int32 {
    guard let socket = ChildProgram.keep(0) else { return 1 }
    let wire = LineSocket(socket)
    guard let line = (try? wire.next(within: 10_000)) ?? nil, let job = ReplayJob(line) else { return 2 }
    do throws(Failure) {
      let kernel = try kernel(for: job)
      let runner = ReplayRunner(kernel, wire, job)
      runner.begin()
      kernel.run()
      withExtendedLifetime(runner) {}
      return 0
    } catch {
      wire.say(["error": .string(error.message)])
      return 1
    }
  }

  /// A kernel with nobody in it, and nothing of it left on the disk.
  private static func kernel(for job: ReplayJob) throws(Failure) -> BatKernel {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/bat-stage-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure(.failed, "no folder can be made in \(parent): \(Errno.last)") }
    let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    var configuration = Configuration(socketPath: folder + "/none", pluginFolders: [])
    configuration.reload.watch = false
    configuration.reload.recordedGrams = .max
    configuration.log.level = .error
    // In a debugger every call may take its time.
    if job.waits { configuration.reload.callMilliseconds = 86_400_000 }
    // The library is opened where it is, so the kernel needs no folder; a crash could not remove it.
    defer { _ = try? FileManager.default.removeItem(atPath: folder) }
    return try BatKernel(configuration, logger: Logger(configuration.log))
  }

  private init(_ kernel: BatKernel, _ wire: LineSocket, _ job: ReplayJob) {
    self.kernel = kernel
    self.wire = wire
    self.job = job
    answers = ReplayAnswers([], persona: job.recording.persona, isLive: job.isLive)
    kernel.supervisor.stub = self
  }

  private func begin() {
    let image: LibraryImage
    do throws(LibraryError) {
      let file = try LibraryFile(reading: job.library)
      let (about, warnings) = try file.check(services: HostTables.services)
      image = LibraryImage(path: job.library, originalPath: job.library, hash: file.hash, about: about, warnings: warnings)
    } catch {
      return end(["error": .string(error.message)])
    }
    let recording = job.recording
    var configuration = recording.configuration.object ?? [:]
    configuration["name"] = .string(recording.persona)
    let persona = PersonaConfiguration(
      name: recording.persona, library: job.library, prompt: configuration["prompt"]?.string ?? "", json: JSON.object(configuration).bytes)
    let refusal = kernel.supervisor.add(persona, .image(image)) {
      prepare($0)
    } done: { [unowned self] receipt in
      if receipt.outcome == .refused { return end(["error": .string(receipt.reason ?? "it was refused")]) }
      if job.waits { wire.say(["ready": true]) } else { next() }
    }
    if refusal != nil { return end(["error": .string("no persona can be called \(recording.persona)")]) }
    listen()
  }

  /// What it was when it was recorded, and that all it does is kept.
  private func prepare(_ slot: PersonaSlot) {
    if let (schema, bytes) = job.recording.state { slot.saved.keep(SavedState(schema: schema, bytes: bytes)) }
    for (key, value) in job.recording.values { slot.store.set(key, value) }
    (slot.recorder.room, slot.recorder.longest) = (.max, .max)
    slot.recorder.onEnd = { [unowned self] in ended($0.mail.token) }
    self.slot = slot
  }

  /// What is said to us comes in while the loop turns.
  private func listen() {
    let box = LoopOnly(self)
    let (wire, inbox) = (wire, kernel.inbox)
    do throws(Errno) {
      try startThread(name: "replay") {
        while let line = (try? wire.next(within: nil)) ?? nil { inbox.post { _ in box.value.heard(line) } }
      }
    } catch { end(["error": .string("no thread can be started: \(error)")]) }
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
    let recording = job.recording
    guard index < recording.messages.count, let slot else { return end(["done": true]) }
    let message = recording.messages[index]
    answers = ReplayAnswers(message.steps, persona: recording.persona, isLive: job.isLive)
    wire.say(["begin": .int(index)])
    let gram = message.gram
    let line = line(of: gram)
    guard line.bytes().withUnsafeBytes({ (try? Envelope.scan(UnsafeRawBufferPointer(rebasing: $0.dropLast()))) != nil }) else {
      return end(["error": .string("message \(index + 1) of the recording makes no gram")])
    }
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

  private func line(of gram: Recording.Gram) -> GramLine {
    var line = GramLine(target: Array((gram.topic.isEmpty ? job.recording.persona : gram.topic).utf8), method: Array(gram.method.utf8))
    line.source = Array(gram.source.utf8)
    line.payload = gram.payload.bytes
    line.trace = Array(gram.trace.utf8)
    line.hops = gram.hops
    line.stream = gram.wantsStream
    return line
  }

  private func startClock() {
    stopClock()
    if job.waits { return }
    clock = kernel.loop.after(milliseconds: job.limitMilliseconds) { [unowned self] in
      clock = nil
      if isStuck { return hung() }
      kernel.router.requests.cancel(
        token, Failure(.deadline, "no answer from \(job.recording.persona) within \(job.limitMilliseconds) ms"))
    }
  }

  private func stopClock() {
    if let clock { kernel.loop.cancel(timer: clock) }
    clock = nil
  }

  private var callLimit: Int { kernel.supervisor.settings.callMilliseconds }

  /// The persona's code has not come back for longer than a call may take.
  private var isStuck: Bool {
    guard let instance = slot?.current?.instance else { return false }
    return instance.load(now: MachineClock.now()).busy >= UInt64(clamping: min(callLimit, job.limitMilliseconds)) * 1_000_000
  }

  private func hung() { end(["hung": .int(index)]) }

  /// The gram has its end; the call in which it got that may still have something to do and to send.
  private func ended(_ token: UInt64) {
    guard token == self.token, let instance = slot?.current?.instance else { return }
    stopClock()
    answers = ReplayAnswers([], persona: job.recording.persona, isLive: job.isLive)
    for (number, end) in asked {
      wire.say(["cancel": .int(number)])
      end(.failure(Failure(.cancelled, "the message has ended")))
    }
    asked = [:]
    let (box, inbox) = (LoopOnly(self), kernel.inbox)
    instance.barrier { inbox.post { _ in box.value.told() } }
    clock = kernel.loop.after(milliseconds: callLimit) { [unowned self] in hung() }
  }

  private func told() {
    stopClock()
    guard let message = slot?.recorder.messages(.token(token)).first else {
      return end(["error": .string("message \(index + 1) has ended and was not recorded")])
    }
    wire.say(["end": .int(index), "message": message.message.json])
    next()
  }

  private func end(_ word: JSON) {
    wire.say(word)
    kernel.loop.stop()
  }

  // MARK: What the persona wants of others

  func answer(_ call: OutboundCall, _ end: @escaping (Result<JSON, Failure>) -> Void) {
    switch answers.decide(call) {
    case .now(let result): end(result)
    case .ask(let question):
      lastQuestion += 1
      asked[lastQuestion] = end
      stopClock()
      wire.say(["chat": .int(lastQuestion), "question": question])
    }
  }
}
