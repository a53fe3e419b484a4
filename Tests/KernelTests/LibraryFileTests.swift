import Foundation
import PersonaABI
import TestSupport
import Testing

@testable import Kernel

private let services: Set<String> = ["bus/1", "llm/1", "state/1", "timer/1", "log/1", "config/1"]

@Suite struct LibraryFileTests {
  @Test("SHA-256 gives the digests of its standard")
  func sha256() {
    #expect(SHA256.hash([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(SHA256.hash(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
      SHA256.hash(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8))
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    #expect(SHA256.hash([UInt8](repeating: 0x61, count: 1_000_000)) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test("a library is found by name in the folders in their order, or by its path")
  func resolve() throws {
    let (first, second) = (TemporaryFolder(), TemporaryFolder())
    let folders = [first.path, second.path]
    try second.write("libA.so", "x")
    #expect(try LibraryFile.resolve("A", in: folders) == second.path + "/libA.so")
    try first.write("A.so", "x")
    #expect(try LibraryFile.resolve("A", in: folders) == first.path + "/A.so")
    try first.write("libA.so", "x")
    #expect(try LibraryFile.resolve("A", in: folders) == first.path + "/libA.so")
    #expect(try LibraryFile.resolve(second.path + "/libA.so", in: []) == second.path + "/libA.so")
    let error = #expect(throws: LibraryError.self) { try LibraryFile.resolve("B", in: folders) }
    #expect(error?.kind == .notFound && error?.message.contains(first.path) == true)
    #expect(throws: LibraryError.self) { try LibraryFile.resolve("./none.so", in: folders) }
  }

  @Test("a file that somebody else may write is not run")
  func permissions() {
    func refusal(_ mode: mode_t, owner: uid_t = 1000, group: gid_t = 100) -> String? {
      var status = stat()
      (status.st_mode, status.st_uid, status.st_gid) = (mode, owner, group)
      return LibraryFile.refusal(of: status, user: 1000)
    }
    #expect(refusal(S_IFREG | 0o755) == nil)
    #expect(refusal(S_IFREG | 0o644, owner: 0) == nil)
    #expect(refusal(S_IFREG | 0o775, group: 1000) == nil, "a group of one's own")
    #expect(refusal(S_IFREG | 0o775)?.contains("chmod g-w") == true)
    #expect(refusal(S_IFREG | 0o757)?.contains("chmod o-w") == true)
    #expect(refusal(S_IFREG | 0o755, owner: 1001)?.contains("user 1001") == true)
    #expect(refusal(S_IFREG | 0o4755)?.contains("setuid") == true)
    #expect(refusal(S_IFREG | 0o2755)?.contains("chmod ug-s") == true)
    #expect(refusal(S_IFDIR | 0o755)?.contains("regular file") == true)
    #expect(refusal(S_IFIFO | 0o600)?.contains("regular file") == true)
  }

  @Test("a folder in which somebody else may put another file is no place for one that is run, unless it is sticky")
  func folders() {
    func refusal(_ mode: mode_t, owner: uid_t = 1000, group: gid_t = 100) -> String? {
      var status = stat()
      (status.st_mode, status.st_uid, status.st_gid) = (S_IFDIR | mode, owner, group)
      return FileTrust.refusal(ofFolder: status, user: 1000)
    }
    #expect(refusal(0o755) == nil && refusal(0o755, owner: 0) == nil && refusal(0o1777, owner: 0) == nil)
    #expect(refusal(0o775, group: 1000) == nil, "a group of one's own")
    #expect(refusal(0o777)?.contains("everybody can write to") == true)
    #expect(refusal(0o775)?.contains("its group can write to") == true)
    #expect(refusal(0o755, owner: 1001)?.contains("belongs to user 1001") == true)
  }

