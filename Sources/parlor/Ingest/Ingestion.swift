import Client
import Glibc
import Passages
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
    /// Gone with the whole of their folder, and kept.
    var kept = 0
    var refused = 0
    var passages = 0

    var sentence: String {
      let files = new + changed + unchanged + removed + kept + refused
      var parts: [String] = []
      for (count, word) in [
        (new, "new"), (changed, "changed"), (unchanged, "unchanged"), (removed, "gone"), (kept, "gone, but kept"), (refused, "left out"),
      ] where count > 0 {
        parts.append("\(count) \(word)")
      }
      let text = files == 1 ? "1 file" : "\(files) files"
      return parts.isEmpty ? "no files" : "\(text) (\(parts.joined(separator: ", "))), \(passages) passages read in"
    }
  }

  /// What is wanted.
  struct Plan {
    var collection: String
    /// Absolute.
    var paths: [FilePath]
    /// Whether a new collection is for the user alone.
    var isPrivate = false
    /// Whether a whole folder that is gone is believed to be gone.
    var trustsGone = false
    /// Of files that do not say in which they are.
    var encoding: String?
  }

  /// What a round says beside its counts.
  typealias Tell = (_ sentence: String) throws(CLIError) -> Void

  /// Part of the hash, since another way to divide files makes other passages of the same bytes.
  private static let version = 2
  /// Passages in one message.
  private static let part = 100

  private let link: KernelLink
  private let plan: Plan
  private let bar: ProgressBar
  /// What earlier rounds have found in files that have not been touched since.
  private var seen: [FilePath: (stamp: SourceFile.Stamp, hash: String)] = [:]
  /// The first note of the memory about its vectors.
  private(set) var note: String?

  init(_ link: KernelLink, _ plan: Plan, bar: ProgressBar) {
    self.link = link
    self.plan = plan
    self.bar = bar
  }

  private func call<M: KernelMethod>(_ method: M) throws(CLIError) -> M.Reply {
    guard let connection = link.connection else { throw CLIError(ClientError.closed(path: link.path)) }
    do throws(ClientError) { return try connection.call(method) } catch { throw CLIError(error) }
  }

  /// Makes the collection if it is not there.
  func open() throws(CLIError) {
    _ = try call(
      MemoryMethods.Create(collection: plan.collection, readers: plan.isPrivate ? nil : .everyone, if_missing: true))
  }

  /// One round over all files.
  func run(_ tell: Tell) throws(CLIError) -> (Count, folders: [FilePath]) {
    var count = Count()
    let stored = try stored()
    var tree = SourceTree(plan.paths)
    let settlement = tree.settle(stored.keys, trusting: plan.trustsGone)
    // A path that does not exist, and of which the memory has nothing, is probably a typing error.
    let unknown = tree.missing.filter { path in !stored.keys.contains { $0 == path || $0.isBelow(path) } }
    for (path, why) in tree.troubles + unknown.map({ ($0, "there is no such file or folder") }) { try refuse(path, why, &count, tell) }
    for (folder, files) in settlement.doubtful {
      count.kept += files
      try tell(
        "\(files) files of \(folder.text.oneLine(300)) are gone all at once, and the memory keeps what it has of them: perhaps the folder is only away, as one that is not mounted. --gone takes them out"
      )
    }
    if let sentence = tree.passedOver.sentence { try tell(sentence.oneLine(300)) }
    for path in settlement.gone {
      _ = try call(MemoryMethods.Replace(collection: plan.collection, source: path.text, documents: []))
      count.removed += 1
    }
    for (index, path) in tree.files.enumerated() {
      bar.show(index, of: tree.files.count, path.text)
      do throws(Refusal) { try take(path, stored[path], &count, tell) } catch {
        switch error {
        case .stop(let error): throw error
        case .file(let why): try refuse(path, why, &count, tell)
        }
      }
      if Signals.takeInterrupt() { throw CLIError(.interrupted, "") }
    }
    bar.hide()
    return (count, tree.folders)
  }

  private func refuse(_ path: FilePath, _ why: String, _ count: inout Count, _ tell: Tell) throws(CLIError) {
    count.refused += 1
    try tell("\(path.text.oneLine(300)) is left out: \(why.oneLine(300))")
  }

  /// The files that the memory has, with their hashes. A hash is empty if the file was not read in completely.
  private func stored() throws(CLIError) -> [FilePath: String] {
    var stored: [FilePath: String] = [:]
    for path in plan.paths {
      var after: String?
      repeat {
        let page = try call(MemoryMethods.Sources(collection: plan.collection, under: path.text, after: after))
        for file in page.sources {
          let source = FilePath(text: file.source)
          if source == path || source.isBelow(path) { stored[source] = file.hash ?? "" }
        }
        after = page.next
      } while after != nil
    }
    return stored
  }

  private enum Refusal: Error {
    case file(String)
    case stop(CLIError)
  }

  /// Reads a file into the memory, unless it has the hash that is stored.
  private func take(_ path: FilePath, _ stored: String?, _ count: inout Count, _ tell: Tell) throws(Refusal) {
    let stamp = SourceFile.Stamp(path)
    if let seen = seen[path], seen.stamp == stamp, seen.hash == stored {
      count.unchanged += 1
      return
    }
    let (hash, content) = try read(path, stored)
    guard let content else {
      count.unchanged += 1
      if let stamp, stamp.isOld { seen[path] = (stamp, hash) }
      return
    }
    do throws(CLIError) {
      if let guessed = content.guessed { try tell("\(path.text.oneLine(300)) does not say its encoding: it is read as \(guessed)") }
      try put(path, content.passages, hash: hash)
    } catch {
      // The end of the kernel, Ctrl-C and missing rights concern every other file, too.
      throw error.exit == .failed ? .file(error.message) : .stop(error)
    }
    if let stamp, stamp.isOld { seen[path] = (stamp, hash) }
    if stored == nil { count.new += 1 } else { count.changed += 1 }
    count.passages += content.passages.count
  }

  /// The hash of a file, and what is in it unless that is the hash that is stored.
  private func read(_ path: FilePath, _ stored: String?) throws(Refusal) -> (String, SourceFile.Content?) {
    do throws(SourceFile.Refused) {
      let bytes = try SourceFile.read(path)
      let hash = (["\(Self.version)"] + (plan.encoding.map { [$0] } ?? []) + [SHA256.hash(bytes)]).joined(separator: ":")
      if stored == hash { return (hash, nil) }
      let kind = SourceFile.kind(of: path)
      do throws(SourceFile.Refused) {
        return (hash, try SourceFile(kind ?? .text).content(of: bytes, encoding: plan.encoding))
      } catch {
        throw kind == nil ? SourceFile.Refused(why: "it is neither text nor of a kind that is known") : error
      }
    } catch {
      // What was read in of an earlier state is not in the file any more.
      if error.isWithoutText, stored != nil {
        do throws(CLIError) { _ = try call(MemoryMethods.Replace(collection: plan.collection, source: path.text, documents: [])) } catch {
          throw .stop(error)
        }
      }
      throw .file(error.why)
    }
  }

  private func put(_ path: FilePath, _ chunks: [Chunk], hash: String) throws(CLIError) {
    let source = path.text
    // An id has a limit, and a path has none that is as small.
    let name = source.utf8.count <= 480 ? source : "sha256:\(SHA256.hash(path.bytes))"
    let parts = max(1, (chunks.count + Self.part - 1) / Self.part)
    for part in 0..<parts {
      let range = part * Self.part..<min(chunks.count, (part + 1) * Self.part)
      let documents = range.map { index in
        Memory.NewDocument(
          id: "\(name)#\(index + 1)", text: chunks[index].text, metadata: ["file": .string(source), "part": .int(index + 1)],
          place: chunks[index].place.isEmpty ? nil : chunks[index].place)
      }
      let answer = try call(
        MemoryMethods.Replace(
          collection: plan.collection, source: source, hash: part == parts - 1 ? hash : nil, documents: documents, first: part == 0))
      if note == nil { note = answer.note }
      bar.add(range.count)
    }
  }
}
