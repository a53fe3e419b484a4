/// A name on the bus, and who answers to it: connections, or one persona. Event loop only.
final class Participant {
  let name: [UInt8]
  let text: String
  private(set) var endpoints: ContiguousArray<any Endpoint> = []
  /// The one connection that answers, if it is one and no persona: the common receiver, found without counting references.
  /// A connection that closes stays alive until the event at hand has been dealt with, so this is good for that long.
  private(set) var only: Unmanaged<Connection>?
  /// The name where it does not move.
  let bytes: UnsafeMutablePointer<UInt8>
  let count: Int
  /// The next one in the same bucket of the registry, which holds a reference. NameRegistry's own.
  var next: Unmanaged<Participant>?

  init(_ name: [UInt8]) {
    self.name = name
    text = String(decoding: name, as: UTF8.self)
    count = name.count
    bytes = .allocate(capacity: max(1, name.count))
    bytes.initialize(from: name, count: name.count)
  }

  deinit { bytes.deallocate() }

  var isEmpty: Bool { endpoints.isEmpty }
  /// A persona answers to it, and so nobody else.
  var isPersona: Bool { endpoints.first?.worksOnGrams ?? false }

  func add(_ endpoint: any Endpoint) {
    endpoints.append(endpoint)
    findOnly()
  }

  func remove(_ endpoint: any Endpoint) {
    endpoints.removeAll { $0 === endpoint }
    findOnly()
  }

  func removeAll() {
    endpoints = []
    only = nil
  }

  /// A gram that was given to it has ended in an error.
  func countFailure() { for endpoint in endpoints { endpoint.countFailure() } }

  private func findOnly() {
    only = endpoints.count == 1 ? (endpoints[0] as? Connection).map { Unmanaged.passUnretained($0) } : nil
  }
}
