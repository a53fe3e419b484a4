import Glibc
import System

/// A persona's library as it stands on disk: read once, whole, and judged without running any of it.
public struct LibraryFile: Sendable {
  /// Where it was read; never opened by the dynamic linker: see LibraryStore.
  public let path: String
  /// SHA-256 of the content, 64 hexadecimal digits.
  public let hash: String
  let bytes: [UInt8]

  /// The largest file that is read, in bytes: larger ones are not personas.
  static let longest = 1 << 30

  /// Finds the file of a persona's `library`: a path when there is a slash in it, else `libNAME.so`, then
  /// `NAME.so` in each folder in turn.
  public static func resolve(_ library: String, in folders: [String]) throws(LibraryError) -> String {
    let candidates =
      library.contains("/")
      ? [library]
      : folders.flatMap { folder in ["lib\(library).so", "\(library).so"].map { LibraryWatcher.join(folder, $0) } }
    if let found = candidates.first(where: { access($0, F_OK) == 0 }) { return found }
    throw LibraryError(
      .notFound,
      library.contains("/")
        ? "\(library): there is no such library; build it, or correct `library` in personas.toml"
        : "there is no library lib\(library).so or \(library).so in \(folders.isEmpty ? "any folder" : folders.joined(separator: ", "));"
          + " build it, or correct `library` of the persona or `plugins` of [kernel]")
  }

