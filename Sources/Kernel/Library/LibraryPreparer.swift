import Glibc
import Protocol
import Synchronization
import System
import Wire

/// Where libraries are made ready, away from the event loop: found, copied, checked, rehearsed, opened.
///
/// Each request gets a thread of its own, since it may wait for a child process; the event loop makes one at a time for each persona.
final class LibraryPreparer: Sendable {
  struct Request: Sendable {
    /// A name or a path, as in personas.toml.
    var library: String
    var configuration: PersonaConfiguration
    var running: (any Instance)?
    /// The last saved state, if nothing runs that could be asked.
    var keptState: SavedState?
    /// A copy that was made before: it is not looked for again.
    var image: LibraryImage?
    /// How long opening it may take.
    var limitMilliseconds = 5000
    /// Do nothing if the file's hash is this.
    var unlessHash: String?
  }
  enum Outcome: Sendable {
    case unchanged
    case ready(LoadedLibrary, rehearsalMilliseconds: Int?)
  }

  let store: LibraryStore
  private let folders: [String]
  private let rehearsal: Rehearsal?
  /// The file whose opening has not come back.
  private let stuck = Mutex<String?>(nil)

  /// `rehearsal` nil: libraries are opened without one.
  init(store: LibraryStore, folders: [String], rehearsal: Rehearsal?) {
    self.store = store
    self.folders = folders
    self.rehearsal = rehearsal
  }

  /// `then` is called on a thread of the preparer's.
  func prepare(_ request: Request, then: @escaping StepEnd<Outcome>) {
    begin("preparer", then) { [self] () throws(Failure) in try make(request) }
  }

  struct Played: Sendable {
    var image: LibraryImage
    var recording: Recording
    var play: ReplayHost.Play
  }

  /// Makes a library ready, but for opening it, and plays it a recording.
  func play(
    _ request: Request, _ recording: @escaping @Sendable () -> Recording, on stage: ReplayHost, model: @escaping ReplayHost.Model,
    cancellation: CancellationHandle, then: @escaping StepEnd<Played>
  ) {
    begin("shadow", then) { [self] () throws(Failure) in
      let recording = recording()
      guard let made = try image(request) else { throw Failure(.failed, "\(request.library) is the file that runs already") }
      do throws(Failure) {
        let play = try stage.play(recording, library: made.image.path, model: model, cancellation: cancellation)
        return Played(image: made.image, recording: recording, play: play)
      } catch {
        store.discard(made.image.path)
        throw error
      }
    }
  }

  /// On a thread of its own; `then` is told why there is none.
  private func begin<Value: Sendable>(
    _ name: String, _ then: @escaping StepEnd<Value>, _ work: @escaping @Sendable () throws(Failure) -> Value
  ) {
    do throws(Errno) {
      try startThread(name: name) {
        do throws(Failure) { then(.success(try work())) } catch { then(.failure(error)) }
      }
    } catch { then(.failure(Failure(.failed, "no thread can be started: \(error); end other programs, or raise ulimit -u"))) }
  }

  private func make(_ request: Request) throws(Failure) -> Outcome {
    if let image = request.image { return .ready(try open(image, request), rehearsalMilliseconds: try again(image, request)) }
    guard let made = try image(request) else { return .unchanged }
    do throws(Failure) {
      return .ready(try open(made.image, request), rehearsalMilliseconds: made.rehearsalMilliseconds)
    } catch {
      store.discard(made.image.path)
      throw error
    }
  }

  /// The very copy, and the state and the generation of now.
  private func again(_ image: LibraryImage, _ request: Request) throws(Failure) -> Int? {
    do throws(LibraryError) {
      let file = try LibraryFile(reading: image.path)
      guard file.hash == image.hash else {
        throw LibraryError(.copy, "\(image.path) is not what was copied there: look after that disk")
      }
      _ = try file.check(services: HostTables.services, running: request.running?.image.about.state)
      return try rehearse(image, request)?.milliseconds
    } catch {
      throw Failure(error)
    }
  }

