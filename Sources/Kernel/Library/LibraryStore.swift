import Glibc
import Synchronization
import System

/// A library that was checked and copied, and can be opened.
public struct LibraryImage: Sendable, Equatable {
  /// The private copy: open this one.
  public let path: String
  /// Where the author put it.
  public let originalPath: String
  /// SHA-256 of the content, 64 hexadecimal digits.
  public let hash: String
  public let about: About
  /// Problems that are no reason to refuse it.
  public internal(set) var warnings: [String]

  public init(path: String, originalPath: String, hash: String, about: About, warnings: [String] = []) {
    self.path = path
    self.originalPath = originalPath
    self.hash = hash
    self.about = about
    self.warnings = warnings
  }
}

/// The private folder of the copies from which libraries are opened.
///
/// For a path that it has opened before, the dynamic linker returns the old code; and a mapped file that is truncated kills the
/// process. So each load opens a copy of its own. It stays while it may be needed to tell where something crashed; that of a refused one
/// goes at once.
///
///     BASE/                    0700, ours
///     BASE/libraries.XXXXXX/   one per kernel, with a `lock` that it holds; those of dead kernels are removed
///     BASE/libraries.XXXXXX/ECHO-3-9f86d081.so
public final class LibraryStore: Sendable {
  /// Where the copies are.
  public let folder: String
  /// Held as long as the store lives, so that other kernels know that the folder is in use.
  private let lock: ProcessLock
  private let copies = Atomic(0)

  /// Makes a folder in `base`, and `base` itself if it is missing.
  public init(in base: String) throws(LibraryError) {
    if mkdir(base, 0o700) != 0 && errno != EEXIST { throw Self.failure("\(base) cannot be made") }
    let baseDescriptor = open(base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard baseDescriptor >= 0 else { throw Self.failure("\(base) cannot be opened as a folder") }
    defer { close(baseDescriptor) }
    var status = stat()
    guard fstat(baseDescriptor, &status) == 0 else { throw Self.failure("\(base) cannot be examined") }
    guard status.st_uid == geteuid(), status.st_mode & (S_IWGRP | S_IWOTH) == 0 else {
      throw LibraryError(.copy, "\(base) must belong to this kernel's user alone: chown and chmod 700 it, or remove it")
    }
    // Only one kernel at a time: another one's new folder that is not locked yet looks like that of a dead kernel.
    guard flock(baseDescriptor, LOCK_EX) == 0 else { throw Self.failure("\(base) cannot be locked") }
    Self.sweep(base)
    var template = Array("\(base)/libraries.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Self.failure("no folder can be made in \(base)") }
    folder = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    do throws(ProcessLock.Refusal) { lock = try ProcessLock(folder + "/lock") } catch {
      throw LibraryError(.copy, "\(folder) cannot be locked: \(error)")
    }
  }

  /// Checks a library, as LibraryFile.check does, and copies it.
  public func image(of file: LibraryFile, services: Set<String>, running: About.StateSchema? = nil) throws(LibraryError) -> LibraryImage {
    let (about, warnings) = try file.check(services: services, running: running)
    let copy = try keep(file, as: about.name)
    return LibraryImage(path: copy, originalPath: file.path, hash: file.hash, about: about, warnings: warnings)
  }

  /// Writes a copy under a name that was never used, reads it back, and compares.
  func keep(_ file: LibraryFile, as name: String) throws(LibraryError) -> String {
    let number = copies.add(1, ordering: .relaxed).newValue
    let path = "\(folder)/\(name)-\(number)-\(file.hash.prefix(8)).so"
    let copy = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard copy >= 0 else { throw Self.failure("\(path) cannot be made") }
    defer { close(copy) }
    do throws(LibraryError) {
      guard writeAll(file.bytes, to: copy) else { throw Self.failure("\(path) cannot be written") }
      guard lseek(copy, 0, SEEK_SET) == 0 else { throw Self.failure("\(path) cannot be read back") }
      let written = try LibraryFile.read(copy, count: file.bytes.count, path)
      guard written.count == file.bytes.count, memcmp(written, file.bytes, written.count) == 0 else {
        throw LibraryError(.copy, "\(path) is not what was written to it: look after that disk")
      }
    } catch {
      unlink(path)
      throw error
    }
    return path
  }

  /// Removes a copy that is not needed any more. It may be open: its code goes on.
  func discard(_ path: String) { if path.hasPrefix(folder + "/") { unlink(path) } }

  /// Removes the folder. Call it when no library in it will be opened again; open ones keep working.
  public func remove() { Self.remove(folder) }

  /// Removes the folders of kernels that ended without removing them: nobody holds their locks.
  private static func sweep(_ base: String) {
    for name in (try? Folder.names(in: base)) ?? [] where name.hasPrefix("libraries.") {
      let path = "\(base)/\(name)"
      if access(path + "/lock", F_OK) == 0 {
        if !ProcessLock.isHeld(path + "/lock") { remove(path) }
        continue
      }
      let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      guard descriptor >= 0 else { continue }
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { remove(path) }
      close(descriptor)
    }
  }

  private static func remove(_ folder: String) {
    for name in (try? Folder.names(in: folder)) ?? [] { unlink("\(folder)/\(name)") }
    rmdir(folder)
  }

  private static func failure(_ what: String) -> LibraryError { LibraryError(.copy, "\(what): \(Errno.last)") }
}
