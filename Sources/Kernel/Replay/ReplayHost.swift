import Glibc
import Protocol
import System
import Wire

/// Plays recorded messages to a library in a child process: a kernel of its own, with nobody in it but the persona.
///
/// What the persona wants of others is answered from the recording, so nothing of it reaches anybody; a crash or a hang
/// costs nothing. The child is an executable of ours, called with a hidden word; its side is `ReplayRunner`. Both talk in
/// lines of JSON. The child gets
///
///     {"library", "recording", "limit_ms", "live", "wait"}
///     {"go": true}                       after `ready`, if `wait`
///     {"chat": N, "result": …}           or "error": {"code", "message"}
///
/// and says
///
///     {"error": …}                       the library cannot be loaded; the end
///     {"ready": true}                    it is loaded, if `wait`
///     {"begin": N}                       message N is given to the persona
///     {"chat": N, "question": …}         a question that the recording does not hold, if `live`
///     {"cancel": N}                      nobody waits for that one's answer any more
///     {"end": N, "message": …}           what came of message N
///     {"hung": N}                        or: the persona does not come back from it; the end
///     {"done": true}                     the end
public struct ReplayHost: Sendable {
  /// Answers questions that the recording does not hold. Called on any thread; `end` may be called on any, once.
  public typealias Model = @Sendable (_ question: JSON, _ end: @escaping @Sendable (Result<JSON, Failure>) -> Void) -> any LanguageCall

  public struct Play: Sendable {
    /// What came of the messages, in their order; fewer than were to be played if it broke.
    public var messages: [Recording.Message] = []
    /// Why it ended in the middle of the next one.
    public var broke: Failure?
  }

  let command: [String]
  /// How long one message may take; what the live model takes does not count.
  let limitMilliseconds: Int

  public init(command: [String], limitMilliseconds: Int = 30_000) {
    self.command = command
    self.limitMilliseconds = limitMilliseconds
  }

  /// Waits for the end. Any thread but the event loop's.
  ///
  /// - Parameters:
  ///   - library: the file's full path. It is opened where it is.
  ///   - cancellation: ends it early.
  ///   - onReady: called when the persona is loaded, with the child's process; the messages begin when it returns.
  /// - Throws: when the library cannot be loaded at all; `cancelled` when the cancellation has fallen.
  public func play(
    _ recording: Recording, library: String, model: Model? = nil, cancellation: CancellationHandle = CancellationHandle(),
    onReady: ((pid_t) -> Void)? = nil
  ) throws(Failure) -> Play {
    let (child, socket) = try Self.talking(command)
    cancellation.rise(on: child.pid)
    let wire = LineSocket(socket)
    wire.say([
      "library": .string(library), "recording": recording.json, "limit_ms": .int(limitMilliseconds), "live": .bool(model != nil),
      "wait": .bool(onReady != nil),
    ])
    var play = Play()
    var problem: String?
    var isDone = false
    // The child looks after the limits itself; this one is for a child that cannot.
    let patience = onReady == nil ? limitMilliseconds + 15_000 : nil
    while let line = wire.next(within: cancellation.hasQuestions ? nil : patience) {
      if let number = line["chat"]?.int, let question = line["question"], let model {
        cancellation.ask(number) {
          model(question) { result in
            cancellation.answered(number)
            wire.say(Self.answer(number, result))
          }
        }
      } else if let number = line["cancel"]?.int {
        cancellation.cancel(number)
      } else if let message = line["message"] {
        do throws(Recording.Malformed) { play.messages.append(try Recording.Message(message)) } catch {
          preconditionFailure("the stage writes messages: \(error)")
        }
      } else if let error = line["error"] {
        problem = error.plain
      } else if line["hung"] != nil {
        play.broke = Failure(.deadline, "it hung: it did not come back from the message within \(limitMilliseconds) ms")
      } else if line["done"] != nil {
        isDone = true
      } else if line["ready"] != nil {
        onReady?(child.pid)
        wire.say(["go": true])
      }
    }
    if wire.hasTimedOut {
      child.signal(SIGKILL)
      play.broke = Failure(.deadline, "it hung: there was no sign of life for \((patience ?? 0) / 1000) s")
    }
    cancellation.close()
    wire.close()
    let end = child.wait()
    if cancellation.isDown { throw Failure(.cancelled, "the play was ended early") }
    if let problem { throw Failure(.failed, problem) }
    if isDone || play.broke != nil { return play }
    switch end {
    case .signal(let signal): play.broke = Failure(.failed, "it crashed: \(String(cString: strsignal(signal))) (signal \(signal))")
    case .status(let status): play.broke = Failure(.failed, "it ended the process, with exit status \(status)")
    }
    return play
  }

  /// The child, with one end of a stream socket for its standard input and output; the other end is the caller's.
  private static func talking(_ command: [String]) throws(Failure) -> (child: Subprocess, socket: Int32) {
    var ends: [Int32] = [0, 0]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw Failure(.failed, "\(command[0]) cannot be started: \(Errno.last)")
    }
    defer { close(ends[1]) }
    var plan = Subprocess.Plan(command)
    plan.input = .descriptor(ends[1])
    plan.output = .descriptor(ends[1])
    do throws(Failure) { return (try Subprocess.started(plan), ends[0]) } catch {
      close(ends[0])
      throw error
    }
  }

  private static func answer(_ number: Int, _ result: Result<JSON, Failure>) -> JSON {
    switch result {
    case .success(let answer): ["chat": .int(number), "result": answer]
    case .failure(let failure):
      ["chat": .int(number), "error": ["code": .string(failure.code.rawValue), "message": .string(failure.message)]]
    }
  }

  /// The child's side: plays what comes on standard input, and returns the exit status.
  public static func perform() -> Int32 { ReplayRunner.perform() }
}
