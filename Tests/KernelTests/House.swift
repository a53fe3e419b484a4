import Foundation
import Protocol
import System
import TestSupport

@testable import Kernel

/// What a client of a test has received; the router's own is `Kernel.Gram`.
typealias Gram = TestSupport.Gram

/// A kernel in this process, on a thread of its own, with clients over socketpairs.
final class House: @unchecked Sendable {
  private let temporary = TemporaryFolder()
  var folder: String { temporary.path }
  private var kernel: BatKernel?
  let inbox: LoopInbox
  private let ended = Promise<Bool>()

  /// Personas are C fixtures: name, file in Tests/Fixtures, defines.
  init(
    _ personas: [(name: String, fixture: String, defines: [String: String])] = [], rehearse: Bool = false,
    language: (any LanguageService)? = nil, memory: (any MemoryService)? = nil, stage: Bool = false,
    configure: (inout Configuration) -> Void = { _ in }
  ) throws {
    let folder = temporary.path
    var configuration = Configuration(socketPath: folder + "/kernel.sock", pluginFolders: [folder])
    configuration.reload.watch = false
    configuration.log.level = .error
    for persona in personas {
      try Fixtures.install(persona.fixture, as: persona.name, in: folder, defines: ["NAME": persona.name].merging(persona.defines) { $1 })
      configuration.personas.append(
        PersonaConfiguration(name: persona.name, library: persona.name, json: Array("{\"name\":\"\(persona.name)\"}".utf8)))
    }
    configure(&configuration)
    let made = Promise<LoopOnly<Result<BatKernel, Failure>>>()
    let configured = configuration
    let ended = ended
    try! startThread(name: "house") {
      do throws(Failure) {
        let rehearsal =
          rehearse
          ? Rehearsal(command: [Products.folder + "/batkernel", "--rehearse"], limitMilliseconds: configured.reload.callMilliseconds) : nil
        let kernel = try BatKernel(
          configured, logger: Logger(configured.log), language: language, memory: memory, rehearsal: rehearsal,
          stage: stage ? ReplayHost(command: [Products.folder + "/batkernel", "--stage"], limitMilliseconds: 10_000) : nil)
        made.fulfill(LoopOnly(.success(kernel)))
        kernel.run()
      } catch {
        made.fulfill(LoopOnly(.failure(error)))
      }
      ended.fulfill(true)
    }
    let kernel = try made.wait(milliseconds: 20_000)!.value.get()
    inbox = kernel.inbox
  }

  /// A new client over a socketpair; it has not said its name.
  func client() throws -> Client {
    var ends: [Int32] = [0, 0]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw Client.Lost(description: "socketpair")
    }
    let theirs = ends[1]
    inbox.post { $0.adopt(theirs) }
    return Client(ends[0])
  }

  /// A client with a name, as the Python original's: nothing is answered.
  func client(_ name: String) throws -> Client {
    let client = try client()
    try client.line(name)
    return client
  }

  /// A client that said hello.
  func attached(_ name: String) throws -> Client {
    let client = try client()
    try client.hello(name)
    return client
  }

  /// Waits until the persona runs.
  func settle(_ name: String, as client: Client) throws {
    for id in 900_000..<901_000 {
      let list = try client.ask("KERNEL", "personas.list", id: id)
      let personas = list.payload["personas"] as? [[String: Any]] ?? []
      guard let persona = personas.first(where: { $0["name"] as? String == name }) else { throw Client.Lost(description: "no \(name)") }
      if persona["state"] as? String != "loading" { return }
      usleep(2000)
    }
  }

  /// Puts a new build of a fixture in the place of the old.
  func build(_ name: String, _ fixture: String = "echo", defines: [String: String]) throws {
    try Fixtures.install(fixture, as: name, in: folder, defines: ["NAME": name].merging(defines) { $1 })
  }

  deinit {
    inbox.post { $0.stop() }
    _ = ended.wait(milliseconds: 15_000)
  }
}
