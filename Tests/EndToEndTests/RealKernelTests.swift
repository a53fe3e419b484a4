import Foundation
import TestSupport
import Testing
import Wire

@Suite("The real kernel") struct RealKernelTests {
  private let echo = "[persona.ECHO]\n"

  private func withEcho(_ more: String = "", arguments: [String] = []) throws -> RealKernel {
    let kernel = try RealKernel("", start: false)
    try Fixtures.install("echo", as: "ECHO", in: kernel.folder)
    try kernel.write(more + echo)
    try kernel.start(arguments)
    return kernel
  }

  @Test("a second kernel on the same socket is refused with the pid of the first")
  func second() throws {
    let kernel = try withEcho()
    let (status, _, errors) = try RealKernel.run([Products.folder + "/batkernel", "--config", kernel.toml])
    #expect(status == 1)
    #expect(errors.contains("pid \(kernel.process.processIdentifier)"), "\(errors)")
    #expect(try kernel.client("GUI").ask("KERNEL", "ping", id: 1).method == "reply")
  }

  @Test("the socket is for its user alone, and one that a killed kernel left behind is replaced")
  func stale() throws {
    let kernel = try withEcho()
    var info = stat()
    #expect(stat(kernel.socket, &info) == 0 && info.st_mode & 0o777 == 0o600)
    kill(kernel.process.processIdentifier, SIGKILL)
    kernel.process.waitUntilExit()
    #expect(FileManager.default.fileExists(atPath: kernel.socket))
    let again = Process()
    again.executableURL = kernel.process.executableURL
    again.arguments = kernel.process.arguments
    again.standardError = FileHandle.nullDevice
    try again.run()
    defer {
      again.terminate()
      again.waitUntilExit()
    }
    let deadline = Date().addingTimeInterval(20)
    while Date() < deadline {
      if let client = try? Client(socket: kernel.socket) {
        try client.hello("GUI")
        return
      }
      usleep(5000)
    }
    Issue.record("the second kernel did not come up")
  }

