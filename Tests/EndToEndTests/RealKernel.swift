import Foundation
import TestSupport

/// The real `batkernel` as a child, with a personas.toml and a folder of its own.
final class RealKernel {
  let temporary: TemporaryFolder
  let process = Process()
  var folder: String { temporary.path }
  var socket: String { folder + "/kernel.sock" }
  var toml: String { folder + "/personas.toml" }

  /// `configuration` is what stands in personas.toml behind `[kernel]`, which names this folder's socket and plugins.
  init(_ configuration: String, arguments: [String] = [], start: Bool = true) throws {
    temporary = TemporaryFolder()
    try write(configuration)
    if start { try self.start(arguments) }
  }

  func write(_ configuration: String) throws {
    try temporary.write(
      "personas.toml",
      "[kernel]\nsocket = \"\(socket)\"\ndata = \"\(folder)/data\"\nplugins = [\"\(folder)\", \"\(Products.folder)\"]\n" + configuration)
  }

  /// Another process with the files of one that has ended.
  init(after old: RealKernel) throws {
    temporary = old.temporary
    try start()
  }

  /// Starts it and waits until it answers. `at`: where, if the arguments name another socket.
  func start(_ arguments: [String] = [], at other: String? = nil) throws {
    process.executableURL = URL(filePath: Products.folder + "/batkernel")
    process.arguments = ["--config", toml] + arguments
    _ = FileManager.default.createFile(atPath: logPath, contents: nil)
    process.standardError = FileHandle(forWritingAtPath: logPath)
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let deadline = Date().addingTimeInterval(20)
    while Date() < deadline {
      if !process.isRunning { throw Client.Lost(description: "the kernel ended: \(log)") }
      // The threads of a kernel that was killed before this one may still hold its socket: whoever connects there is cut off.
      if let client = try? Client(socket: other ?? socket), (try? client.hello("starter")) != nil { return }
      usleep(5000)
    }
    throw Client.Lost(description: "the kernel does not answer: \(log)")
  }

  var logPath: String { folder + "/kernel.log" }
  var log: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }

  func client(_ name: String) throws -> Client {
    let client = try Client(socket: socket)
    try client.hello(name)
    return client
  }

  /// Waits until all personas have come (or failed).
  func settled(_ client: Client) throws -> [[String: Any]] {
    for id in 800_000..<804_000 {
      let personas = try client.ask("KERNEL", "personas.list", id: id).payload["personas"] as? [[String: Any]] ?? []
      if !personas.contains(where: { $0["state"] as? String == "loading" }) { return personas }
      usleep(5000)
    }
    throw Client.Lost(description: "some personas load for ever: \(log)")
  }

  /// Runs a command to its end.
  static func run(_ command: [String], environment: [String: String] = [:]) throws -> (status: Int32, output: String, errors: String) {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = command
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let (output, errors) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    process.standardInput = FileHandle.nullDevice
    try process.run()
    // The errors are short: they fit the pipe while the output is read.
    let said = output.fileHandleForReading.readDataToEndOfFile()
    let complained = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: said, as: UTF8.self), String(decoding: complained, as: UTF8.self))
  }

  func parlor(_ arguments: String...) throws -> (status: Int32, output: String, errors: String) {
    try Self.run([Products.folder + "/parlor", "--socket", socket] + arguments)
  }

  deinit {
    if process.isRunning {
      process.terminate()
      process.waitUntilExit()
    }
  }
}

/// A scripted language-model server as a child: OpenAI-compatible, or in the shape of Ollama's.
final class ScriptedModelServer {
  enum Provider: String, CaseIterable { case openai, ollama }

  private let process = Process()
  private let provider: Provider
  let port: String

  init(_ provider: Provider = .openai) throws {
    self.provider = provider
    let script = provider == .openai ? "scripted_model.py" : "ollama_server.py"
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["python3", Products.repository + "/Tests/EndToEndTests/original/" + script]
    let output = Pipe()
    process.standardOutput = output
    process.standardInput = FileHandle.nullDevice
    try process.run()
    var line = Data()
    while !line.contains(10) {
      let more = output.fileHandleForReading.availableData
      if more.isEmpty { throw Client.Lost(description: "\(script) did not start") }
      line.append(more)
    }
    port = String(decoding: line, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
  }

  deinit {
    kill(process.processIdentifier, SIGKILL)  // the test's thread may block signals, and a child inherits that
    process.waitUntilExit()
  }

  /// `[llm]` for personas.toml.
  var configuration: String {
    let url = "http://127.0.0.1:\(port)" + (provider == .openai ? "/v1" : "")
    return "[llm]\nprovider = \"\(provider)\"\nurl = \"\(url)\"\nmodel = \"m\"\n"
  }
}
