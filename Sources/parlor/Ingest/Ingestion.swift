import Client
import Protocol
import Workbench

/// Brings a collection of the memory up to date with some files: reads in what is new or has changed, removes what is gone.
///
/// A long file is sent in parts, and its hash with the last one, so that a file that was broken off is read again the next time.
/// So it can be stopped at any moment. For one thread.
final class Ingestion {
  struct Count: Equatable {
    var new = 0
    var changed = 0
    var unchanged = 0
    var removed = 0
    var refused = 0
    var passages = 0

    var sentence: String {
      let files = new + changed + unchanged + removed + refused
      var parts: [String] = []
      for (count, word) in [(new, "new"), (changed, "changed"), (unchanged, "unchanged"), (removed, "gone"), (refused, "left out")]
      where count > 0 {
        parts.append("\(count) \(word)")
      }
      let text = files == 1 ? "1 file" : "\(files) files"
      return parts.isEmpty ? "no files" : "\(text) (\(parts.joined(separator: ", "))), \(passages) passages read in"
    }
  }

  /// Part of the hash, since another way to divide files makes other passages of the same bytes.
  private static let version = 2
  /// Passages in one message.
  private static let part = 100

  private let connection: KernelConnection
  private let collection: String
  /// Absolute.
  private let paths: [String]
  private let bar: ProgressBar
  /// The first note of the memory about its vectors.
  private(set) var note: String?

  init(_ connection: KernelConnection, collection: String, paths: [String], bar: ProgressBar) {
    self.connection = connection
    self.collection = collection
    self.paths = paths
    self.bar = bar
  }

  private func call<M: KernelMethod>(_ method: M) throws(CLIError) -> M.Reply {
    do throws(ClientError) { return try connection.call(method) } catch { throw CLIError(error) }
  }

  /// Makes the collection if it is not there.
  func open(isPrivate: Bool) throws(CLIError) {
    _ = try call(MemoryMethods.Create(collection: collection, readers: isPrivate ? nil : .everyone, if_missing: true))
  }

  /// One round over all files.
  ///
  /// - Parameter onRefused: told of each file that cannot be read in.
  func run(onRefused: (_ path: String, _ why: String) throws(CLIError) -> Void) throws(CLIError) -> (Count, folders: [String]) {
    var count = Count()
    let stored = try stored()
    var tree = SourceTree(paths)
    let gone = tree.settle(stored.keys)
    // A path that does not exist, and of which the memory has nothing, is probably a typing error.
    let unknown = tree.missing.filter { path in !stored.keys.contains { $0 == path || $0.hasPrefix(path + "/") } }
    for (path, why) in tree.troubles + unknown.map({ ($0, "there is no such file or folder") }) {
      count.refused += 1
      try onRefused(path, why)
    }
    for path in gone {
      _ = try call(MemoryMethods.Replace(collection: collection, source: path, documents: []))
      count.removed += 1
    }
    for (index, path) in tree.files.enumerated() {
      bar.show(index, of: tree.files.count, path)
      do throws(Refusal) { try take(path, stored[path], &count) } catch {
        switch error {
        case .stop(let error): throw error
        case .file(let why):
          count.refused += 1
          try onRefused(path, why)
        }
      }
      if Signals.takeInterrupt() { throw CLIError(.interrupted, "") }
    }
    bar.hide()
    return (count, tree.folders)
  }

  /// The files that the memory has, with their hashes. A hash is empty if the file was not read in completely.
  private func stored() throws(CLIError) -> [String: String] {
    var stored: [String: String] = [:]
    for path in paths {
      for file in try call(MemoryMethods.Sources(collection: collection, under: path)).sources {
        guard file.source == path || file.source.hasPrefix(path == "/" ? "/" : path + "/") else { continue }
        stored[file.source] = file.hash ?? ""
      }
    }
    return stored
  }

  private enum Refusal: Error {
    case file(String)
    case stop(CLIError)
  }

  /// Reads a file into the memory, unless it has the hash that is stored.
  private func take(_ path: String, _ stored: String?, _ count: inout Count) throws(Refusal) {
    let hash: String
    let chunks: [Chunk]
    do throws(SourceFile.Refused) {
      let (bytes, kind) = try read(path)
      hash = "\(Self.version):\(SHA256.hash(bytes))"
      if stored == hash {
        count.unchanged += 1
        return
      }
      chunks = try SourceFile(path: path, kind: kind).chunks(of: kind == .pdf ? try PDFText.read(path) : bytes)
    } catch {
      throw .file(error.why)
    }
    do throws(CLIError) { try put(path, chunks, hash: hash) } catch {
      // The end of the kernel, Ctrl-C and missing rights concern every other file, too.
      throw error.exit == .failed ? .file(error.message) : .stop(error)
    }
    if stored == nil { count.new += 1 } else { count.changed += 1 }
    count.passages += chunks.count
  }

  private func read(_ path: String) throws(SourceFile.Refused) -> ([UInt8], SourceFile.Kind) {
    let bytes = try SourceFile.read(path)
    guard let kind = SourceFile.kind(of: path) ?? (SourceFile.isText(bytes) ? .text : nil) else {
      throw SourceFile.Refused(why: "it is neither text nor of a kind that is known")
    }
    if kind != .pdf, !SourceFile.isText(bytes) { throw SourceFile.Refused(why: "it is not text in UTF-8") }
    return (bytes, kind)
  }

  private func put(_ path: String, _ chunks: [Chunk], hash: String) throws(CLIError) {
    let parts = max(1, (chunks.count + Self.part - 1) / Self.part)
    for part in 0..<parts {
      let range = part * Self.part..<min(chunks.count, (part + 1) * Self.part)
      let documents = range.map { index in
        Memory.NewDocument(
          id: "\(path)#\(index + 1)", text: chunks[index].text, metadata: ["file": .string(path), "part": .int(index + 1)],
          place: chunks[index].place.isEmpty ? nil : chunks[index].place)
      }
      let answer = try call(
        MemoryMethods.Replace(
          collection: collection, source: path, hash: part == parts - 1 ? hash : nil, documents: documents, first: part == 0))
      if note == nil { note = answer.note }
      bar.add(range.count)
    }
  }
}

/// Shows the progress on the last line of a terminal; nothing elsewhere.
final class ProgressBar {
  private let isShown: Bool
  private var last = ContinuousClock.now - .seconds(1)
  private var passages = 0
  private var line = (done: 0, all: 0, path: "")
  private var isThere = false

  init() { isShown = Terminal.has(Output.diagnostics.descriptor) && !Terminal.isDumb }

  func show(_ done: Int, of all: Int, _ path: String) {
    line = (done, all, path)
    draw()
  }

  func add(_ count: Int) {
    passages += count
    draw()
  }

  private func draw() {
    let now = ContinuousClock.now
    guard isShown, line.all > 0, now - last > .milliseconds(50) else { return }
    last = now
    isThere = true
    let width = Terminal.size(Output.diagnostics.descriptor).columns - 1
    let filled = 20 * line.done / line.all
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 20 - filled)
    let text = "\(bar) \(line.done)/\(line.all) files, \(passages) passages  \(line.path.split(separator: "/").last.map(String.init) ?? "")"
    try? Output.diagnostics.write("\r\u{1B}[K" + text.oneLine(width))
  }

  /// Clears the line for other output.
  func hide() {
    if isThere { try? Output.diagnostics.write("\r\u{1B}[K") }
    isThere = false
    last = .now - .seconds(1)
  }
}