  @Test("SIGTERM lets what was asked be answered, and ends with 0")
  func drains() throws {
    let kernel = try withEcho()
    let client = try kernel.client("GUI")
    _ = try kernel.settled(client)
    try client.line(#"{"target":"ECHO","method":"later","payload":300,"id":1}"#)
    _ = try client.ask("KERNEL", "ping", id: 2)
    kernel.process.terminate()
    #expect(try client.gram { $0.re == "1" }["echo"] == "300")
    kernel.process.waitUntilExit()
    #expect(kernel.process.terminationStatus == 0)
    #expect(!FileManager.default.fileExists(atPath: kernel.socket))
  }

  @Test("SIGHUP: who is new comes, who is gone goes, who is changed is told, and nobody else notices")
  func hangup() throws {
    let kernel = try RealKernel("", start: false)
    for name in ["ONE", "TWO", "THREE", "FOUR"] { try Fixtures.install("echo", as: name, in: kernel.folder, defines: ["NAME": name]) }
    try kernel.write("[persona.ONE]\n[persona.TWO]\n[persona.THREE]\nmood = \"calm\"\n")
    try kernel.start()
    let client = try kernel.client("GUI")
    _ = try kernel.settled(client)
    try kernel.write("[persona.ONE]\n[persona.THREE]\nmood = \"merry\"\n[persona.FOUR]\n")
    kill(kernel.process.processIdentifier, SIGHUP)
    let gone = try client.gram { $0.method == "receipt" && $0["outcome"] == "unloaded" }
    #expect(gone["persona"] == "TWO")
    let personas = try kernel.settled(client)
    #expect(personas.compactMap { $0["name"] as? String } == ["ONE", "THREE", "FOUR"])
    #expect(personas.prefix(2).allSatisfy { $0["generation"] as? Int == 1 })
    #expect(try client.ask("THREE", "config", id: 1)["mood"] == "merry")
    // A file with a mistake changes nothing, and is told with its place.
    try kernel.write("[persona.ONE]\n[bus]\nframe_byts = 5\n")
    #expect(try client.ask("KERNEL", "config.reload", id: 2).message?.contains("personas.toml:7:1: bus.frame_byts") == true)
    #expect(try kernel.settled(client).count == 3)
  }

  @Test("a persona that could not come for its configuration comes when that is mended, and stop and destroy are not cut short")
  func mended() throws {
    let kernel = try RealKernel("", start: false)
    try Fixtures.install("wants_key", as: "JANITOR", in: kernel.folder)
    try Fixtures.install("last_words", as: "MOURNER", in: kernel.folder)
    let file = kernel.folder + "/destroyed"
    try kernel.write("[persona.JANITOR]\n[persona.MOURNER]\nfile = \"\(file)\"\n")
    try kernel.start()
    let client = try kernel.client("GUI")
    #expect(try kernel.settled(client).first?["state"] as? String == "failed")
    try kernel.write("[persona.JANITOR]\nkey = \"brass\"\n[persona.MOURNER]\nfile = \"\(file)\"\n")
    _ = try client.ask("KERNEL", "config.reload", id: 1)
    #expect(try kernel.settled(client).first?["state"] as? String == "running")
    unlink(file)  // the rehearsal has made it, too
    kernel.process.terminate()
    kernel.process.waitUntilExit()
    #expect(kernel.process.terminationStatus == 0)
    #expect(FileManager.default.fileExists(atPath: file), "destroy was called before the process ended")
  }

  @Test("--check tells every fault without running any code, --help and --version end with 0, wrong usage with 2")
  func check() throws {
    let kernel = try RealKernel("[persona.BAD]\n[persona.NONE]\n", start: false)
    try Fixtures.install("crashes_on_open", as: "BAD", in: kernel.folder)
    let batkernel = Products.folder + "/batkernel"
    let (status, output, _) = try RealKernel.run([batkernel, "--check", "--config", kernel.toml])
    #expect(status == 1)
    #expect(output.contains("BAD: ok") && output.contains("NONE: there is no library"), "\(output)")
    #expect(try RealKernel.run([batkernel, "--version"]).status == 0)
    #expect(try RealKernel.run([batkernel, "--help"]).output.contains("--log-format"))
    #expect(try RealKernel.run([batkernel, "--confg"]).status == 2)
  }

  @Test("logs are text, or one JSON object a line")
  func logs() throws {
    let kernel = try withEcho(arguments: ["--log-format", "json"])
    _ = try kernel.settled(kernel.client("GUI"))
    let lines = kernel.log.split(separator: "\n")
    #expect(lines.count >= 2)
    for line in lines { #expect((try? JSONSerialization.jsonObject(with: Data(line.utf8))) is [String: Any], "\(line)") }
  }

  @Test("the Python original's clients talk to each other, and to a persona, unchanged")
  func original() throws {
    let kernel = try withEcho()
    _ = try kernel.settled(kernel.client("GUI0"))
    let folder = Products.repository + "/Tests/EndToEndTests/original"
    let persona = Process()
    persona.executableURL = URL(filePath: "/usr/bin/env")
    persona.arguments = ["python3", folder + "/persona_client.py", kernel.socket, "BRICK", "--count", "2"]
    let output = Pipe()
    persona.standardOutput = output
    try persona.run()
    #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).contains("registered BRICK"))
    // Its name has been sent; the kernel knows it when it answers to it.
    let probe = try kernel.client("PROBE")
    repeat {
      try probe.line(#"{"target":"BRICK","method":"are-you-there","payload":{"content":"?"}}"#)
    } while try probe.gram().code == "unknown_target"
    let gui = try RealKernel.run(["python3", folder + "/gui_client.py", kernel.socket, "What is a bat?"])
    #expect(gui.status == 0, "\(gui)")
    #expect(gui.output.contains("\"source\": \"BRICK\""))
    persona.waitUntilExit()
    let direct = try RealKernel.run(
      ["python3", folder + "/gui_client.py", kernel.socket, "hello", "--target", "ECHO", "--method", "echo", "--name", "GUI2"])
    #expect(direct.status == 0 && direct.output.contains("hello"), "\(direct)")
  }

  @Test("a library that is written in pieces is reloaded once, when it is whole")
  func pieces() throws {
    let kernel = try withEcho("[reload]\nsettle_ms = 150\n")
    let client = try kernel.client("GUI")
    _ = try kernel.settled(client)
    let new = try Data(contentsOf: URL(filePath: Fixtures.build("echo", defines: ["VERSION": "2"])))
    let file = try #require(FileHandle(forWritingAtPath: kernel.folder + "/libECHO.so"))
    try file.truncate(atOffset: 0)
    for start in stride(from: 0, to: new.count, by: 1000) {
      try file.write(contentsOf: new[start..<min(start + 1000, new.count)])
      _ = try client.ask("ECHO", "count", id: start)  // the running one answers all the while
    }
    try file.close()
    let receipt = try client.gram { $0.method == "receipt" }
    #expect(receipt["outcome"] == "reloaded" && receipt["to"] == "2", "\(receipt)")
    #expect(try client.ask("ECHO", "echo", "1", id: 1_000_000)["version"] == "2")
  }
}

@Suite("The house with a model") struct HouseWithModelTests {
  private let personas = """
    [persona.BRICK]
    prompt = "You are BRICK"
    delegates = ["ROBIN"]
    [persona.ROBIN]
    prompt = "You are ROBIN"
    [persona.BABS]
    prompt = "You are BABS"
    [persona.ALFRED]
    prompt = "You are ALFRED"

    """

  @Test("parlor asks the real personas, and its exit status says what went wrong")
  func ask() throws {
    let model = try ScriptedModelServer()
    let kernel = try RealKernel(model.configuration + personas)
    _ = try kernel.settled(kernel.client("GUI"))
    let answer = try kernel.parlor("ask", "say Four words in all")
    #expect(answer.status == 0 && answer.output == "Four words in all\n", "\(answer)")
    #expect(try kernel.parlor("ask", "-p", "robin", "who?").output == "You are ROBIN\n")
    #expect(try kernel.parlor("ask", "-p", "NOBODY", "x").status == 4)
    let failed = try kernel.parlor("ask", "fail 500")
    #expect(failed.status == 7 && failed.output.isEmpty && failed.errors.contains("out of order"), "\(failed)")
    #expect(try kernel.parlor("ask", "say cut").status == 7)
    #expect(try kernel.parlor("ask", "say still here").output == "still here\n")
    let delegated = try kernel.parlor("ask", "--json", "@robin say hello")
    #expect(delegated.output.contains("\"to\":\"ROBIN\"") && delegated.output.contains("\"content\":\"hello\""), "\(delegated)")
    #expect(try kernel.parlor("personas").output.contains("BABS"))
    #expect(try kernel.parlor("send", "ALFRED", "status").output.contains("The house has been up"))
  }

  @Test("a prompt that is edited in personas.toml reaches the model without a build, and four lines make a persona")
  func prompts() throws {
    let model = try ScriptedModelServer()
    let kernel = try RealKernel(model.configuration + personas)
    _ = try kernel.settled(kernel.client("GUI"))
    #expect(try kernel.parlor("ask", "-p", "ROBIN", "who?").output == "You are ROBIN\n")
    try kernel.write(
      model.configuration + personas.replacing("You are ROBIN", with: "You are ROBIN in spring")
        + "[persona.HATTER]\nlibrary = \"Prompt\"\nsummary = \"Pours tea\"\nprompt = \"You are the Hatter\"\n")
    #expect(try kernel.parlor("send", "KERNEL", "config.reload").output.contains("HATTER"))
    _ = try kernel.settled(kernel.client("GUI"))
    #expect(try kernel.parlor("ask", "-p", "ROBIN", "--thread", "new", "who?").output == "You are ROBIN in spring\n")
    #expect(try kernel.parlor("ask", "-p", "HATTER", "who?").output == "You are the Hatter\n")
  }

  @Test("reload, rollback, unload and load from the command line, while somebody stays connected")
  func lifecycle() throws {
    let model = try ScriptedModelServer()
    let kernel = try RealKernel(model.configuration + personas)
    let witness = try kernel.client("WITNESS")
    _ = try kernel.settled(witness)
    #expect(try kernel.parlor("reload", "--force", "ROBIN").status == 0)
    #expect(try witness.gram { $0.method == "receipt" && $0["outcome"] == "reloaded" }["to"] == "2")
    #expect(try kernel.parlor("rollback", "ROBIN").status == 0)
    #expect(try witness.gram { $0.method == "receipt" && $0["outcome"] == "rolled_back" }["to"] == "3")
    #expect(try kernel.parlor("unload", "ROBIN").status == 0)
    #expect(try kernel.parlor("ask", "-p", "ROBIN", "x").status == 4)
    #expect(try kernel.parlor("load", "ROBIN").status == 0)
    #expect(try kernel.parlor("ask", "-p", "ROBIN", "say back").output == "back\n")
    #expect(try kernel.parlor("stats").output.contains("messages"))
  }

  @Test("without a model's server the failure names the address and what to do, and the kernel lives on")
  func absent() throws {
    let kernel = try RealKernel("[llm]\nprovider = \"ollama\"\nurl = \"http://127.0.0.1:9\"\nmodel = \"m\"\n" + personas)
    _ = try kernel.settled(kernel.client("GUI"))
    let failed = try kernel.parlor("ask", "hello?")
    #expect(failed.status == 7 && failed.errors.contains("127.0.0.1:9") && failed.errors.contains("ollama serve"), "\(failed)")
    #expect(try kernel.parlor("ping").status == 0)
  }
}
