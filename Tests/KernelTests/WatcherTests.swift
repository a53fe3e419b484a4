import Foundation
import TestSupport
import Testing

@testable import Kernel

/// inotify queues an event before the call that caused it returns, so nothing here has to wait.
@Suite struct WatcherTests {
  private typealias Change = LibraryWatcher.Change
  private let folder = TemporaryFolder()
  private var libraries: String { folder.path + "/plugins" }

  private func make() throws -> LibraryWatcher {
    #expect(mkdir(libraries, 0o700) == 0)
    let watcher = try LibraryWatcher()
    try watcher.watch(folder: libraries)
    #expect(watcher.readEvents() == [])
    return watcher
  }

  private func write(_ name: String, _ text: String = "x") throws {
    let file = try #require(fopen("\(libraries)/\(name)", "w"))
    fputs(text, file)
    fclose(file)
  }

  private func isReadable(_ watcher: LibraryWatcher) -> Bool {
    var entry = pollfd(fd: watcher.descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, 0) == 1
  }

  @Test("an atomic rename, a write in place and a removal are each told once, by path")
  func changes() throws {
    let watcher = try make()
    try write("libA.so")
    #expect(isReadable(watcher))
    #expect(watcher.readEvents() == [.file(libraries + "/libA.so")])
    #expect(!isReadable(watcher))

    try folder.write("new", "y")
    #expect(rename(folder.path + "/new", libraries + "/libA.so") == 0)
    #expect(watcher.readEvents() == [.file(libraries + "/libA.so")])

    try write("libA.so", "in place")
    try write("libB.so")
    #expect(watcher.readEvents() == [.file(libraries + "/libA.so"), .file(libraries + "/libB.so")])

    #expect(unlink(libraries + "/libA.so") == 0)
    #expect(watcher.readEvents() == [.file(libraries + "/libA.so")])

    #expect(symlink("libB.so", libraries + "/libC.so") == 0)
    #expect(watcher.readEvents() == [.file(libraries + "/libC.so")])
  }

  @Test("a folder that is removed and made again is watched again, and all is to be looked at")
  func remade() throws {
    let watcher = try make()
    #expect(rmdir(libraries) == 0)
    #expect(watcher.readEvents() == [])
    #expect(mkdir(libraries, 0o700) == 0)
    #expect(watcher.readEvents() == [.everything])
    try write("libA.so")
    #expect(watcher.readEvents() == [.file(libraries + "/libA.so")])
  }

  @Test("a folder that was removed and made before anybody looked is watched again")
  func remadeAtOnce() throws {
    let watcher = try make()
    #expect(rmdir(libraries) == 0)
    #expect(mkdir(libraries, 0o700) == 0)
    try write("libA.so")
    #expect(watcher.readEvents() == [.everything])
    try write("libB.so")
    #expect(watcher.readEvents() == [.file(libraries + "/libB.so")])
  }

  @Test("a folder that is replaced by a rename is watched in its new form, and no more in its old")
  func replaced() throws {
    let watcher = try make()
    #expect(mkdir(libraries + ".new", 0o700) == 0)
    #expect(rename(libraries, libraries + ".old") == 0)
    #expect(rename(libraries + ".new", libraries) == 0)
    #expect(watcher.readEvents() == [.everything])
    try Data().write(to: URL(filePath: libraries + ".old/libA.so"))
    #expect(watcher.readEvents() == [])
    try write("libB.so")
    #expect(watcher.readEvents() == [.file(libraries + "/libB.so")])
  }

  @Test("a folder is waited for although several above it are missing")
  func missing() throws {
    let deep = folder.path + "/a/b/c"
    let watcher = try LibraryWatcher()
    try watcher.watch(folder: deep)
    #expect(mkdir(folder.path + "/a", 0o700) == 0)
    #expect(watcher.readEvents() == [])
    try FileManager.default.createDirectory(atPath: deep, withIntermediateDirectories: true)
    #expect(watcher.readEvents() == [.everything])
    try Data().write(to: URL(filePath: deep + "/libA.so"))
    #expect(watcher.readEvents() == [.file(deep + "/libA.so")])
    // What is above it is no business of ours any more.
    try folder.write("noise", "x")
    #expect(!isReadable(watcher))
  }

  @Test("a folder by two paths is told by both, and an ignored one by none")
  func twoPaths() throws {
    let watcher = try make()
    #expect(symlink("plugins", folder.path + "/link") == 0)
    try watcher.watch(folder: folder.path + "/link")
    try write("libA.so")
    let changes = watcher.readEvents()
    #expect(changes.count == 2 && changes.contains(.file(libraries + "/libA.so")) && changes.contains(.file(folder.path + "/link/libA.so")))
    watcher.ignore(folder: libraries)
    try write("libA.so")
    #expect(watcher.readEvents() == [.file(folder.path + "/link/libA.so")])
    watcher.ignore(folder: folder.path + "/link")
    try write("libA.so")
    #expect(watcher.readEvents() == [])
  }

  @Test("a folder behind links is followed when one of them leads elsewhere")
  func links() throws {
    for name in ["one", "two"] { #expect(mkdir(folder.path + "/" + name, 0o700) == 0) }
    #expect(symlink("one", folder.path + "/inner") == 0 && symlink("inner", folder.path + "/outer") == 0)
    let outer = folder.path + "/outer"
    let watcher = try LibraryWatcher()
    try watcher.watch(folder: outer)
    #expect(symlink("two", folder.path + "/new") == 0 && rename(folder.path + "/new", folder.path + "/inner") == 0)
    #expect(watcher.readEvents() == [.everything])
    try folder.write("two/libA.so", "x")
    #expect(watcher.readEvents() == [.file(outer + "/libA.so")])
    try folder.write("one/libA.so", "x")
    #expect(watcher.readEvents() == [])
    #expect(unlink(outer) == 0)
    #expect(watcher.readEvents() == [])
    #expect(symlink("one", outer) == 0)
    #expect(watcher.readEvents() == [.everything])
  }

  @Test("a trail names each link on the way, and where it ends; a circle ends")
  func trail() throws {
    let root = try #require(realpath(folder.path, nil).map { String(cString: $0) })
    #expect(mkdir(root + "/real", 0o700) == 0 && symlink("real", root + "/link") == 0)
    #expect(symlink("../link/./libB.so", root + "/real/libA.so") == 0)
    let trail = LinkTrail(of: root + "/link//libA.so")
    #expect(trail.links.map(\.path) == [root + "/link", root + "/real/libA.so", root + "/link"])
    #expect(trail.end.path == root + "/real/libB.so")
    #expect(symlink("loop", root + "/loop") == 0)
    #expect(LinkTrail(of: root + "/loop").links.count == 40)
  }

  @Test("an overflow of the queue asks to look at everything, and the watch goes on")
  func overflow() throws {
    let watcher = try make()
    let limit = try #require(
      Int(String(contentsOfFile: "/proc/sys/fs/inotify/max_queued_events", encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines))
    )
    try write("libA.so")
    try write("libB.so")
    // Equal events that follow each other are one: rename to and fro makes different ones.
    for _ in 0...(limit / 4) {
      #expect(rename(libraries + "/libA.so", libraries + "/libC.so") == 0)
      #expect(rename(libraries + "/libC.so", libraries + "/libA.so") == 0)
    }
    #expect(watcher.readEvents().contains(.everything))
    #expect(watcher.readEvents() == [])
    try write("libD.so")
    #expect(watcher.readEvents() == [.file(libraries + "/libD.so")])
  }
}
