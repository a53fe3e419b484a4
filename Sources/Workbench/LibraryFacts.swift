import Glibc
import Kernel
import System

/// What a persona's library says of itself on disk; nothing of it is run.
public struct LibraryFacts: Sendable {
  public var path: String
  /// SHA-256 of the file, in hex.
  public var hash: String
  public var about: About
  /// What is odd and would be let pass.
  public var warnings: [String]

  /// Reads the file as the kernel would before a load, for a kernel that has every service.
  public init(reading path: String) throws(LibraryError) {
    let file = try LibraryFile(reading: path)
    (about, warnings) = try file.check(services: HostTables.services)
    self.path = path
    hash = file.hash
  }

  /// The libraries of a folder, by name; a path that is no folder is itself. Nil: the folder cannot be read.
  public static func paths(in path: String) -> [String]? {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return [path] }
    guard let names = try? Folder.names(in: path) else { return nil }
    return names.filter { $0.hasSuffix(".so") }.map { path.hasSuffix("/") ? path + $0 : path + "/" + $0 }
  }
}
