import Client
import Passages
import System

/// Does one round of an ingestion, or a round whenever files change or the kernel is back. For one thread.
final class IngestLoop {
  private let ingestion: Ingestion
  private let link: KernelLink
  private let plan: Ingestion.Plan
  private let bar: ProgressBar
  private let stays: Bool
  private var told: Set<String> = []

  /// So long must nothing happen before files that change are read.
  private static let rest = Duration.milliseconds(200)
  /// Then they are read even if something happens all the time, as with a log that grows.
  private static let longestWait = Duration.seconds(3)

  init(_ ingestion: Ingestion, _ link: KernelLink, _ plan: Ingestion.Plan, bar: ProgressBar, stays: Bool) {
    self.ingestion = ingestion
    self.link = link
    self.plan = plan
    self.bar = bar
    self.stays = stays
  }

  func run() throws -> ExitCode {
    var watcher: FolderWatcher?
    if stays { watcher = try FolderWatcher() }
    var watched: Set<FilePath> = []
    var isFirst = true
    while true {
      let (count, folders): (Ingestion.Count, [FilePath])
      do throws(CLIError) { (count, folders) = try ingestion.run(tell) } catch {
        guard let watcher, error.exit == .noKernel else { throw error }
        try wait(watcher)
        continue
      }
      if isFirst || count.new + count.changed + count.removed > 0 {
        try Output.answer.line(count.sentence)
        if isFirst, let note = ingestion.note { try Output.diagnostics.line("parlor: \(note.oneLine(400))") }
      }
      guard let watcher else { return count.refused + count.kept > 0 ? .failed : .ok }
      for (folder, why) in watcher.watch(folders, paths: plan.paths) {
        try tell("changes in \(folder.text.oneLine(300)) are not noticed: \(why); perhaps fs.inotify.max_user_watches is used up")
      }
      if isFirst { try Output.answer.line("watching \(folders.count) folders; Ctrl-C ends that") }
      isFirst = false
      // Files that were put into a new folder before it was watched have caused no event: look once more.
      let isNew = !Set(folders).isSubset(of: watched)
      watched = Set(folders)
      if isNew { continue }
      try wait(watcher)
    }
  }

  /// Says the same thing once.
  private func tell(_ sentence: String) throws(CLIError) {
    guard told.insert(sentence).inserted else { return }
    bar.hide()
    do { try Output.diagnostics.line("parlor: " + sentence) } catch { throw CLIError(error) }
  }

  /// Waits until something has changed and then nothing more for a moment, or until the kernel is back.
  private func wait(_ watcher: FolderWatcher) throws {
    var changed: (first: ContinuousClock.Instant, last: ContinuousClock.Instant)?
    while true {
      let now = ContinuousClock.now
      var limit = link.timeout(now)
      if let changed, link.connection != nil {
        let due = min(changed.last + Self.rest, changed.first + Self.longestWait)
        if due <= now { return }
        limit = due - now
      }
      let kernel = link.descriptor.map { [$0] } ?? []
      _ = waitForInput([watcher.descriptor, Signals.descriptor] + kernel, writing: link.wantsToWrite ? kernel : [], for: limit)
      if Signals.takeInterrupt() { throw CLIError(.interrupted, "") }
      for event in try link.advance(.now) {
        switch event {
        case .lost: try Output.diagnostics.line("parlor: the kernel has gone; waiting until it is back")
        case .attached:
          try Output.diagnostics.line("parlor: the kernel is back")
          try ingestion.open()
          return
        case .incoming: break
        }
      }
      if watcher.takeChanges() { changed = (changed?.first ?? .now, .now) }
    }
  }
}
