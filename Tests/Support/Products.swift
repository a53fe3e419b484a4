import Foundation

/// What this build has made, for tests that run the real thing.
public enum Products {
  /// The repository.
  public static let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

  /// Where SwiftPM puts executables and libraries: beside the test bundle.
  public static let folder: String = {
    let bundles = Bundle.allBundles.map(\.bundlePath) + [Bundle.main.bundlePath, CommandLine.arguments[0]]
    let folders = bundles.map { URL(filePath: $0).deletingLastPathComponent().path } + [repository + "/.build/debug"]
    return folders.first { FileManager.default.fileExists(atPath: $0 + "/batkernel") } ?? repository + "/.build/debug"
  }()
}
