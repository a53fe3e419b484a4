import Foundation
import Kernel
import System
import Testing

@testable import Services

/// The real llama.cpp server with the model that `./bat up` installs. In CI it must be there.
private let isInstalled: Bool =
  environmentVariable("CI") != nil
  || LocalModel.installedPython(environment: environmentVariable).map { access($0, X_OK) == 0 } == true

@Suite struct LocalModelTests {
  static func statistics(_ models: LanguageModels) throws -> LanguageStatistics {
    try JSONDecoder().decode(LanguageStatistics.self, from: Data(models.statistics()))
  }

  @Suite(.enabled(if: isInstalled, "run `./bat up` once: it installs the local model"), .serialized) struct Real {
    @Test("the local model answers in several pieces, remembers, and goes with the kernel")
    func answers() async throws {
      let folder = makeFolder()
      let models = makeModels(.local, model: nil, folder: folder)
      let (pieces, result) = await Reply(models, #"{"text":"Name three colours.","max_tokens":24,"temperature":0}"#, prompt: "Be brief.")
        .whole()
      let conclusion = try result.get()
      #expect(pieces.count > 3)
      #expect(pieces.joined() == conclusion.text)
      #expect(conclusion.model == "smollm2-135m-instruct")
      #expect(conclusion.prompt_tokens! > 5 && conclusion.completion_tokens! > 3)
      let second = try await Reply(models, #"{"text":"And another?","max_tokens":8}"#, prompt: "Be brief.").conclusion()
      #expect(second.prompt_tokens! > conclusion.prompt_tokens! + 5, "the first turn went along")
      let pid = try #require(try LocalModelTests.statistics(models).local?.pid)
      #expect(kill(pid, 0) == 0)
      models.stop()
      #expect(kill(pid, 0) == -1 && errno == ESRCH)
      let log = try String(contentsOfFile: "\(folder)/model.log", encoding: .utf8)
      #expect(log.contains("batmodel: listening"))
    }

    @Test("a schema is obeyed")
    func schema() async throws {
      let models = makeModels(.local, model: nil, folder: makeFolder())
      let body =
        #"{"text":"The sky is blue. Answer as {\"colour\":\"…\"}","max_tokens":64,"temperature":0,"format":{"type":"object","properties":{"colour":{"type":"string"}},"required":["colour"]}}"#
      let text = try await Reply(models, body).conclusion().text
      #expect(try JSONDecoder().decode([String: String].self, from: Data(text.utf8)).keys.contains("colour"))
      models.stop()
    }

    @Test("an answer that is cancelled in mid-stream frees the model for the next question")
    func cancel() async throws {
      let models = makeModels(.local, model: nil, folder: makeFolder())
      let reply = Reply(models, #"{"text":"Count from one to a thousand.","max_tokens":500}"#)
      for await event in reply.events {
        switch event {
        case .piece: reply.call.cancel()
        case .thought: break
        case .finished(.failure(let failure)): #expect(failure.code == .cancelled)
        case .finished(.success): Issue.record("it was answered to its end")
        }
      }
      let next = try await Reply(models, #"{"text":"Hi","max_tokens":4}"#).conclusion()
      #expect(next.prompt_tokens! < 60, "the cancelled turn left no trace")
      models.stop()
    }

    @Test("a server killed in mid-answer cuts the answer off, and the next question works")
    func killed() async throws {
      let models = makeModels(.local, model: nil, folder: makeFolder())
      let reply = Reply(models, #"{"text":"Count from one to a thousand.","max_tokens":500}"#)
      var pid: Int32 = 0
      for await event in reply.events {
        switch event {
        case .piece:
          if pid == 0 {
            pid = try #require(try LocalModelTests.statistics(models).local?.pid)
            kill(pid, SIGKILL)
          }
        case .thought: break
        case .finished(.failure(let failure)):
          #expect(failure.code == .llmCutOff)
          #expect(failure.message.contains("bytes"))
        case .finished(.success): Issue.record("it was answered to its end")
        }
      }
      #expect(try await Reply(models, #"{"text":"Hi","max_tokens":4}"#).conclusion().text != "")
      let local = try #require(try LocalModelTests.statistics(models).local)
      #expect(local.pid != pid && local.restarts == 1)
      models.stop()
    }

    @Test("a server killed while nobody asks is there again for the next question")
    func killedIdle() async throws {
      let models = makeModels(.local, model: nil, folder: makeFolder())
      _ = try await Reply(models, #"{"text":"Hi","max_tokens":4}"#).conclusion()
      kill(try #require(try LocalModelTests.statistics(models).local?.pid), SIGKILL)
      #expect(try await Reply(models, #"{"text":"Hi","max_tokens":4}"#).conclusion().text != "")
      models.stop()
    }

    @Test("a question too long for the window is refused with both numbers")
    func tooLong() async throws {
      let models = makeModels(.local, model: nil, folder: makeFolder()) { $0.standard.contextTokens = 512 }
      let failure = await Reply(models, #"{"text":"\#(String(repeating: "a b ", count: 600))"}"#).failure()
      #expect(failure?.code == .llmTooLong)
      #expect(failure?.message.contains("512") == true, "\(failure?.message ?? "")")
      models.stop()
    }

    @Test("a command of one's own gets the socket's path and answers like the installed one")
    func ownCommand() async throws {
      let python = try #require(LocalModel.installedPython(environment: environmentVariable))
      let models = makeModels(.local, model: nil, folder: makeFolder()) {
        $0.local.command = ["/bin/sh", "-c", #"exec "$0" -I -c "$1" "$2" 512"#, python, localModelProgram]
      }
      #expect(try await Reply(models, #"{"text":"Hi","max_tokens":4}"#).conclusion().text != "")
      let pid = try #require(try LocalModelTests.statistics(models).local?.pid)
      models.stop()
      #expect(kill(pid, 0) == -1 && errno == ESRCH)
    }

    @Test("it steps in for a server that is not there, and goes when its command changes, whoever else is configured")
    func fallback() async throws {
      let folder = makeFolder()
      var configuration = LanguageConfiguration()
      configuration.standard.kind = .ollama
      configuration.standard.url = "http://127.0.0.1:1"
      configuration.standard.model = "m"
      configuration.standard.retries = 0
      configuration.providers["other"] = configuration.standard
      configuration.fallbacks = ["local"]
      let models = LanguageModels(configuration, runtimeFolder: folder, dataFolder: nil) { _, _ in }
      let conclusion = try await Reply(models, #"{"text":"Hi","max_tokens":4}"#).conclusion()
      #expect(conclusion.provider == "local" && conclusion.model == "smollm2-135m-instruct")
      let pid = try #require(try LocalModelTests.statistics(models).local?.pid)
      configuration.local.command = ["/no/such/server"]
      models.configure(configuration)
      let failure = await Reply(models, #"{"text":"Hi"}"#).failure()
      #expect(failure?.message.contains("127.0.0.1:1 ") == true && failure?.message.contains("/no/such/server") == true)
      #expect(kill(pid, 0) == -1 && errno == ESRCH)
      models.stop()
    }

    @Test("the program ends when the kernel's end of its input does")
    func orphan() throws {
      let python = try #require(LocalModel.installedPython(environment: environmentVariable))
      var plan = Subprocess.Plan([python, "-I", "-c", localModelProgram, "\(makeFolder())/model.sock", "512"])
      (plan.environment, plan.input, plan.errors) = ([], .lifeline, nil)
      let child = try Subprocess(plan)
      child.hangUp()
      #expect(child.readAll(milliseconds: 20_000).isWhole)
      #expect(child.wait() == .status(0))
    }
  }

  @Test("a server that does not come up is given up after three starts, with its own last words")
  func neverUp() async throws {
    let folder = makeFolder()
    let models = makeModels(.local, model: nil, folder: folder) { $0.local.command = ["/bin/sh", "-c", "echo no weights here; exit 7"] }
    for _ in 1...2 {
      let failure = await Reply(models, #"{"text":"Hi"}"#).failure()
      #expect(failure?.code == .llmUnreachable)
      for part in ["no weights here", "3 attempts", "exit 7", "\(folder)/model.log", "provider"] {
        #expect(failure?.message.contains(part) == true, "“\(part)” is not in: \(failure?.message ?? "")")
      }
    }
    #expect(try Self.statistics(models).local?.restarts == 5)
    models.stop()
  }

  @Test("a command that is not there is named")
  func noCommand() async throws {
    let models = makeModels(.local, model: nil, folder: makeFolder()) { $0.local.command = ["/no/such/server"] }
    let failure = await Reply(models, #"{"text":"Hi"}"#).failure()
    #expect(failure?.code == .llmUnreachable)
    #expect(failure?.message.contains("/no/such/server") == true)
    models.stop()
  }

  @Test("a server that hangs while it starts is killed, and a waiting question can be cancelled meanwhile")
  func hangs() async throws {
    let models = makeModels(.local, model: nil, folder: makeFolder()) {
      $0.local.command = ["/bin/sh", "-c", "exec sleep 1000"]
      $0.standard.silenceMilliseconds = 200
    }
    let waiting = Reply(models, #"{"text":"Hi"}"#)
    let impatient = Reply(models, #"{"text":"Hi"}"#, persona: "ROBIN")
    impatient.call.cancel()
    #expect(await impatient.failure()?.code == .cancelled)
    #expect(await waiting.failure()?.code == .llmUnreachable)
    models.stop()
  }

  @Test("a socket path that is too long is refused with the path")
  func longPath() async throws {
    let models = makeModels(.local, model: nil, folder: "/tmp/" + String(repeating: "x", count: 100))
    for _ in 1...2 {
      let failure = await Reply(models, #"{"text":"Hi"}"#).failure()
      #expect(failure?.code == .llmUnreachable && failure?.message.contains("xxx/model.sock") == true)
    }
    models.stop()
  }
}
