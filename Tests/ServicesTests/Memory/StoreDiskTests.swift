import Foundation
import Testing

@testable import Services

/// A disk of its own, which holds little. Making one takes a right that not every user has.
private final class SmallDisk {
  let path: String

  init?(megabytes: Int) {
    path = FileManager.default.temporaryDirectory.path + "/bat-disk-\(UUID().uuidString)"
    guard mkdir(path, 0o700) == 0 else { return nil }
    guard Self.run("mount", "-t", "tmpfs", "-o", "size=\(megabytes)m", "bat-test", path) else {
      rmdir(path)
      return nil
    }
  }

  deinit {
    _ = Self.run("umount", "--lazy", path)
    rmdir(path)
  }

  /// Leaves nothing free.
  func fill() {
    let file = open(path + "/junk", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    defer { close(file) }
    for size in [1 << 20, 4096] {
      let piece = [UInt8](repeating: 1, count: size)
      while write(file, piece, size) == size {}
    }
  }

  private static func run(_ words: String...) -> Bool {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = words
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }

  static let isPossible = SmallDisk(megabytes: 1) != nil
}

@Suite("The memory and its disk") struct StoreDiskTests {
  private func documents(_ batch: Int) -> [Document] {
    (0..<200).map { number in
      let words = (0..<200).map { "w\(batch)x\(number)y\($0 * 7919 % 1000)" }.joined(separator: " ")
      return Document(id: "\(batch)-\(number)", text: words, embedding: Embedding(model: "m", vector: [Float(batch), Float(number + 1)]))
    }
  }