  @Test("a file in a folder for everybody is refused by the folder's name, also by way of a link")
  func notMine() throws {
    let folder = TemporaryFolder()
    let root = try #require(realpath(folder.path, nil).map { String(cString: $0) })
    #expect(mkdir(root + "/open", 0o700) == 0 && mkdir(root + "/open/deep", 0o700) == 0)
    let path = try Fixtures.install("echo", as: "E", in: root + "/open/deep")
    #expect(symlink("open/deep/libE.so", root + "/libE.so") == 0)
    _ = try LibraryFile(reading: root + "/libE.so")
    chmod(root + "/open", 0o777)
    for path in [path, root + "/libE.so"] {
      let error = #expect(throws: LibraryError.self) { try LibraryFile(reading: path) }
      #expect(error?.kind == .notAllowed && error?.message.contains("lies in \(root)/open, which everybody can write to") == true)
    }
    chmod(root + "/open", 0o700)
    _ = try LibraryFile(reading: path)
    // Only root can make a link of somebody else's.
    guard lchown(root + "/libE.so", 1234, 1234) == 0 else { return }
    let error = #expect(throws: LibraryError.self) { try LibraryFile(reading: root + "/libE.so") }
    #expect(error?.message.contains("reached by the link \(root)/libE.so, which belongs to user 1234") == true)
  }

  @Test("a folder, a pipe and a file for everybody to write are refused by their path")
  func notAFile() throws {
    let folder = TemporaryFolder()
    #expect(mkfifo(folder.path + "/fifo", 0o600) == 0)
    let open = try folder.write("open.so", "x")
    chmod(open, 0o666)
    for path in [folder.path, folder.path + "/fifo", open] {
      let error = #expect(throws: LibraryError.self) { try LibraryFile(reading: path) }
      #expect(error?.kind == .notAllowed && error?.message.hasPrefix(path) == true)
    }
    #expect(throws: LibraryError.self) { try LibraryFile(reading: folder.path + "/none.so") }
  }

  @Test(
    "a library that cannot serve is refused without running it",
    arguments: [
      ("missing_symbol", [:], .noEntry, "persona_entry_v1"), ("no_about", [:], .noAbout, "PERSONA_ABOUT"),
      ("bad_about", ["TEXT": "bat-persona 1\nname = X\n"], .noAbout, "\"version\" is missing"),
      ("bad_about", ["TEXT": "bat-persona 1\nname = X\nversion = 1\nstate = x\n"], .noAbout, "state"),
      ("needs_absent_service", [:], .needs, "teleport/1"), ("own_swift_runtime", [:], .ownSwiftRuntime, "-static-stdlib"),
      ("two_abouts", [:], .noAbout, "2 about texts"),
    ] as [(String, [String: String], LibraryError.Kind, String)])
  func refused(fixture: String, defines: [String: String], kind: LibraryError.Kind, word: String) throws {
    let file = try LibraryFile(reading: Fixtures.build(fixture, defines: defines))
    let error = #expect(throws: LibraryError.self) { try file.check(services: services) }
    #expect(error?.kind == kind)
    #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
  }

  @Test("every cut of a library is refused as incomplete, which may pass")
  func cuts() throws {
    let folder = TemporaryFolder()
    let whole = try Data(contentsOf: URL(filePath: Fixtures.build("echo")))
    for percent in 1...99 {
      let path = try folder.write("libCUT.so", whole.prefix(whole.count * percent / 100))
      let error = #expect(throws: LibraryError.self, "\(percent) %") { try LibraryFile(reading: path).check(services: services) }
      #expect(error?.kind == .incomplete && error?.mayPass == true && error?.message.contains("incomplete") == true)
    }
  }

  @Test("a library that is not linked with nodelete is taken, with a warning")
  func noDelete() throws {
    let path = try Fixtures.build("echo", options: ["-Wl,--no-as-needed"])
    #expect(try LibraryFile(reading: path).check(services: services).warnings == [])
    let folder = TemporaryFolder()
    var bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
    // DT_FLAGS_1 becomes a tag that means nothing.
    let tag = withUnsafeBytes(of: UInt64(0x6fff_fffb).littleEndian) { Data($0) }
    let at = try #require(Data(bytes).range(of: tag)).lowerBound
    bytes.replaceSubrange(at..<(at + 8), with: withUnsafeBytes(of: UInt64(0x6000_0000).littleEndian) { Array($0) })
    let warnings = try LibraryFile(reading: folder.write("libECHO.so", bytes)).check(services: services).warnings
    #expect(warnings.count == 1 && warnings[0].contains("-z nodelete"))
  }