  /// Opens it on a thread that is given up if an initialiser of the library does not come back. It holds the dynamic linker's lock then,
  /// so nothing can be opened in this process any more, and later attempts are told so at once.
  private func open(_ image: LibraryImage, _ request: Request) throws(Failure) -> LoadedLibrary {
    if let culprit = stuck.withLock({ $0 }) {
      throw Failure(
        .failed,
        "no library can be opened: an initialiser of \(culprit) does not come back and holds the dynamic linker; start the kernel again")
    }
    let opened = Promise<Result<LoadedLibrary, LibraryError>>()
    let author = "\(request.configuration.name), whose library is being opened"
    do throws(Errno) {
      try startThread(name: "opener", author: author) {
        opened.fulfill(Result { () throws(LibraryError) in try LoadedLibrary.open(image) })
      }
    } catch { throw Failure(.failed, "no thread can be started: \(error); end other programs, or raise ulimit -u") }
    guard let result = opened.wait(milliseconds: request.limitMilliseconds) else {
      stuck.withLock { $0 = image.originalPath }
      throw Failure(
        .deadline,
        "opening \(image.originalPath) took more than \(request.limitMilliseconds) ms: an initialiser of it does not come back in the kernel; "
          + "start the kernel again without it, since no other library can be opened meanwhile")
    }
    do throws(LibraryError) {
      let library = try result.get()
      guard let change = ProcessGuard.putBack(after: "what it runs when it is opened", of: image.about.name) else { return library }
      return library.warned(change)
    } catch {
      throw Failure(error)
    }
  }

  private struct Made {
    var image: LibraryImage
    var rehearsalMilliseconds: Int?
  }

  /// Found, copied, checked and rehearsed; nil: unchanged.
  private func image(_ request: Request) throws(Failure) -> Made? {
    do throws(LibraryError) {
      let file = try LibraryFile(reading: try LibraryFile.resolve(request.library, in: folders))
      if file.hash == request.unlessHash { return nil }
      let (about, _) = try file.check(services: HostTables.services, running: request.running?.image.about.state)
      let warnings = try checkConfiguration(of: request, about)
      var image = try store.image(of: file, services: HostTables.services, running: request.running?.image.about.state)
      image.warnings += warnings
      do throws(LibraryError) {
        let rehearsed = try rehearse(image, request)
        image.warnings += rehearsed?.warnings ?? []
        return Made(image: image, rehearsalMilliseconds: rehearsed?.milliseconds)
      } catch {
        store.discard(image.path)
        throw error
      }
    } catch {
      throw Failure(error)
    }
  }

  /// Its part of personas.toml must suit the keys that the library declares. Returns what is odd.
  private func checkConfiguration(of request: Request, _ about: About) throws(LibraryError) -> [String] {
    let table = (try? JSON(parsing: request.configuration.json)) ?? [:]
    let findings = ConfigurationCheck(table, for: about).findings
    let name = request.configuration.name
    func line(_ finding: ConfigurationCheck.Finding) -> String { "persona.\(name).\(finding.key): \(finding.message)" }
    if let wrong = findings.first(where: { $0.fault == .wrong }) {
      throw LibraryError(.configuration, line(wrong) + "; mend personas.toml")
    }
    return findings.map(line)
  }

  private func rehearse(_ image: LibraryImage, _ request: Request) throws(LibraryError) -> (milliseconds: Int, warnings: [String])? {
    guard let rehearsal else { return nil }
    let began = MachineClock.now()
    let warnings: [String]
    do throws(Failure) {
      var configuration = request.configuration
      configuration.json = image.about.completed(configuration.json)
      warnings = try rehearsal.play(image: image, configuration: configuration, state: rehearsalState(request, image.about))
    } catch {
      throw LibraryError(.rehearsal, error.message)
    }
    return (Int((MachineClock.now() - began) / 1_000_000), warnings)
  }

  /// A copy of the state as it is now, taken between two grams; the last kept one if the lane does not come back.
  private func rehearsalState(_ request: Request, _ about: About) -> SavedState? {
    guard let readable = about.state.map({ $0.reads...$0.writes }) else { return nil }
    if let running = request.running, let schema = running.image.about.state?.writes, readable.contains(schema) {
      let saved = Promise<[UInt8]?>()
      running.save { saved.fulfill((try? $0.get()) ?? nil) }
      if let bytes = saved.wait(milliseconds: 1000) ?? nil { return SavedState(schema: schema, bytes: bytes) }
    }
    return request.keptState.flatMap { readable.contains($0.schema) ? $0 : nil }
  }
}
