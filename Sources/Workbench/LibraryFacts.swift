import Kernel

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
}
