import Foundation
import Synchronization

/// The C personas of Tests/Fixtures, compiled when a test wants them.
public enum Fixtures {
  /// What a persona's author would not be surprised to see in a test's output.
  public struct CompilerError: Error, CustomStringConvertible {
    public let description: String
  }

  private static let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  /// By fixture and defines. The lock is held while compiling, so that nothing is compiled twice.
  private static let built = Mutex<[String: String]>([:])
  private static let folder = TemporaryFolder(removedAtExit: true)

  /// Compiles Tests/Fixtures/NAME.c and returns the library's path. Each define becomes a C string. Built once for each
  /// process and set of defines: do not change the file, but a copy of it (see `install`).
  public static func build(_ fixture: String, defines: [String: String] = [:], options: [String] = []) throws -> String {
    let words = defines.sorted { $0.key < $1.key }.map { "-D\($0.key)=\(quoted($0.value))" } + options
    let key = ([fixture] + words).joined(separator: " ")
    return try built.withLock { built in
      if let path = built[key] { return path }
      let path = "\(folder.path)/\(fixture)-\(built.count).so"
      try compile(
        [
          "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-Wl,-z,nodelete", "-I",
          repository.path + "/Sources/PersonaABI/include",
        ]
          + words + ["-o", path, repository.path + "/Tests/Fixtures/\(fixture).c", "-lpthread"])
      built[key] = path
      return path
    }
  }

  /// Puts a library where a kernel looks for it, `libAS.so` in `folder`, by an atomic rename, as a good build does.
  @discardableResult
  public static func install(_ fixture: String, as name: String, in folder: String, defines: [String: String] = [:]) throws -> String {
    let path = "\(folder)/lib\(name).so"
    try replace(path, with: try Data(contentsOf: URL(filePath: build(fixture, defines: defines))))
    return path
  }

  /// Replaces a file by an atomic rename.
  public static func replace(_ path: String, with bytes: some Sequence<UInt8>) throws {
    let new = "\(path).\(UInt64.random(in: 0 ... .max)).new"
    try Data(bytes).write(to: URL(filePath: new))
    chmod(new, 0o644)
    guard rename(new, path) == 0 else { throw CompilerError(description: "\(new) cannot be renamed: \(String(cString: strerror(errno)))") }
  }

  private static func quoted(_ text: String) -> String {
    let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    return "\"\(escaped)\""
  }

  private static func compile(_ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["cc"] + arguments
    let output = Pipe()
    process.standardError = output
    try process.run()
    let text = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw CompilerError(description: String(decoding: text, as: UTF8.self)) }
  }
}
