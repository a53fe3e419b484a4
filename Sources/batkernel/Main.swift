import FoundationEssentials
import Glibc
import Kernel
import Protocol
import Services
import System
import Wire

/// Composes the kernel: arguments, configuration, the language model, signals; then runs it on this thread.
@main enum Main {
  static func main() {
    let environment = ProcessInfo.processInfo.environment
    let arguments: Arguments
    do throws(Arguments.UsageError) { arguments = try Arguments.parse(Array(CommandLine.arguments.dropFirst())) } catch {
      fail("\(error)", 2)
    }
    switch arguments.command {
    case .help: print(Arguments.help, terminator: "")
    case .version: print("batkernel \(BatKernel.version)")
    case .check:
      if arguments.isJSON {
        let (json, status) = CheckCommand.json(configurationPath: arguments.configurationPath, environment: environment)
        print(json.text)
        exit(status)
      }
      exit(
        CheckCommand.run(configurationPath: arguments.configurationPath, services: HostTables.services, environment: environment) {
          print($0)
        })
    case .rehearse(let words):
      guard let library = words.last else { fail("batkernel: --rehearse needs a library", 2) }
      exit(Rehearsal.perform(library: library))
    case .stage: exit(ReplayHost.perform())
    case .run: run(arguments, environment)
    }
  }

  /// From the root on, so that it goes on to name the same file whatever becomes of the process's folder.
  private static func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
    defer { free(folder) }
    return String(cString: folder) + "/" + path
  }

  private static func run(_ arguments: Arguments, _ environment: [String: String]) {
    LastWords.report(as: "batkernel")
    MemoryUse.returnLargeBlocks()
    let configurationPath = absolute(arguments.configurationPath)
    let (socketPath, logFormat) = (arguments.socketPath.map(absolute), arguments.logFormat)
    @Sendable func read() throws(ConfigurationError) -> Configuration {
      var configuration = try ConfigurationFile.load(path: configurationPath, environment: environment)
      if let path = socketPath { configuration.socketPath = path }
      if let format = logFormat { configuration.log.format = format }
      return configuration
    }
    let configuration: Configuration
    do throws(ConfigurationError) { configuration = try read() } catch { fail("\(error)", 1) }
    let logger = Logger(configuration.log)
    let llm = logger.part("llm")
    let language = LanguageModels(configuration.language, runtimeFolder: configuration.runtimeFolder, dataFolder: configuration.dataFolder)
    { llm.write($0, $1) }
    let memoryLog = logger.part("memory")
    let memory = Memories(configuration.memory, dataFolder: configuration.dataFolder) { memoryLog.write($0, $1) }
    let rehearsal = Rehearsal(
      command: ["/proc/self/exe", "--rehearse"], limitMilliseconds: configuration.reload.callMilliseconds)
    do throws(Failure) {
      let kernel = try BatKernel(
        configuration, logger: logger, language: language, memory: memory, rehearsal: rehearsal,
        stage: ReplayHost(command: ["/proc/self/exe", "--stage"]),
        // On the disk: the socket's folder is memory on most machines.
        copies: configuration.dataFolder + "/libraries", configurationPath: configurationPath
      ) { () throws(Failure) in
        do throws(ConfigurationError) { return try read() } catch { throw Failure(.invalid, "\(error)") }
      }
      try kernel.handleSignals()
      try kernel.listen()
      LastWords.warmUp()
      signal(SIGPIPE, SIG_IGN)
      ProcessGuard.begin()
      kernel.run()
      LastWords.leave(0)
    } catch {
      fail("batkernel: \(error.message)", 1)
    }
  }

  private static func fail(_ message: String, _ status: Int32) -> Never {
    let line = Array((message + "\n").utf8)
    _ = write(STDERR_FILENO, line, line.count)
    LastWords.leave(status)
  }
}
