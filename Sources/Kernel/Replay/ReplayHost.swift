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
  /// The longest line that the child may write, in bytes.
  let longestLine: Int

  public init(command: [String], limitMilliseconds: Int = 30_000) {
    self.init(command: command, limitMilliseconds: limitMilliseconds, longestLine: LineSocket.longestLine)
  }

  init(command: [String], limitMilliseconds: Int, longestLine: Int) {
    self.command = command
    self.limitMilliseconds = limitMilliseconds
    self.longestLine = longestLine
  }

  /// Waits for the end. Any thread but the event loop's.
  ///
  /// - Parameters:
  ///   - library: the file's full path. It is opened where it is.
  ///   - cancellation: ends it early.
  ///   - onReady: called when the persona is loaded, with the child's process; the messages begin when it returns.
  /// - Throws: when the library cannot be loaded at all; `cancelled` when the cancellation was used.
  public func play(
    _ recording: Recording, library: String, model: Model? = nil, cancellation: CancellationHandle = CancellationHandle(),
    onReady: ((pid_t) -> Void)? = nil
  ) throws(Failure) -> Play {
    let (child, socket) = try Self.talking(command)
    cancellation.attach(child.pid)
    let wire = LineSocket(socket, longest: longestLine)
    wire.say([
      "library": .string(library), "recording": recording.json, "limit_ms": .int(limitMilliseconds), "live": .bool(model != nil),
      "wait": .bool(onReady != nil),
    ])
    var heard = Heard()
    do throws(LineSocket.Fault) {
      // The child looks after the limits itself; this one is for a child that cannot.
      let patience = onReady == nil ? limitMilliseconds + 15_000 : nil
      while heard.play.broke == nil, let line = try wire.next(within: cancellation.hasQuestions ? nil : patience) {
        if line["ready"] != nil {
          onReady?(child.pid)
          wire.say(["go": true])
        } else if !consult(model, line, wire, cancellation) {
          heard.take(line, limitMilliseconds: limitMilliseconds)
        }
      }
    } catch {
      heard.failed(error)
    }
    if heard.play.broke != nil { child.signal(SIGKILL) }
    cancellation.detach()
    wire.close()
    let end = child.wait()
    if cancellation.isCancelled { throw Failure(.cancelled, "the play was ended early") }
    return try heard.result(end)
  }

  /// What is said of questions to the live model; false: the line is about something else.
  private func consult(_ model: Model?, _ line: JSON, _ wire: LineSocket, _ cancellation: CancellationHandle) -> Bool {
    if let number = line["cancel"]?.int {
      cancellation.cancel(number)
      return true
    }
    guard let model, let number = line["chat"]?.int, let question = line["question"] else { return false }
    cancellation.ask(number) {
      model(question) { result in
        cancellation.answered(number)
        wire.say(Self.answer(number, result))
      }
    }
    return true
  }

  /// What the child has said so far.
  private struct Heard {
    var play = Play()
    /// Why the library cannot be loaded.
    var problem: String?
    var isDone = false

    mutating func failed(_ fault: LineSocket.Fault) {
      if case .silent = fault {
        play.broke = Failure(.deadline, "it hung: \(fault)")
      } else {
        play.broke = Failure(.failed, "its process does not keep to the protocol: \(fault)")
      }
    }

    mutating func take(_ line: JSON, limitMilliseconds: Int) {
      if let message = line["message"] {
        do throws(Recording.Malformed) { play.messages.append(try Recording.Message(message)) } catch {
          play.broke = Failure(.failed, "its process does not keep to the protocol: it wrote what is no message: \(error)")
        }
      } else if let error = line["error"] {
        problem = error.plain
      } else if line["hung"] != nil {
        play.broke = Failure(.deadline, "it hung: it did not come back from the message within \(limitMilliseconds) ms")
      } else if line["done"] != nil {
        isDone = true
      }
    }

    func result(_ end: Subprocess.Exit) throws(Failure) -> Play {
      if let problem { throw Failure(.failed, problem) }
      if isDone || play.broke != nil { return play }
      var play = play
      switch end {
      case .signal(let signal):
        play.broke = Failure(.failed, "it crashed: \(String(cString: strsignal(signal))) (signal \(signal))")
      case .status(let status): play.broke = Failure(.failed, "it ended the process, with exit status \(status)")
      }
      return play
    }
  }

  /// The child, with one end of a stream socket for its standard input and output; the other end is the caller's.
  private static func talking(_ command: [String]) throws(Failure) -> (child: Subprocess, socket: Int32) {
    var ends: [Int32] = [0, 0]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw Failure(.failed, "\(command.first ?? "the child") cannot be started: \(Errno.last)")
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
