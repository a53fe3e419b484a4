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
}
