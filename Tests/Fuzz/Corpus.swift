import Glibc

/// The lines that inputs are made of: every line of every file in Tests/Fuzz/corpus. What once failed is kept there.
enum Corpus {
  static let folder = String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/")!)) + "/corpus"

  static func lines() -> [[UInt8]] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if !name.hasPrefix(".") { names.append(name) }
    }
    // Sorted, because a seed must give the same inputs whatever the order of the folder.
    return names.sorted().flatMap { lines(of: folder + "/" + $0) }
  }

  private static func lines(of path: String) -> [[UInt8]] {
    guard let file = fopen(path, "r") else { return [] }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk[..<count] }
    return bytes.split(separator: 0x0a).map(Array.init)
  }
}
