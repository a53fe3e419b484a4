import Foundation

/// Another program, run to its end.
enum Program {
  /// What it writes. The first of `arguments` is its path.
  static func output(of arguments: [String]) throws -> Data {
    let process = Process()
    process.executableURL = URL(filePath: arguments[0])
    process.arguments = Array(arguments.dropFirst())
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw BenchmarkError("\(arguments.joined(separator: " ")) ended with status \(process.terminationStatus)")
    }
    return output
  }
}
