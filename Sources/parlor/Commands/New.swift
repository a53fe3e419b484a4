import Client
import Glibc
import Protocol
import System
import Workbench

/// `parlor new`: a persona of one's own.
struct NewCommand: Command {
  let name = "new"
  let usage = "parlor new NAME [--c] [--outside FOLDER] [--home FOLDER] [--no-build]"
  let summary = "begin a persona of your own: it builds, and answers at once"
  let help = """
    Makes the persona NAME: Plugins/NAME/NAME.swift with a test beside it, and its part [persona.NAME] at the end of
    personas.toml. Then builds it, has the running kernel take it in, and asks it for its first words.

      --c               in C: one file and a Makefile of two lines
      --outside FOLDER  in FOLDER/NAME, as a package of its own that needs PersonaKit alone
      --home FOLDER     the house, if the current folder is not in it
      --no-build        only write the files
    """
  let flags: Set = ["--c", "--no-build"]
  let values: Set = ["--outside", "--home"]
  let operands = 1...1

  func run(_ arguments: Arguments) throws -> ExitCode {
    let birth = try Birth(
      arguments.operands[0], home: arguments.value("--home"), outside: arguments.value("--outside"), inC: arguments.has("--c"))
    try birth.write()
    for line in birth.told { try Output.answer.line(line) }
    if arguments.has("--no-build") { return .ok }
    guard case .built(let library, let seconds, _) = try birth.build() else { return .failed }
    try Output.answer.line("built in \(fixed(seconds, 1)) s")
    let connection: KernelConnection
    do throws(ClientError) { connection = try arguments.connect() } catch {
      guard CLIError(error).exit == .noKernel else { throw error }
      try Output.answer.line("no kernel runs here now; `./bat up` starts one, with \(birth.name) in it")
      return .ok
    }
    try birth.introduce(library: library, to: connection)
    return .ok
  }
}

/// A persona that comes into the house: its files, its part of personas.toml, its library.
struct Birth {
  let name: String
  private let house: String
  private let folder: String
  private let scaffold: Scaffold
  private let personas: String
  private let old: String
  private let text: String

  /// Looks at everything that could be in the way; nothing is written yet.
  init(_ name: String, home: String?, outside: String?, inC: Bool) throws(CLIError) {
    guard About.isName(name) else {
      throw CLIError(.usage, "\(name) is no name for a persona: a letter, then letters, digits, '-' or '_', at most 64")
    }
    guard let house = PersonaSource.house(above: home ?? ".") else {
      throw CLIError(
        .failed,
        "there is no house at or above \(home ?? "this folder") (Package.swift, Plugins, Sources/PersonaKit): say where with --home")
    }
    self.name = name
    self.house = house
    folder = outside.map { place($0 + "/" + name) } ?? house + "/Plugins/" + name
    guard !isThere(folder) else { throw CLIError(.failed, "\(folder) is there already: take another name, or remove it") }
    if !inC { try Self.checkModule(name, house: house) }
    let include = house + "/Sources/PersonaABI/include"
    scaffold = Scaffold(
      name: name,
      shape: inC
        ? .c(include: outside == nil ? "../../Sources/PersonaABI/include" : "'\(include)'")
        : outside == nil ? .plugin : .package(house: house))
    personas = house + "/personas.toml"
    do throws(FileError) { old = try Self.content(of: personas) } catch { throw CLIError(.failed, error.message) }
    var keys = [(key: "summary", value: "A persona in the making")]
    if let library = scaffold.library {
      keys.append(("library", outside == nil ? "Plugins/\(name)/\(library)" : folder + "/" + library))
    }
    if !inC { keys.append(("prompt", "You are \(name). Answer in one or two sentences.")) }
    do throws(PersonasFile.Taken) { text = try PersonasFile(text: old).adding(name, keys) } catch {
      throw CLIError(.failed, "\(personas):\(error.line): there is a persona \(name) already; take another name")
    }
  }

  private static func content(of personas: String) throws(FileError) -> String { access(personas, F_OK) == 0 ? try readFile(personas) : "" }

  /// Swift knows a persona by its module too: one that is there already would take the place of the other.
  private static func checkModule(_ name: String, house: String) throws(CLIError) {
    let module = BuildPlan.moduleName(name)
    let languages = ["Swift", "Foundation", "Glibc", "Dispatch", "Synchronization", "Testing", "XCTest", "PackageDescription"]
    if languages.contains(module) { throw CLIError(.failed, "\(name) is the name of one of Swift's own modules; take another one") }
    let manifest: String
    do throws(FileError) { manifest = try readFile(house + "/Package.swift") } catch { throw CLIError(.failed, error.message) }
    if manifest.contains("\"\(name)\"") || manifest.contains("\"\(module)\"") {
      throw CLIError(.failed, "\(name) is the name of a part of the house; take another one")
    }
    if let other = BuildPlan.plugins(of: house).split(separator: "\n").first(where: { BuildPlan.moduleName(String($0)) == module }) {
      throw CLIError(.failed, "\(name) and Plugins/\(other) are both \(module) to Swift; take another name")
    }
  }

