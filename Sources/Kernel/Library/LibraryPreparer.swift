import Glibc
import Protocol
import System

/// Where libraries are made ready, away from the event loop: found, copied, checked, rehearsed, opened.
///
/// Each order gets a thread of its own, since it may wait for a child process; everything in it is a value.
final class LibraryPreparer: Sendable {
  struct Order: Sendable {
    var name: String
    /// A name or a path, as in personas.toml.
    var library: String
    var configuration: PersonaConfiguration
    /// The generation that it may become: for the copy's file name.
    var number: Int
    var running: ThreadInstance?
    /// The last saved state and its schema, if nothing runs that could be asked.
    var keptState: (UInt32, [UInt8])?
    /// A copy that was made before: it is not looked for again.
    var image: LibraryImage?
    /// Do nothing if the file's hash is this.
    var unlessHash: String?
  }
  enum Outcome: Sendable {
    case unchanged
    case ready(LoadedLibrary, rehearsalMilliseconds: Int?)
  }

  private let store: LibraryStore
  private let folders: [String]
  private let rehearsal: Rehearsal?
  private let inbox: LoopInbox

  /// `rehearsal` nil: libraries are opened without one.
  init(store: LibraryStore, folders: [String], rehearsal: Rehearsal?, inbox: LoopInbox) {
    self.store = store
    self.folders = folders
    self.rehearsal = rehearsal
    self.inbox = inbox
  }

  func prepare(_ order: Order, then: @escaping @Sendable (Result<Outcome, Failure>, LoopInbox) -> Void) {
    let inbox = inbox
    startThread(name: "preparer") { [self] in
      do throws(Failure) {
        then(.success(try make(order)), inbox)
      } catch {
        then(.failure(error), inbox)
      }
    }
  }

  struct Played: Sendable {
    var image: LibraryImage
    var recording: Recording
    var play: ReplayHost.Play
  }

  /// Makes a library ready, but for opening it, and plays it a recording.
  func play(
    _ order: Order, _ recording: @escaping @Sendable () -> Recording, on stage: ReplayHost, model: @escaping ReplayHost.Model,
    cancellation: CancellationHandle,
    then: @escaping @Sendable (Result<Played, Failure>, LoopInbox) -> Void
  ) {
    let inbox = inbox
    startThread(name: "shadow") { [self] in
      do throws(Failure) {
        let recording = recording()
        guard let made = try image(order) else { preconditionFailure("a shadow is made of any file") }
        do throws(Failure) {
          let play = try stage.play(recording, library: made.image.path, model: model, cancellation: cancellation)
          then(.success(Played(image: made.image, recording: recording, play: play)), inbox)
        } catch {
          unlink(made.image.path)
          throw error
        }
      } catch {
        then(.failure(error), inbox)
      }
    }
  }

  private func make(_ order: Order) throws(Failure) -> Outcome {
    if let image = order.image { return .ready(try open(image), rehearsalMilliseconds: try again(image, order)) }
    guard let made = try image(order) else { return .unchanged }
    return .ready(try open(made.image), rehearsalMilliseconds: made.rehearsalMilliseconds)
  }

  /// The very copy, and the state and the generation of now.
  private func again(_ image: LibraryImage, _ order: Order) throws(Failure) -> Int? {
    do throws(LibraryError) {
      let file = try LibraryFile(reading: image.path)
      guard file.hash == image.hash else {
        throw LibraryError(.copy, "\(image.path) is not what was copied there: look after that disk")
      }
      _ = try file.check(services: HostTables.services, running: order.running?.library.image.about.state)
      return try rehearse(image, order)
    } catch {
      throw Failure(error)
    }
  }

  private func open(_ image: LibraryImage) throws(Failure) -> LoadedLibrary {
    do throws(LibraryError) { return try LoadedLibrary.open(image) } catch { throw Failure(error) }
  }

  private struct Made {
    var image: LibraryImage
    var rehearsalMilliseconds: Int?
  }

  /// Found, copied, checked and rehearsed; nil: unchanged.
  private func image(_ order: Order) throws(Failure) -> Made? {
    do throws(LibraryError) {
      let file = try LibraryFile(reading: try LibraryFile.resolve(order.library, in: folders))
      if file.hash == order.unlessHash { return nil }
      let image = try store.image(of: file, services: HostTables.services, running: order.running?.library.image.about.state)
      return Made(image: image, rehearsalMilliseconds: try rehearse(image, order))
    } catch {
      throw Failure(error)
    }
  }

  private func rehearse(_ image: LibraryImage, _ order: Order) throws(LibraryError) -> Int? {
    guard let rehearsal else { return nil }
    let began = MachineClock.now()
    do throws(Failure) {
      try rehearsal.play(image: image, configuration: order.configuration, state: rehearsalState(order, image.about))
    } catch {
      throw LibraryError(.rehearsal, error.message)
    }
    return Int((MachineClock.now() - began) / 1_000_000)
  }

  /// A copy of the state as it is now, taken between two grams; the last kept one if the lane does not come back.
  private func rehearsalState(_ order: Order, _ about: About) -> (UInt32, [UInt8])? {
    guard let readable = about.state.map({ $0.reads...$0.writes }) else { return nil }
    if let running = order.running, let schema = running.library.image.about.state?.writes {
      let answer = Promise<[UInt8]?>()
      running.lane.lane.run { answer.fulfill((try? running.save()) ?? nil) }
      if let state = answer.wait(milliseconds: 1000) ?? nil, readable.contains(schema) { return (schema, state) }
    }
    return order.keptState.flatMap { readable.contains($0.0) ? $0 : nil }
  }
}
