import Client
import Glibc
import Protocol
import System
import Workbench

/// `parlor dev`: build and reload whatever is saved.
struct DevCommand: Command {
  let name = "dev"
  let usage = "parlor dev NAME… [--source FOLDER] [--home FOLDER] [--ask TEXT]"
  let summary = "build and reload personas whenever their source is saved"
  let help = """
    Watches the sources of the personas NAME, builds what is saved the fastest way, and has the kernel switch to it;
    nobody is disconnected. Compile errors are shown with file and line, and the running generation goes on. Each time
    it tells how long it took from saving to the new generation's first answer, and how much of that the compiler was.
    What is saved in personas.toml goes live by itself, and is told here with its keys, or with its mistake.
    A generation that hangs, one that was rolled back, and the line where one has crashed the kernel are told; the key f
    replaces what hangs by force. Ctrl-C ends the watching (exit status 130); the personas go on with the last generation.

    A plugin of this house (Plugins/NAME) is compiled without optimisation into .build/dev; ./bat up makes the
    release build again. A folder with a Makefile is built with make, a package with swift build.

      --source FOLDER  where the source is, if it is neither in Plugins nor beside the library; for one NAME
      --home FOLDER    the house, if the current folder is not in it
      --ask TEXT       ask this each time, and show the answer, in place of the persona's description
    """
  let values: Set = ["--source", "--home", "--ask"]
  let operands = 1...Int.max

  func run(_ arguments: Arguments) throws -> ExitCode {
    if arguments.value("--source") != nil, arguments.operands.count > 1 {
      throw CLIError(.usage, "--source is for one persona: name one")
    }
    let connection = try connect(arguments)
    let list = try connection.call(Personas.List()).personas
    var sources: [(name: String, source: PersonaSource, runs: Bool)] = []
    for operand in arguments.operands {
      let name = Names.resolve(operand, among: connection.personas)
      guard let persona = list.first(where: { $0.name == name }) else {
        throw Names.explain(
          CLIError(.noPersona, "there is no persona \(name) in personas.toml: `parlor new \(name)` makes one"),
          personas: connection.personas)
      }
      if sources.contains(where: { $0.name == name }) { continue }
      let library = persona.library
      sources.append((name, try source(of: name, library: library, arguments: arguments), persona.state == .running))
      if library == "Prompt", name != "Prompt" {
        try Output.answer.line(
          "\(name) is the library Prompt with words of its own: those are in personas.toml, under [persona.\(name)], and go live when saved"
        )
      }
    }
    return try DevLoop(
      connection, name: arguments.value("--name"), socket: arguments.socketPath, sources: sources, question: arguments.value("--ask")
    ).run()
  }

  /// The kernel's, also if it comes only later.
  private func connect(_ arguments: Arguments) throws -> KernelConnection {
    var hasTold = false
    while true {
      do throws(ClientError) { return try arguments.connect() } catch {
        let error = CLIError(error)
        guard error.exit == .noKernel else { throw error }
        if !hasTold { try Output.answer.line("\(error.message); waiting for it") }
        hasTold = true
      }
      _ = waitForInput([Signals.descriptor], for: .milliseconds(500))
      if Signals.takeInterrupt() { throw CLIError(.interrupted, "") }
    }
  }

  private func source(
    of name: String, library: String, arguments: Arguments
  ) throws(CLIError) -> PersonaSource {
    /// `…/libNAME.so` is the library NAME.
    func base(_ path: String) -> String {
      var file = path.split(separator: "/").last.map(String.init) ?? path
      if file.hasSuffix(".so") { file.removeLast(3) }
      return path.contains("/") && file.hasPrefix("lib") ? String(file.dropFirst(3)) : file
    }
    do throws(PersonaSource.Unknown) {
      if let folder = arguments.value("--source") { return try PersonaSource(name: base(library), folder: folder) }
      if library.contains("/") { return try PersonaSource(ofLibrary: library, name: base(library)) }
      if let house = PersonaSource.house(above: arguments.value("--home") ?? "."), access("\(house)/Plugins/\(library)", F_OK) == 0 {
        return try PersonaSource(name: library, folder: "\(house)/Plugins/\(library)")
      }
    } catch {
      throw CLIError(.failed, error.description)
    }
    throw CLIError(
      .failed,
      "the source of \(name) (library \(library)) is not found: there is no Plugins/\(library) in a house at or above this folder; "
        + "say --home or --source")
  }
}
