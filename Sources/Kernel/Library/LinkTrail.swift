import Glibc

/// The symbolic links that are passed on the way to a path, each by the folder in which it stands and its name there.
///
/// Whoever watches these folders hears of each change of where the path leads.
struct LinkTrail: Equatable {
  struct Place: Hashable {
    /// Without links in it.
    var folder: String
    var name: String
    var path: String { LibraryWatcher.join(folder, name) }
  }

  private(set) var links: [Place] = []
  /// Where the path ends, without links on the way; it need not exist.
  private(set) var end: Place

  /// So many links are followed; the system follows no more itself.
  private static let limit = 40

  init(of path: String) {
    var waiting = Self.parts(path.hasPrefix("/") ? path : Self.current() + "/" + path)
    var done: [String] = []
    while let part = waiting.popLast() {
      if part == ".." {
        _ = done.popLast()
        continue
      }
      let place = Place(folder: "/" + done.joined(separator: "/"), name: part)
      if links.count < Self.limit, let target = Self.target(of: place.path) {
        links.append(place)
        if target.hasPrefix("/") { done = [] }
        waiting += Self.parts(target)
      } else {
        done.append(part)
      }
    }
    end = Place(folder: "/" + done.dropLast().joined(separator: "/"), name: done.last ?? "")
  }

  /// The parts of a path that say something, the last one first.
  private static func parts(_ path: String) -> [String] {
    path.split(separator: "/").filter { $0 != "." }.reversed().map(String.init)
  }

  /// Where a link leads; nil: it is none.
  private static func target(of path: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = buffer.withUnsafeMutableBytes { bytes in
      bytes.withMemoryRebound(to: CChar.self) { readlink(path, $0.baseAddress!, $0.count) }
    }
    return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
  }

  private static func current() -> String {
    guard let path = getcwd(nil, 0) else { return "" }
    defer { free(path) }
    return String(cString: path)
  }
}
