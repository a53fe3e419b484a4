import Glibc
import Kernel
import Wire

/// Makes a collection of the memory hold what some files hold: what is new or has changed is read in, what has gone is taken out.
///
/// A file goes in as a whole or, if it is long, in parts, the last of which brings the hash: one that was broken off is read
/// again the next time. So it can be stopped at any moment. One thread.
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

  /// Another way to divide files makes other passages of the same bytes: part of the hash.
  private static let version = 1
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

  private func ask(_ operation: String, _ arguments: [String: JSON]) throws(CLIError) -> JSON {
    var arguments = arguments
    arguments["collection"] = .string(collection)
    return try connection.ask(Request(method: "memory.\(operation)", payload: .object(arguments)))
  }

  /// Makes the collection if it is not there.
  func open(isPrivate: Bool) throws(CLIError) {
    var arguments: [String: JSON] = ["if_missing": true]
    if !isPrivate { arguments["readers"] = "everyone" }
    _ = try ask("create", arguments)
  }

  /// One round over all files.
  ///
  /// - Parameter onRefused: told of each file that cannot be read in.
  func run(onRefused: (_ path: String, _ why: String) throws(CLIError) -> Void) throws(CLIError) -> (Count, folders: [String]) {
    var count = Count()
    var stored: [String: String] = [:]
    for path in paths {
      for source in try ask("sources", ["under": .string(path)])["sources"]?.array ?? [] {
        guard let name = source["source"]?.string, name == path || name.hasPrefix(path == "/" ? "/" : path + "/") else { continue }
        stored[name] = .some(source["hash"]?.string ?? "")
      }
    }
    let tree = SourceTree(paths)
    for (path, why) in tree.troubles {
      count.refused += 1
      try onRefused(path, why)
    }
    for path in stored.keys.sorted() where !tree.files.contains(path) && !isKept(path, tree) {
      _ = try ask("replace", ["source": .string(path), "documents": []])
      count.removed += 1
    }
    for (index, path) in tree.files.enumerated() {
      bar.show(index, of: tree.files.count, path)
      do throws(Refusal) {
        let (bytes, kind) = try read(path)
        let hash = "\(Self.version):\(SHA256.hash(bytes))"
        if stored[path] == hash {
          count.unchanged += 1
          continue
        }
        let chunks = SourceFile(path: path, kind: kind).chunks(of: kind == .pdf ? try pdf(path) : bytes)
        do throws(CLIError) { try put(path, chunks, hash: hash) } catch {
          // Of the kernel's end, of Ctrl-C and of rights every other file would say the same.
          guard error.exit == .failed else { throw Refusal.stop(error) }
          throw Refusal.file(error.message)
        }
        if stored[path] == nil { count.new += 1 } else { count.changed += 1 }
        count.passages += chunks.count
      } catch {
        switch error {
        case .stop(let trouble): throw trouble
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

  /// Of a folder that cannot be read nothing is known: what it held stays.
  private func isKept(_ path: String, _ tree: SourceTree) -> Bool {
    tree.troubles.contains { path.hasPrefix($0.path + "/") || path == $0.path }
  }

  private enum Refusal: Error {
    case file(String)
    case stop(CLIError)
  }

  private func read(_ path: String) throws(Refusal) -> ([UInt8], SourceFile.Kind) {
    var status = stat()
    if stat(path, &status) == 0, status.st_size > SourceFile.longest {
      throw .file("it has \(status.st_size >> 20) MiB, and \(SourceFile.longest >> 20) are the limit")
    }
    let bytes: [UInt8]
    do throws(FileError) { bytes = try readBytes(path) } catch { throw .file(error.message) }
    guard let kind = SourceFile.kind(of: path) ?? (SourceFile.isText(bytes) ? .text : nil) else {
      throw .file("it is neither text nor of a kind that is known")
    }
    if kind != .pdf, !SourceFile.isText(bytes) { throw .file("it is not text in UTF-8") }
    return (bytes, kind)
  }

  private func pdf(_ path: String) throws(Refusal) -> [UInt8] {
    do throws(PDFText.Failed) { return try PDFText.read(path) } catch { throw .file(error.why) }
  }

  private func put(_ path: String, _ chunks: [Chunk], hash: String) throws(CLIError) {
    let parts = max(1, (chunks.count + Self.part - 1) / Self.part)
    for part in 0..<parts {
      let range = part * Self.part..<min(chunks.count, (part + 1) * Self.part)
      var arguments: [String: JSON] = ["source": .string(path), "first": .bool(part == 0)]
      arguments["documents"] = .array(
        range.map { index in
          let chunk = chunks[index]
          var document: [String: JSON] = [
            "id": .string("\(path)#\(index + 1)"), "text": .string(chunk.text),
            "metadata": ["file": .string(path), "part": .int(index + 1)],
          ]
          if !chunk.place.isEmpty { document["place"] = .string(chunk.place) }
          return .object(document)
        })
      if part == parts - 1 { arguments["hash"] = .string(hash) }
      let answer = try ask("replace", arguments)
      if note == nil { note = answer["note"]?.string }
      bar.add(range.count)
    }
  }
}

/// How far it is, on the last line of a terminal; nothing elsewhere.
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

  /// Gives the line back to others.
  func hide() {
    if isThere { try? Output.diagnostics.write("\r\u{1B}[K") }
    isThere = false
    last = .now - .seconds(1)
  }
}
