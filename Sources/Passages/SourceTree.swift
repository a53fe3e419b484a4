import Glibc
import System

/// The files under some paths that can be read into the memory, and the folders in which new ones may appear.
///
/// A file that cannot be examined is never taken for gone.
package struct SourceTree {
  /// What is at a path. Symbolic links are not followed.
  package enum Entry: Equatable {
    case file, folder, link, other

    package static func at(_ path: FilePath) throws(Errno) -> Entry {
      var status = stat()
      guard path.withCString({ lstat($0, &status) }) == 0 else { throw .last }
      switch status.st_mode & S_IFMT {
      case S_IFREG: return .file
      case S_IFDIR: return .folder
      case S_IFLNK: return .link
      default: return .other
      }
    }
  }

  /// Files in folders that are not read, by the reason.
  package struct PassedOver: Equatable {
    /// By the end of their names, such as ".bin"; "" for names without one.
    package var unknown: [String: Int] = [:]
    package var links = 0
    /// Pipes, sockets, devices.
    package var irregular = 0

    /// For people; nil if there are none.
    package var sentence: String? {
      let kinds = unknown.values.reduce(0, +)
      var parts: [String] = []
      if kinds > 0 {
        let most = unknown.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(5).map {
          $0.key.isEmpty ? "without an ending" : $0.key
        }
        parts.append("\(kinds) of unknown kinds (\(most.joined(separator: ", "))\(unknown.count > 5 ? ", …" : ""))")
      }
      if links > 0 { parts.append(links == 1 ? "1 symbolic link" : "\(links) symbolic links") }
      if irregular > 0 { parts.append("\(irregular) that are no regular files") }
      let count = kinds + links + irregular
      return count == 0 ? nil : "\(count == 1 ? "1 file is" : "\(count) files are") passed over: \(parts.joined(separator: ", "))"
    }
  }

  package static let irregular = "it is neither a regular file nor a folder"

  /// Absolute paths, each once, in order.
  package private(set) var files: [FilePath] = []
  package private(set) var folders: [FilePath] = []
  /// What cannot be read, with the reason.
  package private(set) var troubles: [(path: FilePath, why: String)] = []
  /// Paths that do not exist.
  package private(set) var missing: [FilePath] = []
  package private(set) var passedOver = PassedOver()
  /// Folders with nothing at all in them.
  private var empty: Set<FilePath> = []
  private let roots: [FilePath]
  private let look: (FilePath) throws(Errno) -> Entry

  /// - Parameters:
  ///   - paths: absolute; a folder stands for all files in it that have a known kind.
  ///   - look: tells what is at a path.
  package init(_ paths: [FilePath], look: @escaping (FilePath) throws(Errno) -> Entry = Entry.at) {
    self.look = look
    roots = paths
    for path in paths {
      do throws(Errno) {
        switch try look(path) {
        case .folder: walk(path)
        case .file: files.append(path)
        case .link, .other: troubles.append((path, Self.irregular))
        }
      } catch {
        if error.number == ENOENT { missing.append(path) } else { troubles.append((path, "\(error)")) }
      }
    }
    files = Set(files).sorted()
  }

  private mutating func walk(_ top: FilePath) {
    var waiting = [top]
    while let folder = waiting.popLast() {
      let names: [[UInt8]]
      do throws(Errno) {
        names = try folder.withCString { path in Result { () throws(Errno) in try Folder.rawNames(in: path) } }.get()
      } catch {
        troubles.append((folder, "\(error)"))
        continue
      }
      folders.append(folder)
      if names.isEmpty { empty.insert(folder) }
      var trouble: Errno?
      for name in names {
        let path = folder.appending(name)
        do throws(Errno) {
          switch try look(path) {
          case .folder: if !SourceFile.isPassedOver(folder: name) { waiting.append(path) }
          case .file: take(path, name)
          // A link may lead to a folder above this one.
          case .link: passedOver.links += 1
          case .other: passedOver.irregular += 1
          }
        } catch {
          // It was removed meanwhile.
          if error.number != ENOENT { trouble = error }
        }
      }
      // One report for the folder, not for each name: probably the folder itself must not be entered.
      if let trouble { troubles.append((folder, "what is in it cannot be read: \(trouble)")) }
    }
  }

  private mutating func take(_ path: FilePath, _ name: [UInt8]) {
    if name.first == UInt8(ascii: ".") { return }
    if SourceFile.kind(of: path) != nil { return files.append(path) }
    let dot = name.lastIndex(of: UInt8(ascii: "."))
    passedOver.unknown[dot.map { String(decoding: name[$0...], as: UTF8.self) } ?? "", default: 0] += 1
  }

  // MARK: What is gone

  /// What has become of files that were read in before and are not in the tree.
  package struct Settlement {
    package var gone: [FilePath] = []
    /// Folders of which all or most files are gone at once, and how many: an empty mount point looks like this.
    package var doubtful: [(folder: FilePath, files: Int)] = []
  }

  /// Looks for files that were read in before and are not among `files`, and adds those that still exist.
  ///
  /// - Parameter trusting: whether a whole folder that is gone is believed, too.
  package mutating func settle(_ stored: some Sequence<FilePath>, trusting: Bool = false) -> Settlement {
    var settlement = Settlement()
    var found: [FilePath] = []
    let known = Set(files)
    let stored = Array(stored)
    for path in stored where !known.contains(path) {
      do throws(Errno) {
        // If a folder or a link has that name now, the file is gone.
        if try look(path) == .file { found.append(path) } else { settlement.gone.append(path) }
      } catch {
        // ENOTDIR: a folder above it is a file now.
        if error.number == ENOENT || error.number == ENOTDIR {
          settlement.gone.append(path)
        } else if !troubles.contains(where: { path == $0.path || path.isBelow($0.path) }) {
          troubles.append((path, "\(error)"))
        }
      }
    }
    files = (files + found).sorted()
    settlement.gone.sort()
    if !trusting { doubt(&settlement, stored) }
    return settlement
  }

  /// Takes back what is better asked for.
  private func doubt(_ settlement: inout Settlement, _ stored: [FilePath]) {
    for root in roots {
      let gone = settlement.gone.filter { $0.isBelow(root) }
      if gone.isEmpty { continue }
      let all = stored.count { $0.isBelow(root) }
      let isAway = missing.contains(root) || empty.contains(root)
      let isMost = gone.count == all && gone.count > 1 || gone.count >= 10 && gone.count * 2 > all
      if isAway || isMost { settlement.keep(gone, of: root) }
    }
    for folder in empty.sorted() {
      let gone = settlement.gone.filter { $0.isBelow(folder) }
      if gone.count > 1 { settlement.keep(gone, of: folder) }
    }
  }

  /// The absolute path without symbolic links; also of a file that does not exist.
  package static func absolute(_ path: FilePath) -> FilePath {
    if let real = path.withCString({ realpath($0, nil) }) {
      defer { free(real) }
      return FilePath(UnsafeRawBufferPointer(start: real, count: strlen(real)))
    }
    var path = path
    if path.bytes.first != UInt8(ascii: "/"), let here = getcwd(nil, 0) {
      defer { free(here) }
      path = FilePath(UnsafeRawBufferPointer(start: here, count: strlen(here))).appending(path.bytes)
    }
    var parts: [ArraySlice<UInt8>] = []
    for part in path.bytes.split(separator: UInt8(ascii: "/")) where part != [UInt8(ascii: ".")] {
      if part.elementsEqual("..".utf8) { _ = parts.popLast() } else { parts.append(part) }
    }
    return FilePath([UInt8(ascii: "/")] + parts.joined(separator: [UInt8(ascii: "/")]))
  }
}

extension SourceTree.Settlement {
  fileprivate mutating func keep(_ files: [FilePath], of folder: FilePath) {
    doubtful.append((folder, files.count))
    let kept = Set(files)
    gone.removeAll { kept.contains($0) }
  }
}
