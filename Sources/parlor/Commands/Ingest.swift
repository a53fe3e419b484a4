import Client
import Glibc
import System
import Workbench

/// `parlor ingest`: files into the memory.
struct IngestCommand: Command {
  let name = "ingest"
  let usage = "parlor ingest PATH… --collection NAME [--private] [--watch]"
  let summary = "read files into the memory, so that personas can cite them"
  let help = """
    Reads text, Markdown, HTML, PDF (by pdftotext) and source code into a collection of the memory, in passages that keep
    their headings. A folder stands for the files in it; hidden ones, and those of unknown kinds, are passed over.
    Done again, only what has changed is read, and what has gone is taken out. Ctrl-C stops at once and loses nothing:
    the next time goes on from there.

      --collection NAME   where to; made if it is not there, for every persona to read
      --private           a new collection is for the user alone, until it is shared (`parlor memory share`)
      --watch             stay, and read in what changes, until Ctrl-C
    """
  let flags: Set = ["--private", "--watch"]
  let values: Set = ["--collection"]
  let operands = 1...Int.max

  func run(_ arguments: Arguments) throws -> ExitCode {
    guard let collection = arguments.value("--collection") else {
      throw CLIError(.usage, "say which collection: `parlor ingest PATH… --collection NAME`")
    }
    if arguments.operands.contains("") { throw CLIError(.failed, "a path is empty; name a file or a folder, \".\" for this one") }
    let paths = arguments.operands.map(SourceTree.absolute)
    let connection = try arguments.connect()
    let bar = ProgressBar()
    let ingestion = Ingestion(connection, collection: collection, paths: paths, bar: bar)
    do {
      try ingestion.open(isPrivate: arguments.has("--private"))
      return try IngestLoop(ingestion, connection, bar: bar, stays: arguments.has("--watch")).run()
    } catch {
      bar.hide()
      if CLIError(error).exit == .interrupted {
        try Output.diagnostics.line("parlor: stopped; what was read in stays, and the next `parlor ingest` goes on from there")
      }
      throw error
    }
  }
}

/// Does one round, or a round whenever files change. For one thread.
private final class IngestLoop {
  private let ingestion: Ingestion
  private let connection: KernelConnection
  private let bar: ProgressBar
  private let stays: Bool
  private var told: Set<String> = []

  init(_ ingestion: Ingestion, _ connection: KernelConnection, bar: ProgressBar, stays: Bool) {
    self.ingestion = ingestion
    self.connection = connection
    self.bar = bar
    self.stays = stays
  }

  func run() throws -> ExitCode {
    var watcher: LibraryWatcher?
    if stays { watcher = try LibraryWatcher() }
    var watched: Set<String> = []
    var isFirst = true
    while true {
      let (count, folders) = try ingestion.run { (path, why) throws(CLIError) in
        // Report the same trouble once.
        guard told.insert(path + why).inserted else { return }
        bar.hide()
        try Output.diagnostics.line("parlor: \(path.oneLine(300)) is left out: \(why.oneLine(300))")
      }
      if isFirst || count.new + count.changed + count.removed > 0 {
        try Output.answer.line(count.sentence)
        if isFirst, let note = ingestion.note { try Output.diagnostics.line("parlor: \(note.oneLine(400))") }
      }
      guard let watcher else { return count.refused > 0 ? .failed : .ok }
      let isNew = Set(folders) != watched
      for folder in Set(folders).subtracting(watched) { try watcher.watch(folder: folder) }
      for folder in watched.subtracting(folders) { watcher.ignore(folder: folder) }
      watched = Set(folders)
      if isFirst { try Output.answer.line("watching \(folders.count) folders; Ctrl-C ends that") }
      isFirst = false
      // Files that were put into a new folder before it was watched have caused no event: look once more.
      if isNew { continue }
      try wait(watcher)
    }
  }

  /// Waits until something has changed and then nothing more for a moment.
  private func wait(_ watcher: LibraryWatcher) throws {
    var hasChanged = false
    while true {
      let ready = waitForInput([watcher.descriptor, connection.descriptor, Signals.descriptor], for: hasChanged ? .milliseconds(200) : nil)
      if Signals.takeInterrupt() { throw CLIError(.interrupted, "") }
      if ready.contains(connection.descriptor) { _ = try connection.advance() }
      if ready.contains(watcher.descriptor) {
        for case .failed(let error) in watcher.readEvents() { throw CLIError(.failed, error.message) }
        hasChanged = true
      } else if hasChanged {
        return
      }
    }
  }
}
