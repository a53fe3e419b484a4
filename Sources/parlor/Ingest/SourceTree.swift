import Glibc
import System
import Workbench

/// The files under some paths that can be read into the memory, and the folders in which new ones may appear.
///
/// A file that cannot be examined is never taken for gone.
struct SourceTree {
  /// What is at a path. Symbolic links are not followed.
  enum Entry: Equatable {
    case file, folder, other

    static func at(_ path: String) throws(Errno) -> Entry {
      var status = stat()
      guard lstat(path, &status) == 0 else { throw Errno(number: errno) }
      switch status.st_mode & S_IFMT {
      case S_IFREG: return .file
      case S_IFDIR: return .folder
      default: return .other
      }
    }
  }

  static let irregular = "it is neither a regular file nor a folder"

  /// Absolute paths, each once, in order.
  private(set) var files: [String] = []
  private(set) var folders: [String] = []
  /// What cannot be read, with the reason.
  private(set) var troubles: [(path: String, why: String)] = []
  /// Paths that do not exist.
  private(set) var missing: [String] = []
  private let look: (String) throws(Errno) -> Entry

  /// - Parameters:
  ///   - paths: absolute; a folder stands for all files in it that have a known kind.
  ///   - look: tells what is at a path.
  init(_ paths: [String], look: @escaping (String) throws(Errno) -> Entry = Entry.at) {
    self.look = look
    for path in paths {
      do throws(Errno) {
        switch try look(path) {
        case .folder: walk(path)
        case .file: files.append(path)
        case .other: troubles.append((path, Self.irregular))
        }
      } catch {
        if error.number == ENOENT { missing.append(path) } else { troubles.append((path, "\(error)")) }
      }
    }
    files = Set(files).sorted()
  }

  private mutating func walk(_ folder: String) {
    let names: [String]
    do throws(Errno) { names = try Folder.names(in: folder) } catch { return troubles.append((folder, "\(error)")) }
    folders.append(folder)
    var trouble: Errno?
    for name in names {
      let path = folder == "/" ? "/\(name)" : "\(folder)/\(name)"
      do throws(Errno) {
        switch try look(path) {
        case .folder: if !SourceFile.isPassedOver(folder: name) { walk(path) }
        case .file: if !name.hasPrefix("."), SourceFile.kind(of: path) != nil { files.append(path) }
        // A link may lead to a folder above this one.
        case .other: break
        }
      } catch {
        // It was removed meanwhile.
        if error.number != ENOENT { trouble = error }
      }
    }
    // One report for the folder, not for each name: probably the folder itself must not be entered.
    if let trouble { troubles.append((folder, "what is in it cannot be read: \(trouble)")) }
  }

  /// Looks for files that were read in before and are not among `files`, and adds those that still exist.
  ///
  /// - Returns: the files that are gone.
  mutating func settle(_ stored: some Sequence<String>) -> [String] {
    var gone: [String] = []
    var found: [String] = []
    let known = Set(files)
    for path in stored where !known.contains(path) {
      do throws(Errno) {
        // If a folder or a link has that name now, the file is gone.
        if try look(path) == .file { found.append(path) } else { gone.append(path) }
      } catch {
        // ENOTDIR: a folder above it is a file now.
        if error.number == ENOENT || error.number == ENOTDIR {
          gone.append(path)
        } else if !troubles.contains(where: { path == $0.path || path.hasPrefix($0.path + "/") }) {
          troubles.append((path, "\(error)"))
        }
      }
    }
    files = (files + found).sorted()
    return gone.sorted()
  }

  /// The absolute path without symbolic links; also of a file that does not exist.
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
