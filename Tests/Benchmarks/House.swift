import Foundation

/// Where things are: the build, the repository, and a folder for what a run makes, which is removed with it.
final class House {
  let build: String
  let repository: String
  let folder: String
  var kernelPath: String { build + "/batkernel" }

  init() throws {
    build = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
    repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    var template = Array("/tmp/bat-bench-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Broken("no folder can be made in /tmp: \(reason())") }
    folder = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    guard FileManager.default.isExecutableFile(atPath: kernelPath) else {
      throw Broken("there is no \(kernelPath): build it with swift build -c release")
    }
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  /// Compiles Tests/Fixtures/NAME.c as a persona of this name and version.
  func compile(_ fixture: String, name: String, version: String) throws -> Data {
    let path = "\(folder)/\(name)-\(version).build"
    try cc([
      "-shared", "-fPIC", "-O2", "-Wl,-z,nodelete", "-I", repository + "/Sources/PersonaABI/include", "-DNAME=\"\(name)\"",
      "-DVERSION=\"\(version)\"", "-o", path, "\(repository)/Tests/Fixtures/\(fixture).c", "-lpthread",
    ])
    return try Data(contentsOf: URL(filePath: path))
  }

  /// Runs the C compiler.
  func cc(_ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["cc"] + arguments
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Broken("this does not compile: cc \(arguments.joined(separator: " "))") }
  }

  /// Two builds of the echo persona, of the versions A and B.
  func echoes() throws -> [Data] { try ["A", "B"].map { try compile("echo", name: "ECHO", version: $0) } }

  /// A Swift persona of this build, twice: the same but for one byte of the version, so that the hash differs.
  func pair(_ name: String) throws -> [Data] {
    let path = "\(build)/lib\(name).so"
    guard let one = FileManager.default.contents(atPath: path) else {
      throw Broken("there is no \(path): build it with swift build -c release")
    }
    guard let about = one.range(of: Data("bat-persona 1\n".utf8)),
      let version = one.range(of: Data("version = ".utf8), in: about.upperBound..<one.count)
    else { throw Broken("\(path) has no about text") }
    return ["A", "B"].map { letter in
      var copy = one
      copy[version.upperBound] = letter.utf8.first!
      return copy
    }
  }

  /// Puts a library in its place as a good build does: written beside it, then renamed. Returns when the rename was done.
  @discardableResult
  func install(_ library: Data, as name: String, in folder: String) throws -> UInt64 {
    let path = "\(folder)/lib\(name).so"
    try library.write(to: URL(filePath: path + ".new"))
    chmod(path + ".new", 0o644)
    guard rename(path + ".new", path) == 0 else { throw Broken("\(path).new cannot be renamed: \(reason())") }
    return now()
  }
}

/// Nanoseconds of the monotonic clock.
func now() -> UInt64 {
  var t = timespec()
  clock_gettime(CLOCK_MONOTONIC, &t)
  return UInt64(t.tv_sec) * 1_000_000_000 + UInt64(t.tv_nsec)
}

/// What the last failed call says.
func reason() -> String { String(cString: strerror(errno)) }
