import Glibc

/// Room on the disk that is kept, so that something can be taken out of the memory when the disk is full. For the store's thread.
struct StoreReserve {
  /// In bytes. The log of writes, of which 8 MB are kept before it is copied into the file, has to fit beside that copy.
  static let size = 16 << 20
  private let path: String

  init(folder: String) { path = folder + "/reserve" }

  /// Takes the room, if there is enough of it.
  func fill() {
    let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    if file < 0 { return }
    defer { close(file) }
    var status = stat()
    if fstat(file, &status) == 0, Int(status.st_size) == Self.size { return }
    // All or nothing: the rest of a disk is for those who can use it.
    if posix_fallocate(file, 0, Self.size) != 0 { ftruncate(file, 0) }
  }

  func release() { truncate(path, 0) }
}
