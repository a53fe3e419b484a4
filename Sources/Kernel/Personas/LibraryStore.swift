import CPlatform
import Glibc

/// Finds libraries, and keeps the private copies that are really opened.
///
/// A path is never opened twice: the dynamic linker would give the old code for it, and a file that is
/// written over while it is mapped kills the process. So each attempt works on a copy of its own, in a
/// folder of mode 0700 beside the socket, for as long as the kernel lives. Any thread.
public final class LibraryStore: Sendable {
  private let folders: [String]
  private let folder: String

  /// `beside`: the kernel's socket. The folder is named after the process; those of dead kernels are removed.
  init(folders: [String], beside: String) throws(Failure) {
    self.folders = folders
    let parent = beside.lastIndex(of: "/").map { String(beside[..<$0]) } ?? "."
    Self.makeFolders(parent)
    Self.sweep(parent)
    folder = "\(parent)/libraries-\(getpid())-\(Self.serial())"
    if mkdir(folder, 0o700) != 0 {
      throw Failure(.failed, "cannot make \(folder), where libraries are copied to: \(String(cString: strerror(errno)))")
    }
  }

  /// Where the library of that name is, or nil. A name with a slash is a path.
  func find(_ name: String) -> String? {
    let candidates = name.contains("/") ? [name] : folders.flatMap { ["\($0)/lib\(name).so", "\($0)/\(name).so"] }
    return candidates.first { access($0, F_OK) == 0 }
  }

  /// Copies and checks; nil if its hash is `unlessHash`.
  ///
  /// - `services`: what this kernel offers. - `runningSchema`: of the state that would be handed over.
  func copy(
    library: String, label: String, unlessHash: String?, services: [String], runningSchema: UInt32?
  ) throws(Failure) -> LibraryImage? {
    guard let path = find(library) else {
      throw Failure(
        .notFound, library.contains("/") ? "there is no file \(library)" : "there is no lib\(library).so in \(folders.joined(separator: ", ")); build it, or set `library` in personas.toml")
    }
    let bytes = try Self.read(path)
    let hash = SHA256.hash(bytes)
    if hash == unlessHash { return nil }
    let (about, warnings) = try Self.check(bytes, path: path, services: services, runningSchema: runningSchema)
    let copy = "\(folder)/\(label)-\(hash.prefix(12))-\(Self.serial()).so"
    let target = open(copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    if target < 0 { throw Failure(.failed, "cannot write \(copy): \(String(cString: strerror(errno)))") }
    defer { close(target) }
    var at = 0
    while at < bytes.count {
      let n = bytes.withUnsafeBytes { write(target, $0.baseAddress! + at, $0.count - at) }
      if n <= 0 {
        let reason = String(cString: strerror(errno))
        unlink(copy)
        throw Failure(.failed, "cannot write \(copy): \(reason)")
      }
      at += n
    }
    return LibraryImage(path: copy, hash: hash, about: about, warnings: warnings)
  }

  /// An image that was not opened.
  func discard(_ image: LibraryImage) { unlink(image.path) }

  /// All copies: when the process is about to end.
  func removeAll() { Self.remove(folder) }

  /// The checks that need no code to run: for `batkernel --check` and for every load.
  static func check(
    _ bytes: [UInt8], path: String, services: [String], runningSchema: UInt32?
  ) throws(Failure) -> (About, warnings: [String]) {
    let elf: ELFFile
    do { elf = try ELFFile(bytes) } catch { throw Failure(.invalid, "\(path): \(error)") }
    if !elf.exportsEntry {
      throw Failure(.invalid, "\(path) does not export persona_entry_v1; see persona.h (is the function public, and not static?)")
    }
    if elf.hasOwnSwiftRuntime {
      throw Failure(.invalid, "\(path) brings a Swift runtime of its own, which crashes beside another one: link it without -static-stdlib")
    }
    if elf.aboutTexts.isEmpty { throw Failure(.invalid, "\(path) has no about text; see persona.h (PERSONA_ABOUT, or static let about in Swift)") }
    if elf.aboutTexts.count > 1 { throw Failure(.invalid, "\(path) has \(elf.aboutTexts.count) different about texts; leave one") }
    let about: About
    do { about = try About(parsing: elf.aboutTexts[0]) } catch { throw Failure(.invalid, "\(path): \(error)") }
    if let absent = about.needs.first(where: { !services.contains($0) }) {
      throw Failure(.invalid, "\(about.name) needs the service \(absent), which this kernel does not have; it has \(services.joined(separator: ", "))")
    }
    if let runningSchema, let state = about.state, !(state.reads...state.writes).contains(runningSchema) {
      throw Failure(
        .state,
        "\(about.name) \(about.version) reads states of schema \(state.reads) to \(state.writes), and the running one writes \(runningSchema): make it read that, or unload the running one first"
      )
    }
    return (about, elf.isNoDelete ? [] : ["linked without -z nodelete (it is kept mapped all the same)"])
  }

  /// The whole file, if it is ours to trust: a regular file of our user or root that nobody else can write.
  static func read(_ path: String) throws(Failure) -> [UInt8] {
    func fail(_ why: String) -> Failure { Failure(.failed, "\(path): \(why)") }
    let file = open(path, O_RDONLY | O_CLOEXEC)
    if file < 0 { throw fail(String(cString: strerror(errno))) }
    defer { close(file) }
    var info = stat()
    if fstat(file, &info) != 0 { throw fail(String(cString: strerror(errno))) }
    if info.st_mode & S_IFMT != S_IFREG { throw fail("it is not a regular file") }
    if info.st_uid != getuid(), info.st_uid != 0 { throw fail("it belongs to another user (\(info.st_uid)); its code would run as you: take it over with chown first") }
    if info.st_mode & 0o022 != 0 { throw fail("others can write to it; its code would run as you: chmod go-w it first") }
    var bytes = [UInt8](repeating: 0, count: Int(info.st_size))
    var at = 0
    while at < bytes.count {
      let n = bytes.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress! + at, $0.count - at) }
      if n < 0 { throw fail(String(cString: strerror(errno))) }
      if n == 0 { throw fail("it became shorter while it was read: it is still being written") }
      at += n
    }
    var after = stat()
    if fstat(file, &after) != 0 || after.st_size != info.st_size || after.st_mtim.tv_sec != info.st_mtim.tv_sec
      || after.st_mtim.tv_nsec != info.st_mtim.tv_nsec
    {
      throw fail("it changed while it was read: it is still being written")
    }
    return bytes
  }

  // MARK: Folders

  private static let lastSerial = Counter()
  private static func serial() -> Int { lastSerial.next() }

  static func makeFolders(_ path: String) {
    var at = path.startIndex
    while at < path.endIndex, let slash = path[path.index(after: at)...].firstIndex(of: "/") {
      mkdir(String(path[..<slash]), 0o755)
      at = slash
    }
    mkdir(path, 0o700)
  }

  /// Removes what kernels left behind that were killed.
  private static func sweep(_ parent: String) {
    for name in names(in: parent) where name.hasPrefix("libraries-") {
      let parts = name.split(separator: "-")
      if parts.count == 3, let pid = pid_t(String(parts[1])), kill(pid, 0) != 0, errno == ESRCH { remove("\(parent)/\(name)") }
    }
  }

  private static func remove(_ folder: String) {
    for name in names(in: folder) { unlink("\(folder)/\(name)") }
    rmdir(folder)
  }

  private static func names(in folder: String) -> [String] {
    guard let handle = opendir(folder) else { return [] }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) } }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }
}
