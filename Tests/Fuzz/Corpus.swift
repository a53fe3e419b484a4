import Glibc

/// The lines that inputs are made of: every line of every file in Tests/Fuzz/corpus. What once failed is kept there.
enum Corpus {
  static let folder = String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/")!)) + "/corpus"

  static func lines() -> [[UInt8]] { paths(in: folder).flatMap { lines(of: $0) } }

  /// The whole files of a folder of it.
  static func files(_ name: String) -> [[UInt8]] { paths(in: folder + "/" + name).map { bytes(of: $0) }.filter { !$0.isEmpty } }

  private static func paths(in folder: String) -> [String] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if !name.hasPrefix(".") { names.append(name) }
    }
    // Sorted, because a seed must give the same inputs whatever the order of the folder.
    return names.sorted().map { folder + "/" + $0 }
  }

  private static func lines(of path: String) -> [[UInt8]] { bytes(of: path).split(separator: 0x0a).map(Array.init) }

  /// None of what is no file.
  private static func bytes(of path: String) -> [UInt8] {
    guard let file = fopen(path, "r") else { return [] }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk[..<count] }
    return bytes
  }
}
