import Glibc
import System
import Workbench

/// Why a file could not be read or written.
struct FileError: Error, Equatable {
  let message: String
}

/// The whole of a text file.
func readFile(_ path: String) throws(FileError) -> String {
  let bytes = try readBytes(path)
  guard let text = String(validating: bytes, as: UTF8.self) else { throw FileError(message: "\(path) is not in UTF-8") }
  return text
}

/// The whole of a file.
func readBytes(_ path: String) throws(FileError) -> [UInt8] {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw FileError(message: "\(path) cannot be opened: \(Errno(number: errno))") }
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = read(descriptor, &chunk, chunk.count)
    if count == 0 { break }
    if count < 0, errno == EINTR { continue }
    guard count > 0 else { throw FileError(message: "\(path) cannot be read: \(Errno(number: errno))") }
    bytes += chunk[..<count]
  }
  return bytes
}

/// Writes a file, with the folders that it needs.
///
/// - Parameter like: a file whose owner and rights it gets, if that one exists.
func writeFile(_ path: String, _ text: String, like model: String? = nil) throws(FileError) {
  var folder = ""
  for part in path.split(separator: "/").dropLast() {
    folder += "/" + part
    if mkdir(folder, 0o777) != 0, errno != EEXIST { throw FileError(message: "\(folder) cannot be made: \(Errno(number: errno))") }
  }
  let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
  guard descriptor >= 0 else { throw FileError(message: "\(path) cannot be written: \(Errno(number: errno))") }
  defer { close(descriptor) }
  var status = stat()
  if let model, stat(model, &status) == 0 {
    _ = fchmod(descriptor, status.st_mode & 0o7777)
    _ = fchown(descriptor, status.st_uid, status.st_gid)
  }
  var bytes = Array(text.utf8)[...]
  while !bytes.isEmpty {
    let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    if count < 0, errno == EINTR { continue }
    guard count > 0 else { throw FileError(message: "\(path) cannot be written: \(Errno(number: errno))") }
    bytes = bytes.dropFirst(count)
  }
}

/// Whether something has this path, and be it a link that leads nowhere.
func isThere(_ path: String) -> Bool {
  var status = stat()
  return lstat(path, &status) == 0
}

/// The path from the root on, without links as far as it exists.
func place(_ path: String) -> String {
  if let real = PersonaSource.real(path) { return real == "/" ? "" : real }
  let parts = path.split(separator: "/")
  guard let last = parts.last else { return "" }
  let above = parts.dropLast().joined(separator: "/")
  return place(path.hasPrefix("/") ? "/" + above : above.isEmpty ? "." : above) + "/" + last
}

/// Removes a folder with all that is in it. What cannot be removed stays.
func removeTree(_ path: String) {
  if let names = try? Folder.names(in: path) {
    for name in names { removeTree(path + "/" + name) }
    rmdir(path)
  } else {
    unlink(path)
  }
}