  @Test(
    "when the disk is full, what is there is found, what would add is refused, and what takes out makes room",
    .enabled(if: SmallDisk.isPossible), arguments: ["delete", "forget", "drop", "replace"])
  func full(_ way: String) async throws {
    let disk = try #require(SmallDisk(megabytes: 40))
    let log = TemporaryStore.Log()
    let store = SQLiteStore(folder: disk.path + "/memory", log: { log.write($0) })
    defer { store.stop() }
    func perform<R>(_ request: StoreRequest<R>) async throws(MemoryError) -> R { try await store.perform(request, as: .persona("ROBIN")) }
    _ = try await perform(.create("c"))
    _ = try await perform(.replace("c", source: "/a.md", hash: "h", documents(0)))
    var refusal: MemoryError?
    for batch in 1...500 where refusal == nil {
      do throws(MemoryError) { _ = try await perform(.add("c", documents(batch))) } catch { refusal = error }
    }
    #expect(refusal?.kind == .diskFull && refusal?.message.contains("Make room on the disk") == true, "\(refusal as Any)")
    disk.fill()
    let before = try await perform(.count("c"))
    #expect(before >= 200 && before % 200 == 0)
    #expect(try await perform(.query("c", MemoryQuery(text: "w0x7y919"))).first?.document.id == "0-7")
    do throws(MemoryError) {
      _ = try await perform(.add("c", documents(900)))
      Issue.record("a full disk has room")
    } catch { #expect(error.kind == .diskFull, "\(error)") }
    switch way {
    case "delete":
      for batch in 0..<before / 200 {
        _ = try await perform(.delete("c", Selection(ids: (0..<200).map { "\(batch)-\($0)" })))
      }
    case "forget": #expect(try await perform(.forget(.source("/a.md"))) == 200)
    case "replace": _ = try await perform(.replace("c", source: "/a.md", hash: nil, []))
    default: _ = try await perform(.drop("c"))
    }
    // There is room again, though the junk is still there.
    _ = try await perform(.create("d"))
    _ = try await perform(.add("d", Array(documents(901).prefix(20))))
    #expect(try await perform(.query("d", MemoryQuery(text: "w901x3y919"))).first?.document.id == "901-3")
  }

  @Test("a folder that is removed while the memory is in use is noticed: nothing is said to be kept, and the log says so once")
  func removed() async throws {
    let store = TemporaryStore()
    try await store(.create("c"))
    try await store(.add("c", [Document(id: "a", text: "one")]))
    #expect(rename(store.folder, store.folder + ".away") == 0)
    for n in 0..<3 {
      let failure = await store.failure(.add("c", [Document(id: "\(n)", text: "two")]))
      #expect(failure?.kind == .storage && failure?.message.contains("has been removed or replaced while it was in use") == true)
    }
    #expect(store.log.text.split(separator: "\n").count == 1 && store.log.text.contains("removed or replaced"), "\(store.log.text)")
    #expect(try await store.ids(.query("c", MemoryQuery(text: "one"))) == ["a"])
    // Another file in its place is not the one that was opened.
    #expect(mkdir(store.folder, 0o700) == 0 && FileManager.default.createFile(atPath: store.folder + "/memory.sqlite", contents: nil))
    #expect(await store.failure(.delete("c", Selection(ids: ["a"])))?.kind == .storage)
    try FileManager.default.removeItem(atPath: store.folder)
    #expect(rename(store.folder + ".away", store.folder) == 0)
    try await store(.add("c", [Document(id: "b", text: "two")]))
    store.reopen()
    #expect(try await store(.count("c")) == 2)
  }

  @Test(
    "a database that is cut off while it is in use ends nothing: every operation has a result or an error", arguments: [0, 4096, 50_000])
  func cutDatabase(_ length: Int) async throws {
    let store = TemporaryStore()
    try await store(.create("c"))
    for batch in 0..<4 { try await store(.add("c", documents(batch))) }
    store.reopen()
    _ = try await store(.count("c"))
    #expect(truncate(store.folder + "/memory.sqlite", length) == 0 && truncate(store.folder + "/memory.sqlite-wal", length / 2) == 0)
    let query = MemoryQuery(text: "w1x7y919", embedding: Embedding(model: "m", vector: [1, 8]))
    for _ in 0..<2 {
      _ = await store.failure(.query("c", query))
      _ = await store.failure(.get("c", Selection(withVectors: true)))
      _ = await store.failure(.add("c", documents(900)))
      _ = await store.failure(.forget(.persona("ROBIN")))
      store.reopen()
    }
  }

  @Test("a mapped file that is cut off while it is read is zeros from there on, and says so; what is written into it harms nobody")
  func cutOff() throws {
    let folder = FileManager.default.temporaryDirectory.path + "/bat-mapped-\(UUID().uuidString)"
    #expect(mkdir(folder, 0o700) == 0)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let file = try VectorFile(folder + "/vectors.index", store: 1, collection: 1, dimension: 32)
    try file.reserve(3000)
    for seq in 1...2000 { #expect([Float](repeating: Float(seq), count: 32).withUnsafeBytes { file.append(Int64(seq), $0) }) }
    #expect(file.isWhole && file.slot(of: 1500) == 1499)
    // In the middle of a search nobody asks whether it is whole.
    #expect(truncate(folder + "/vectors.index", 4096) == 0)
    #expect(file.slot(of: 1500) == nil && file.codes(1700).pointee == 0)
    file.remove(3)
    _ = [Float](repeating: 1, count: 32).withUnsafeBytes { file.append(5000, $0) }
    #expect(!file.isWhole)
    // Begun anew it is whole, and guarded again.
    try file.begin(store: 1, collection: 1)
    #expect(file.isWhole && [Float](repeating: 1, count: 32).withUnsafeBytes { file.append(1, $0) })
    // What no store of ours writes.
    file.seqs(0).pointee = .min
    #expect(file.last == .max && file.slot(of: 1) == nil)

    let head = #"{"a": {"dtype": "U8", "shape": [20000], "data_offsets": [0, 20000]}}"#
    let path = try SafetensorsTests.write(head, bytes: [UInt8](repeating: 7, count: 20_000))
    let table = try Safetensors(path)
    #expect(truncate(path, 100) == 0 && table.isWhole)
    #expect(table.withBytes(of: try #require(table.tensors["a"])) { $0.last } == 0 && !table.isWhole)
  }
}