  @Test("a state that the new library cannot read refuses it; one that it can read does not")
  func schema() throws {
    let echo = try LibraryFile(reading: Fixtures.build("echo"))
    let modern = try LibraryFile(reading: Fixtures.build("newer_state"))
    let stateless = try LibraryFile(reading: Fixtures.build("replies_twice"))
    func kind(_ file: LibraryFile, _ writes: UInt32) -> LibraryError.Kind? {
      do throws(LibraryError) {
        _ = try file.check(services: services, running: About.StateSchema(writes: writes, reads: 1))
        return nil
      } catch { return error.kind }
    }
    #expect(kind(echo, 1) == nil)
    #expect(kind(echo, 9) == .schema)
    #expect(kind(modern, 9) == nil)
    #expect(kind(modern, 1) == .schema)
    #expect(kind(stateless, 1) == .schema)
    #expect(try stateless.check(services: services).about.state == nil)
  }
}

@Suite struct SettlingTests {
  private func look(_ size: UInt64, complete: Bool = true) -> Debounce.Look {
    var stamp = LibraryFile.Stamp(stat())
    stamp.size = size
    return Debounce.Look(stamp: stamp, isComplete: complete)
  }

  @Test("a file is taken when it is complete and nothing about it has changed for the time")
  func quiet() {
    var settling = Debounce(quietMilliseconds: 100)
    #expect(settling.observe(look(1), at: 1000) == .wait(milliseconds: 100))
    #expect(settling.observe(look(2), at: 1090) == .wait(milliseconds: 100))
    #expect(settling.observe(look(2), at: 1150) == .wait(milliseconds: 40))
    #expect(settling.observe(look(2), at: 1190) == .settled)
  }

  @Test("a file that is cut off or gone is never taken, however quiet")
  func unfinished() {
    var settling = Debounce(quietMilliseconds: 100)
    #expect(settling.observe(look(1, complete: false), at: 0) == .wait(milliseconds: 100))
    #expect(settling.observe(look(1, complete: false), at: 100) == .unfinished)
    #expect(settling.observe(nil, at: 110) == .wait(milliseconds: 100))
    #expect(settling.observe(nil, at: 300) == .unfinished)
    #expect(settling.observe(look(1), at: 310) == .wait(milliseconds: 100))
    #expect(settling.observe(look(1), at: 410) == .settled)
  }

  @Test("no waiting is asked for when the time is 0, and a clock that stands still does no harm")
  func zero() {
    var settling = Debounce(quietMilliseconds: 0)
    #expect(settling.observe(look(1), at: 5) == .settled)
    #expect(settling.observe(look(1), at: 5) == .settled)
  }

  @Test("a look at a real file tells a new inode and whether it is complete")
  func looks() throws {
    let folder = TemporaryFolder()
    let path = folder.path + "/libE.so"
    #expect(Debounce.Look(at: path) == nil)
    try Fixtures.install("echo", as: "E", in: folder.path)
    let first = try #require(Debounce.Look(at: path))
    #expect(first.isComplete)
    #expect(Debounce.Look(at: path) == first)
    try Fixtures.install("echo", as: "E", in: folder.path)
    #expect(Debounce.Look(at: path) != first)
    #expect(truncate(path, 1000) == 0)
    #expect(Debounce.Look(at: path)?.isComplete == false)
  }
}

@Suite struct LibraryStoreTests {
  private static func image(_ store: LibraryStore, _ fixture: String, _ defines: [String: String] = [:]) throws -> LibraryImage {
    try store.image(of: LibraryFile(reading: Fixtures.build(fixture, defines: defines)), services: services)
  }

  @Test("each image is a private copy of its own, with the content's hash")
  func copies() throws {
    let base = TemporaryFolder()
    let store = try LibraryStore(in: base.path + "/store")
    let one = try Self.image(store, "echo")
    let two = try Self.image(store, "echo")
    #expect(one.path != two.path && one.hash == two.hash)
    #expect(one.about.name == "ECHO")
    #expect(try one.originalPath == Fixtures.build("echo"))
    #expect(try Data(contentsOf: URL(filePath: one.path)) == Data(contentsOf: URL(filePath: one.originalPath)))
    for path in [base.path + "/store", store.folder, one.path] {
      var status = stat()
      #expect(stat(path, &status) == 0 && status.st_mode & 0o077 == 0, "\(path)")
    }
    store.remove()
    #expect(access(store.folder, F_OK) != 0)
  }

