/// On whose behalf an operation is done, and so what it may see and change.
public struct Access: Sendable, Equatable {
  /// The name of the persona, or "USER": owner of what it creates, and kept with what it adds.
  public let name: String
  /// The user of this computer may read and write everything.
  public let isUser: Bool

  public static func persona(_ name: String) -> Access { Access(name: name, isUser: false) }
  /// The user of this computer, whatever the client.
  public static let user = Access(name: "USER", isUser: true)

  private init(name: String, isUser: Bool) {
    self.name = name
    self.isUser = isUser
  }

  func mayRead(_ collection: MemoryCollection) -> Bool {
    mayWrite(collection) || collection.rights.readers.contains(name)
  }
  func mayWrite(_ collection: MemoryCollection) -> Bool {
    owns(collection) || collection.rights.writers.contains(name)
  }
  /// Whether it may drop the collection and change its rights.
  func owns(_ collection: MemoryCollection) -> Bool { isUser || collection.owner == name }

  func checkRead(_ collection: MemoryCollection) throws(MemoryError) {
    if mayRead(collection) { return }
    throw denied("read", collection, Self.people(collection.owner, [collection.rights.readers, collection.rights.writers]))
  }
  func checkWrite(_ collection: MemoryCollection) throws(MemoryError) {
    if mayWrite(collection) { return }
    throw denied("write to", collection, Self.people(collection.owner, [collection.rights.writers]))
  }
  func checkOwns(_ collection: MemoryCollection) throws(MemoryError) {
    if owns(collection) { return }
    throw denied("drop or share", collection, collection.owner)
  }

  private func denied(_ what: String, _ collection: MemoryCollection, _ who: String) -> MemoryError {
    MemoryError(.denied, "\(name) may not \(what) the collection \(collection.owner)/\(collection.name); \(who) may, and the user")
  }

  private static func people(_ owner: String, _ circles: [Rights.Circle]) -> String {
    let others = circles.reduce(into: Set<String>()) { if case .these(let names) = $1 { $0.formUnion(names) } }
    return ([owner] + others.subtracting([owner]).sorted()).joined(separator: ", ")
  }
}
