import Glibc
import System
import Workbench

/// The files under some paths that can be read into the memory, and the folders in which new ones may appear.
struct SourceTree {
  /// Absolute paths, each once, in order.
  private(set) var files: [String] = []
  private(set) var folders: [String] = []
  /// What was named and cannot be read, with the reason.
  private(set) var troubles: [(path: String, why: String)] = []

  /// - Parameter paths: absolute; a folder stands for all that is in it and has a known kind.
  init(_ paths: [String]) {
    for path in paths {
      var status = stat()
      if stat(path, &status) != 0 {
        // One that has gone is told by what the memory has of it.
        if errno != ENOENT { troubles.append((path, "\(Errno(number: errno))")) }
      } else if status.st_mode & S_IFMT == S_IFDIR {
        walk(path)
      } else {
        files.append(path)
      }
    }
    files = Set(files).sorted()
  }

  private mutating func walk(_ folder: String) {
    let names: [String]
    do throws(Errno) { names = try Folder.names(in: folder) } catch { return troubles.append((folder, "\(error)")) }
    folders.append(folder)
    for name in names {
      let path = folder == "/" ? "/\(name)" : "\(folder)/\(name)"
      var status = stat()
      // Links are not followed: what they lead to stands elsewhere, perhaps above us.
      guard lstat(path, &status) == 0 else { continue }
      switch status.st_mode & S_IFMT {
      case S_IFDIR: if !SourceFile.isPassedOver(folder: name) { walk(path) }
      case S_IFREG: if !name.hasPrefix("."), SourceFile.kind(of: path) != nil { files.append(path) }
      default: break
      }
    }
  }

  /// From the root on, without links; also of what is not there any more.
  static func absolute(_ path: String) -> String {
    if let real = PersonaSource.real(path) { return real }
    var path = path
    if !path.hasPrefix("/"), let here = getcwd(nil, 0) {
      defer { free(here) }
      path = String(cString: here) + "/" + path
    }
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." { if part == ".." { _ = parts.popLast() } else { parts.append(part) } }
    return "/" + parts.joined(separator: "/")
  }
}