  @Test("the folder of a kernel that has died is removed by the next, that of a living one is not")
  func sweeps() throws {
    let base = TemporaryFolder()
    let living = try LibraryStore(in: base.path)
    let dead = base.path + "/libraries.abcdef"
    #expect(mkdir(dead, 0o700) == 0)
    try Data().write(to: URL(filePath: dead + "/ECHO-1.so"))
    let store = try LibraryStore(in: base.path)
    #expect(access(dead, F_OK) != 0)
    #expect(access(living.folder, F_OK) == 0)
    #expect(store.folder != living.folder)
  }

  @Test("a folder that others can write to is no place for copies")
  func notPrivate() throws {
    let base = TemporaryFolder()
    chmod(base.path, 0o777)
    #expect(throws: LibraryError.self) { try LibraryStore(in: base.path) }
  }

  @Test("two versions of one library are open side by side, each with its own code and entry")
  func opens() throws {
    let base = TemporaryFolder()
    let store = try LibraryStore(in: base.path)
    let one = try LoadedLibrary.open(Self.image(store, "echo"))
    let two = try LoadedLibrary.open(Self.image(store, "echo", ["VERSION": "2"]))
    #expect(one.entry != two.entry)
    #expect(String(cString: one.entry.pointee.about).contains("version = 1\n"))
    #expect(String(cString: two.entry.pointee.about).contains("version = 2\n"))
    #expect(one.vtable.receive != nil && one.vtable.start != nil && one.vtable.config_changed == nil)
  }

  @Test("of a table that an older persona.h made, only what is in it is used")
  func smallTable() throws {
    let base = TemporaryFolder()
    let library = try LoadedLibrary.open(Self.image(LibraryStore(in: base.path), "small_vtable"))
    #expect(library.vtable.destroy != nil && library.vtable.receive != nil)
    #expect(library.vtable.start == nil && library.vtable.save == nil && library.vtable.extension == nil)
  }

  @Test(
    "an entry that contradicts persona.h or the file is refused, and the message says in what",
    arguments: [
      ("wrong_major", "", .version, "version 99 of persona.h, this kernel speaks 1"), ("bad_magic", "", .entry, "PERSONA_MAGIC"),
      ("undefined_symbol", "", .link, "a_function_that_nobody_wrote"), ("bad_entry", "null_entry", .entry, "NULL"),
      ("bad_entry", "null_vtable", .entry, "vtable is NULL"), ("bad_entry", "null_create", .entry, "create is NULL"),
      ("bad_entry", "null_about", .entry, "about is NULL"), ("bad_entry", "other_about", .entry, "is not the about text"),
      ("bad_entry", "small_entry", .entry, "size is 16"), ("bad_entry", "no_receive", .entry, "no receive()"),
      ("bad_entry", "no_destroy", .entry, "no destroy()"), ("bad_entry", "small_vtable", .entry, "no receive()"),
    ] as [(String, String, LibraryError.Kind, String)])
  func refused(fixture: String, fault: String, kind: LibraryError.Kind, word: String) throws {
    let base = TemporaryFolder()
    let image = try Self.image(LibraryStore(in: base.path), fixture, fault.isEmpty ? [:] : ["FAULT": fault])
    let error = #expect(throws: LibraryError.self) { try LoadedLibrary.open(image) }
    #expect(error?.kind == kind)
    #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
  }

  @Test(
    "every fixture that only misbehaves at run time passes the checks before it",
    arguments: [
      "refuses_create", "hangs_in_start", "hangs_in_receive", "hangs_in_stop", "crashes_on_open", "crashes_in_create", "crashes_in_load",
      "replies_twice", "never_replies", "leaks_token", "calls_after_retirement", "unreadable_state", "refuses_load", "newer_state",
      "fails_health", "huge_state", "sends_in_start", "reloads_itself", "subscriber",
    ])
  func fixtures(fixture: String) throws {
    _ = try LibraryFile(reading: Fixtures.build(fixture)).check(services: services)
  }
}
