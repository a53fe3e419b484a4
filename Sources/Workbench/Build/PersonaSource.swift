import Glibc
import System

/// Where a persona's source is, and how it becomes a library.
public struct PersonaSource: Sendable, Equatable {
  public enum Kind: Sendable, Equatable {
    /// A folder in Plugins of a house: Swift that knows PersonaKit and nothing else.
    case plugin(house: String)
    /// A Swift package of its own.
    case package
    /// A Makefile, whatever the language.
    case makefile
  }

  /// The library's name: `libNAME.so`.
  public var name: String
  public var folder: String
  public var kind: Kind
  /// Where its Makefile puts the library; nil: `libNAME.so` in the folder.
  public var library: String?

  /// What is wrong with a folder, and what to do.
  public struct Unknown: Error, Sendable, CustomStringConvertible {
    public let description: String
  }

  /// Looks at a folder.
  public init(name: String, folder: String) throws(Unknown) {
    guard let folder = Self.real(folder) else { throw Unknown(description: "\(folder): there is no such folder") }
    self.name = name
    self.folder = folder
    if access(folder + "/Makefile", F_OK) == 0 {
      kind = .makefile
    } else if access(folder + "/Package.swift", F_OK) == 0 {
      kind = .package
    } else if folder.hasSuffix("/Plugins/\(name)"), !Self.files(in: folder).isEmpty {
      kind = .plugin(house: String(folder.dropLast("/Plugins/\(name)".count)))
    } else {
      throw Unknown(
        description:
          "\(folder) is no persona's source: it has neither a Makefile nor a Package.swift, and it is no folder of Swift files in Plugins")
    }
  }

  /// Finds the source of a library by where the library is: the folder of a Makefile or a package at or above it.
  public init(ofLibrary path: String, name: String) throws(Unknown) {
    // The library itself may not be built yet.
    guard let start = Self.real(Self.parent(of: path)) else { throw Unknown(description: "\(path): there is no such folder") }
    var folder = start
    while folder.count > 1, Self.house(above: folder) != folder {
      if access(folder + "/Makefile", F_OK) == 0 || access(folder + "/Package.swift", F_OK) == 0 {
        self = try PersonaSource(name: name, folder: folder)
        if kind == .makefile, let slash = path.lastIndex(of: "/") { library = start + path[slash...] }
        return
      }
      folder = Self.parent(of: folder)
    }
    throw Unknown(description: "\(path): no Makefile and no Package.swift is at or above it; name the source's folder with --source")
  }

  /// The house that a folder is in: where Package.swift, Plugins and PersonaKit are. Nil: it is in none.
  public static func house(above folder: String) -> String? {
    var folder = real(folder) ?? folder
    while true {
      if access(folder + "/Package.swift", F_OK) == 0, access(folder + "/Plugins", F_OK) == 0,
        access(folder + "/Sources/PersonaKit", F_OK) == 0
      {
        return folder
      }
      if folder.count <= 1 { return nil }
      folder = parent(of: folder)
    }
  }

  static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// From the root on, without links; nil if it does not exist.
  public static func real(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(cString: real)
  }

  // MARK: Files

  /// The files that it is made of, in the folder and below; what builds put there is left out.
  public static func files(in folder: String) -> [String] { tree(folder).files }
  /// The folder and those below it that may hold sources.
  public static func folders(in folder: String) -> [String] { tree(folder).folders }

  /// Whether a change of the file changes the persona. Editors' own files and what compilers write do not.
  public static func isSource(_ path: String) -> Bool {
    let name = path.split(separator: "/").last.map(String.init) ?? ""
    if name == "Makefile" { return true }
    guard !name.hasPrefix("."), let dot = name.lastIndex(of: ".") else { return false }
    return endings.contains(String(name[name.index(after: dot)...]))
  }
  private static let endings: Set<String> = [
    "swift", "c", "h", "cc", "cpp", "cxx", "hpp", "m", "mm", "rs", "go", "zig", "py", "lua", "mk", "s", "S", "inc", "json", "txt", "md",
  ]

  private static func tree(_ root: String) -> (files: [String], folders: [String]) {
    var files: [String] = []
    var folders = [root]
    var next = 0
    while next < folders.count {
      let folder = folders[next]
      next += 1
      for name in (try? Folder.names(in: folder)) ?? [] {
        if name.hasPrefix(".") || name == "target" || name == "__pycache__" { continue }
        let path = folder + "/" + name
        var status = stat()
        guard stat(path, &status) == 0 else { continue }
        if status.st_mode & S_IFMT == S_IFDIR {
          if folders.count < 1000 { folders.append(path) }
        } else if isSource(path) {
          files.append(path)
        }
      }
    }
    return (files.sorted(), folders)
  }

  /// What of a file is another when it has been written or replaced. A file that was only opened for writing keeps it.
  public struct Stamp: Sendable, Equatable {
    /// When it was written, in seconds since 1970.
    public var written: Double
    var inode: UInt64
    /// Of the file's state in whole: also another file's time that it was given counts.
    var changed: Double
  }

  /// The files that it is made of, as they are now.
  public static func stamps(in folder: String) -> [String: Stamp] {
    var stamps: [String: Stamp] = [:]
    for file in files(in: folder) {
      var status = stat()
      guard stat(file, &status) == 0 else { continue }
      stamps[file] = Stamp(written: seconds(status.st_mtim), inode: UInt64(status.st_ino), changed: seconds(status.st_ctim))
    }
    return stamps
  }

  private static func seconds(_ time: timespec) -> Double { Double(time.tv_sec) + Double(time.tv_nsec) / 1e9 }

  /// When the newest of these was written, in seconds since 1970; 0 if none is there.
  public static func newest(of paths: [String]) -> Double {
    paths.reduce(0) { newest, path in
      var status = stat()
      guard stat(path, &status) == 0 else { return newest }
      return max(newest, seconds(status.st_mtim))
    }
  }
}
