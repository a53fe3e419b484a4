import Client
import Glibc
import Passages
import System

/// `parlor ingest`: files into the memory.
struct IngestCommand: Command {
  let name = "ingest"
  let usage = "parlor ingest PATH… --collection NAME [--private] [--watch] [--gone] [--encoding NAME]"
  let summary = "read files into the memory, so that personas can cite them"
  let help = """
    Reads text, Markdown, HTML, PDF (by pdftotext) and source code into a collection of the memory, in passages that keep
    their headings. A folder stands for the files in it; hidden ones, links, and those of unknown kinds are passed over.
    Done again, only what has changed is read, and what has gone is taken out; what cannot be read stays. Ctrl-C stops
    at once and loses nothing: the next time goes on from there.

      --collection NAME   where to; made if it is not there, for every persona to read
      --private           a new collection is for the user alone, until it is shared (`parlor memory share`)
      --watch             stay, and read in what changes, until Ctrl-C; also when the kernel restarts
      --gone              take out what is gone even where all of a folder, or most of it, is gone at once: without it
                          that is kept, since the folder may only be away (a disk that is not mounted)
      --encoding NAME     of files that are not UTF-8 and do not say what they are, such as ISO-8859-2 or KOI8-R
    """
  let flags: Set = ["--private", "--watch", "--gone"]
  let values: Set = ["--collection", "--encoding"]
  let operands = 1...Int.max

  func run(_ arguments: Arguments) throws -> ExitCode {
    guard let collection = arguments.value("--collection") else {
      throw CLIError(.usage, "say which collection: `parlor ingest PATH… --collection NAME`")
    }
    if arguments.operands.contains("") { throw CLIError(.failed, "a path is empty; name a file or a folder, \".\" for this one") }
    let plan = Ingestion.Plan(
      collection: collection, paths: Self.typed(arguments.operands).map(SourceTree.absolute), isPrivate: arguments.has("--private"),
      trustsGone: arguments.has("--gone"), encoding: arguments.value("--encoding"))
    let link = KernelLink(try arguments.connect(), name: arguments.value("--name"), pauses: (.milliseconds(100), .seconds(5)))
    let bar = ProgressBar()
    let ingestion = Ingestion(link, plan, bar: bar)
    do {
      try ingestion.open()
      return try IngestLoop(ingestion, link, plan, bar: bar, stays: arguments.has("--watch")).run()
    } catch {
      bar.hide()
      if CLIError(error).exit == .interrupted {
        try Output.diagnostics.line("parlor: stopped; what was read in stays, and the next `parlor ingest` goes on from there")
      }
      throw error
    }
  }

  /// The words of the command line as the bytes that they were: a name on the disk need not be UTF-8.
  private static func typed(_ words: [String]) -> [FilePath] {
    var raw = (1..<max(1, Int(CommandLine.argc))).compactMap { index in
      CommandLine.unsafeArgv[index].map { Array(UnsafeRawBufferPointer(start: $0, count: strlen($0))) }
    }
    return words.map { word in
      guard let index = raw.firstIndex(where: { String(decoding: $0, as: UTF8.self).utf8.elementsEqual(word.utf8) }) else {
        return FilePath(word)
      }
      return FilePath(raw.remove(at: index))
    }
  }
}
