import Foundation

/// Compiles the personas of Tests/Fixtures, each one C file, for the tests.
public enum Fixtures {
  /// The repository.
  public static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  public struct CompilerFailed: Error, CustomStringConvertible { public let description: String }

  /// A new folder that nobody else uses.
  public static func folder(_ label: String = "bat") throws -> String {
    // Short, since a socket's path has at most 107 bytes.
    var template = Array("/tmp/\(label)-XXXXXX\0".utf8CString)
    guard mkdtemp(&template) != nil else { throw CompilerFailed(description: "mkdtemp: \(String(cString: strerror(errno)))") }
    return String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Builds `Tests/Fixtures/NAME.c`; moves the finished library to `path` in one step, as a build tool should.
  public static func build(_ name: String, to path: String, defines: [String: String] = [:]) throws {
    let made = path + ".new-\(UInt32.random(in: 0 ... .max))"
    let compiler = Process()
    compiler.executableURL = URL(fileURLWithPath: "/usr/bin/cc")
    compiler.arguments =
      ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wl,-z,nodelete", "-pthread", "-I", "\(root)/Sources/PersonaABI/include"]
      + defines.map { "-D\($0.key)=\"\($0.value)\"" } + ["-o", made, "\(root)/Tests/Fixtures/\(name).c"]
    let pipe = Pipe()
    compiler.standardError = pipe
    try compiler.run()
    let said = pipe.fileHandleForReading.readDataToEndOfFile()
    compiler.waitUntilExit()
    guard compiler.terminationStatus == 0 else { throw CompilerFailed(description: String(decoding: said, as: UTF8.self)) }
    guard rename(made, path) == 0 else { throw CompilerFailed(description: "rename: \(String(cString: strerror(errno)))") }
  }

  /// Where SwiftPM puts the products of this build.
  public static let products: String = {
    // The test bundle lies beside them.
    var folder = Bundle.main.bundlePath
    for bundle in Bundle.allBundles where bundle.bundlePath.hasSuffix(".xctest") { folder = (bundle.bundlePath as NSString).deletingLastPathComponent }
    if FileManager.default.fileExists(atPath: folder + "/batkernel") { return folder }
    return URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path
  }()
}