  /// What was done, for people.
  var told: [String] { scaffold.files.map { "made \(shown(folder + "/" + $0.path))" } + ["added [persona.\(name)] to \(shown(personas))"] }

  /// From where the author is, so that it can be pasted.
  private func shown(_ path: String) -> String {
    guard let here = PersonaSource.real("."), path.hasPrefix(here + "/") else { return path }
    return String(path.dropFirst(here.utf8.count + 1))
  }

  /// Writes all of it, or nothing.
  func write() throws(CLIError) {
    var done = false
    // The first folder that is new, which with --outside may be one above the persona's own.
    var top = folder
    while let slash = top.lastIndex(of: "/"), slash != top.startIndex, !isThere(String(top[..<slash])) { top = String(top[..<slash]) }
    defer { if !done { removeTree(top) } }
    do throws(FileError) {
      // The file as it will be, beside the one that is: the kernel's own reader judges it, and a rename puts it in place.
      let real = PersonaSource.real(personas) ?? personas
      let new = "\(real).\(getpid()).new"
      try writeFile(new, text, like: real)
      defer { unlink(new) }
      try check(new)
      for file in scaffold.files { try writeFile(folder + "/" + file.path, file.text) }
      guard try Self.content(of: personas) == old else { throw FileError(message: "\(personas) was changed just now; try again") }
      guard rename(new, real) == 0 else { throw FileError(message: "\(real) cannot be replaced: \(Errno(number: errno))") }
    } catch {
      throw CLIError(.failed, error.message)
    }
    done = true
  }

  /// `batkernel --check`, which says "ok" of a file that it can read, whatever it says of the libraries.
  private func check(_ path: String) throws(FileError) {
    guard let own = PersonaSource.real("/proc/self/exe"), let slash = own.lastIndex(of: "/") else { return }
    let kernel = String(own[..<slash]) + "/batkernel"
    guard access(kernel, X_OK) == 0 else { return }
    let step = BuildPlan.Step(words: [kernel, "--check", "--config", path], folder: house)
    guard let outcome = try? BuildProcess(step).wait(), !outcome.output.contains("\(path): ok") else { return }
    throw FileError(
      message: "personas.toml is left as it is, for the kernel could not read it with [persona.\(name)] at its end:\n"
        + outcome.output.replacing(path, with: personas))
  }

  func build() throws(CLIError) -> Build.Outcome {
    let source: PersonaSource
    do throws(PersonaSource.Unknown) { source = try PersonaSource(name: name, folder: folder) } catch {
      throw CLIError(.failed, error.description)
    }
    let plan = BuildPlan(source)
    for note in plan.steps.compactMap(\.note) { try Output.diagnostics.line("parlor: \(note)") }
    let outcome = Build(plan).wait()
    if case .failed(let diagnostics, let output) = outcome {
      for diagnostic in diagnostics { try Output.diagnostics.line("parlor: " + diagnostic.text(from: folder)) }
      if diagnostics.isEmpty { try Output.diagnostics.line(output) }
      try Output.diagnostics.line("parlor: \(name) is written, and does not build; `parlor dev \(name)` builds it when you save")
    }
    return outcome
  }

  /// The kernel reads personas.toml again and loads the library; then it is asked for its first words.
  func introduce(library: String, to connection: KernelConnection) throws {
    let changes = try connection.call(Config.Reload(libraries: [name: library]))
    guard changes.added.contains(name) else {
      return try Output.answer.line(
        "the kernel that runs reads another personas.toml than \(personas), so \(name) is not in it: `./bat up` starts this house's")
    }
    let visitor = Terminal.environment("USER") ?? "friend"
    let greeting = Request(target: name, method: "greet", payload: ["name": .string(visitor)], deadline: .seconds(60))
    let reply = try connection.ask(greeting).json
    try Output.answer.line("\(name) says: \(AnswerPrinter.content(of: reply).harmless)")
    try Output.answer.line("")
    try Output.answer.line("Next: `parlor dev \(name)` in one terminal, \(shown(folder + "/" + scaffold.source)) in your editor.")
    try Output.answer.line("Its test: `parlor replay \(shown(folder))/\(scaffold.test) --library \(shown(library))`")
  }
}