  /// Reads the file. Throws when it is not a file that the kernel may trust, or when it changes meanwhile.
  public init(reading path: String) throws(LibraryError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      let code = errno
      throw LibraryError(code == ENOENT ? .notFound : .unreadable, "\(path) cannot be opened: \(Errno(number: code))")
    }
    defer { close(descriptor) }
    let before = try Self.status(of: descriptor, path)
    if let reason = Self.refusal(of: before, user: geteuid()) ?? FileTrust.refusal(of: path, user: geteuid()) {
      throw LibraryError(.notAllowed, "\(path) \(reason)")
    }
    guard before.st_size <= Self.longest else {
      throw LibraryError(.notALibrary, "\(path) has \(before.st_size) bytes: that is no persona")
    }
    let bytes = try Self.read(descriptor, count: Int(before.st_size), path)
    guard Stamp(before) == Stamp(try Self.status(of: descriptor, path)), bytes.count == before.st_size else {
      throw LibraryError(.changed, "\(path) changed while it was being read; it is taken up when it has settled")
    }
    self.init(bytes, path: path)
  }

  /// What a file holds, which has been read already.
  public init(_ bytes: [UInt8], path: String) {
    self.path = path
    self.bytes = bytes
    hash = SHA256.hash(bytes)
  }

  /// Judges the file without running it, for a kernel with these services, and in place of a generation
  /// that writes the state `running` (nil: none runs, or it keeps no state).
  public func check(services: Set<String>, running: About.StateSchema? = nil) throws(LibraryError) -> (about: About, warnings: [String]) {
    let file: ELFFile
    do throws(ELFFile.Malformed) { file = try ELFFile(bytes) } catch {
      switch error {
      case .incomplete, .trailing: throw LibraryError(.incomplete, "\(path): \(error)")
      default: throw LibraryError(.notALibrary, "\(path): \(error)")
      }
    }
    guard file.exportsEntry else {
      throw LibraryError(.noEntry, "\(path) is a library but no persona: it does not export \(ELFFile.entrySymbol)(); see persona.h")
    }
    guard !file.hasOwnSwiftRuntime else {
      throw LibraryError(
        .ownSwiftRuntime, "\(path) brings a Swift runtime of its own, which cannot be reloaded: build it without -static-stdlib")
    }
    let about = try about(file)
    let missing = about.needs.filter { !services.contains($0) }
    guard missing.isEmpty else {
      throw LibraryError(
        .needs,
        "\(path): \(about.name) needs \(missing.joined(separator: ", ")), which this kernel has not (it has \(services.sorted().joined(separator: ", ")));"
          + " update the kernel, or make the service one that the persona only `wants`")
    }
    try checkSchema(about, running)
    return (about, file.isNoDelete ? [] : ["\(path) is not linked with -z nodelete; it is kept in memory all the same"])
  }

  private func about(_ file: ELFFile) throws(LibraryError) -> About {
    var found: [About] = []
    var reasons: [String] = []
    for text in file.aboutTexts {
      do throws(About.Malformed) { found.append(try About(parsing: text)) } catch { reasons.append(error.description) }
    }
    if found.count == 1 { return found[0] }
    if let one = found.first {
      throw LibraryError(
        .noAbout, "\(path) holds \(found.count) about texts (\(one.name), \(found[1].name)); a library is one persona: keep one of them")
    }
    throw LibraryError(
      .noAbout,
      reasons.first.map { "\(path): \($0); see the end of persona.h" }
        ?? "\(path) holds no about text: put one in with PERSONA_ABOUT(\"bat-persona 1\\n…\"); see the end of persona.h")
  }

  private func checkSchema(_ about: About, _ running: About.StateSchema?) throws(LibraryError) {
    guard let running else { return }
    guard let state = about.state else {
      throw LibraryError(
        .schema,
        "\(path): \(about.name) \(about.version) keeps no state, but the running generation has one (schema \(running.writes)), which would be lost;"
          + " say \"state = \(running.writes)\" in the about text, or unload the persona first")
    }
    guard running.writes <= state.writes else {
      throw LibraryError(
        .schema,
        "\(path): \(about.name) \(about.version) knows state up to schema \(state.writes), the running generation writes the newer \(running.writes);"
          + " build the newer source, or unload the persona first to lose its state")
    }
    guard running.writes >= state.reads else {
      throw LibraryError(
        .schema,
        "\(path): \(about.name) \(about.version) reads state from schema \(state.reads) on, the running generation writes the older \(running.writes);"
          + " go by a version that reads both, or unload the persona first to lose its state")
    }
  }

  // ── The file and its owner ──

  /// Values of a file's status that change when the file does.
  struct Stamp: Equatable {
    var device, inode, size, modified, changed: UInt64
    init(_ status: stat) {
      device = UInt64(status.st_dev)
      inode = UInt64(status.st_ino)
      size = UInt64(status.st_size)
      modified = UInt64(bitPattern: Int64(status.st_mtim.tv_sec &* 1_000_000_000 &+ status.st_mtim.tv_nsec))
      changed = UInt64(bitPattern: Int64(status.st_ctim.tv_sec &* 1_000_000_000 &+ status.st_ctim.tv_nsec))
    }
  }

  /// Why a file of this status may not be run with the rights of `user`: whoever can write to it could run anything.
  static func refusal(of status: stat, user: uid_t) -> String? {
    guard status.st_mode & S_IFMT == S_IFREG else { return "is not a regular file" }
    guard status.st_uid == user || status.st_uid == 0 else {
      return "belongs to user \(status.st_uid), not to this kernel's user \(user) or to root: chown it, or copy it"
    }
    guard status.st_mode & (S_ISUID | S_ISGID) == 0 else { return "has the rights of its owner or group (setuid, setgid): chmod ug-s it" }
    guard status.st_mode & S_IWOTH == 0 else { return "can be written by everybody: chmod o-w it" }
    // Where every user has a group with the same number, a umask of 002 is usual, and that group has no other members.
    guard status.st_mode & S_IWGRP == 0 || status.st_gid == status.st_uid else { return "can be written by its group: chmod g-w it" }
    return nil
  }

  private static func status(of descriptor: Int32, _ path: String) throws(LibraryError) -> stat {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw LibraryError(.unreadable, "\(path) cannot be examined: \(Errno.last)") }
    return status
  }

  /// Reads to the end of the file, or one byte more than `count`, which tells that it has grown.
  static func read(_ descriptor: Int32, count: Int, _ path: String) throws(LibraryError) -> [UInt8] {
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count + 1) { buffer, filled in
      while filled < buffer.count {
        let got = Glibc.read(descriptor, buffer.baseAddress! + filled, buffer.count - filled)
        if got > 0 {
          filled += got
        } else if got == 0 {
          break
        } else if errno != EINTR {
          failure = errno
          break
        }
      }
    }
    guard failure == 0 else { throw LibraryError(.unreadable, "\(path) cannot be read: \(Errno(number: failure))") }
    return bytes
  }
}
