import Foundation

/// A folder of a test's own (mode 0700), removed with everything in it when the last reference goes.
public final class TemporaryFolder: Sendable {
  public let path: String

  public convenience init() { self.init(removedAtExit: false) }

  /// Globals are never freed: theirs is removed when the process ends.
  init(removedAtExit: Bool) {
    var template = Array("\(NSTemporaryDirectory())/bat-test-XXXXXX".replacing("//", with: "/").utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("no temporary folder can be made: \(String(cString: strerror(errno)))") }
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    if removedAtExit { Self.atExit(remove: path) }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file into it, with the folders that its name has, and returns its path.
  @discardableResult
  public func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
    let file = "\(path)/\(name)"
    if name.contains("/") {
      try FileManager.default.createDirectory(at: URL(filePath: file).deletingLastPathComponent(), withIntermediateDirectories: true)
    }
    try Data(bytes).write(to: URL(filePath: file))
    return file
  }
  @discardableResult
  public func write(_ name: String, _ text: String) throws -> String { try write(name, text.utf8) }

  /// Writes a program, and returns its path.
  ///
  /// Another process writes it. A program that is open for writing cannot be started ("text file busy"), and a child that another thread
  /// starts at that moment would keep our own descriptor open until it becomes its program.
  @discardableResult
  public func writeProgram(_ name: String, _ text: String) throws -> String {
    let source = try write(name + ".source", text)
    let file = "\(path)/\(name)"
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["install", "-m", "755", source, file]
    try process.run()
    process.waitUntilExit()
    try FileManager.default.removeItem(atPath: source)
    guard process.terminationStatus == 0 else { throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: file]) }
    return file
  }

  nonisolated(unsafe) private static var doomed: String?
  private static func atExit(remove path: String) {
    doomed = path
    atexit { if let doomed = TemporaryFolder.doomed { try? FileManager.default.removeItem(atPath: doomed) } }
  }
}
