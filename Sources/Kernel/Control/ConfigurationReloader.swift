import Glibc
import Protocol
import System

/// Takes personas.toml over again: when somebody asks, when it is saved, and before the code of a persona is reloaded. Event loop only.
///
/// The file, and the libraries that its tables are held against, are read on a thread of their own, one reading at a time.
final class ConfigurationReloader {
  typealias End = (Result<Config.Reload.Reply, Failure>) -> Void

  /// The name by which receipts tell of the file itself.
  static let fileName = "personas.toml"
  /// What was taken over by itself is told once more to whoever asks within this time, in nanoseconds.
  private static let memory: UInt64 = 10_000_000_000

  /// Where it is; nil: it is not watched.
  let path: String?
  private let read: @Sendable () throws(Failure) -> Configuration
  private let apply: (Configuration, [String: String]) -> Config.Reload.Reply
  private let inbox: LoopInbox
  private let log: Log
  /// Told what the watch has found wrong with the file.
  var announce: ((Receipt) -> Void)?
  /// False: this reading would take away all that runs, which is done for whoever asks, and not for a save alone.
  var mayFollow: (Configuration) -> Bool = { _ in true }

  private struct Wish {
    var libraries: [String: String]
    /// It was the watch.
    var isSave: Bool
    var end: End
  }
  private var wishes: [Wish] = []
  private var isReading = false
  /// The file as it was when it was read last.
  private var stamp: LibraryFile.Stamp?
  /// The last reading found a mistake.
  private(set) var hasFailed = false
  /// The mistake that was told last, and of which file.
  private var told: (message: String, stamp: LibraryFile.Stamp?)?
  /// What was taken over by itself, and when.
  private var untold: (reply: Config.Reload.Reply, at: UInt64)?

  init(
    path: String?, inbox: LoopInbox, log: Log, read: @escaping @Sendable () throws(Failure) -> Configuration,
    apply: @escaping (Configuration, [String: String]) -> Config.Reload.Reply
  ) {
    (self.path, self.inbox, self.log, self.read, self.apply) = (path, inbox, log, read, apply)
    stamp = path.flatMap(Self.stamp)
  }

  /// Somebody asks for it. `libraries`: what a persona is loaded from this once, by its name.
  func reload(libraries: [String: String] = [:], end: @escaping End) {
    wish(Wish(libraries: libraries, isSave: false) { [self] result in end(result.map(withUntold)) })
  }

  /// The file was saved, or a library that it may have been waiting for.
  func saved() {
    wish(
      Wish(libraries: [:], isSave: true) { [self] result in
        switch result {
        case .success(let reply):
          if reply.isEmpty { return }
          untold = (withUntold(reply), MachineClock.now())
          log.info("personas.toml was saved and is taken over", Self.fields(reply))
        case .failure(let failure):
          // A library that was saved is no news of this file.
          if let told, told == (failure.message, stamp) { return }
          told = (failure.message, stamp)
          log.error("personas.toml was saved and is not taken over, everything stays as it was", ["error": failure.message])
          announce?(Receipt(persona: Self.fileName, outcome: .refused, total_ms: 0, reason: failure.message))
        }
      })
  }

  /// Takes it over if it is another than before; nothing to do is no error.
  func reloadIfChanged(end: @escaping End) {
    guard let path, Self.stamp(of: path) != stamp else { return end(.success(withUntold(.init()))) }
    reload(end: end)
  }

  static func fields(_ reply: Config.Reload.Reply) -> Log.Fields {
    func keys(_ name: String) -> String { reply.keys?[name].map { "(\($0.joined(separator: " ")))" } ?? "" }
    return [
      "added": reply.added.joined(separator: " "), "removed": reply.removed.joined(separator: " "),
      "changed": reply.changed.map { $0 + keys($0) }.joined(separator: " "), "applied": reply.applied.joined(separator: " "),
      "refused": (reply.refused ?? [:]).keys.sorted().joined(separator: " "),
    ]
  }

  private func withUntold(_ reply: Config.Reload.Reply) -> Config.Reload.Reply {
    guard let untold, MachineClock.now() - untold.at < Self.memory else { return reply }
    return untold.reply.followed(by: reply)
  }

  // MARK: One reading after the other; all that wait for the next one share it

  private func wish(_ wish: Wish) {
    wishes.append(wish)
    next()
  }

  private func next() {
    if isReading || wishes.isEmpty { return }
    isReading = true
    let waiting = wishes
    wishes = []
    let (box, inbox, read, path) = (LoopOnly((self, waiting)), inbox, read, path)
    do throws(Errno) {
      try startThread(name: "personas.toml") {
        let stamp = path.flatMap(Self.stamp)
        let result: Result<Configuration, Failure>
        do throws(Failure) { result = .success(try read()) } catch { result = .failure(error) }
        inbox.post { _ in box.value.0.ended(result, stamp, box.value.1) }
      }
    } catch {
      isReading = false
      let failure = Failure(.failed, "personas.toml is not read: no thread can be started: \(error); try again later")
      for wish in waiting { wish.end(.failure(failure)) }
    }
  }

  private func ended(_ result: Result<Configuration, Failure>, _ stamp: LibraryFile.Stamp?, _ wishes: [Wish]) {
    isReading = false
    self.stamp = stamp
    if case .failure = result { hasFailed = true } else { hasFailed = false }
    if case .success(let new) = result, wishes.allSatisfy(\.isSave), !mayFollow(new) {
      self.stamp = nil
      log.warning("personas.toml was saved without a persona; config.reload takes that over, if it is meant")
    } else {
      let libraries = wishes.reduce(into: [:]) { $0.merge($1.libraries) { $1 } }
      let reply = result.map { apply($0, libraries) }
      for wish in wishes { wish.end(reply) }
    }
    next()
  }

  private static func stamp(of path: String) -> LibraryFile.Stamp? {
    var status = stat()
    return stat(path, &status) == 0 ? LibraryFile.Stamp(status) : nil
  }
}
