/// What `save` wrote, in the schema of the version that wrote it.
struct SavedState: Sendable, Equatable {
  var schema: UInt32
  var bytes: [UInt8]
}

/// The last state that a persona has saved in each schema: for reloads, rollbacks and later loads.
struct SavedStates {
  private var bySchema: [UInt32: [UInt8]] = [:]
  /// The schema of the last one of all.
  private var lastSchema: UInt32?

  /// The last one of all.
  var last: SavedState? { lastSchema.flatMap { schema in bySchema[schema].map { SavedState(schema: schema, bytes: $0) } } }
  /// Sorted by schema.
  var all: [SavedState] { bySchema.sorted { $0.key < $1.key }.map { SavedState(schema: $0.key, bytes: $0.value) } }

  mutating func keep(_ state: SavedState) {
    bySchema[state.schema] = state.bytes
    lastSchema = state.schema
  }

  /// Of a version that keeps a state, what it has saved; nil is no state, and changes nothing.
  mutating func keep(_ bytes: [UInt8]?, of about: About) {
    guard let bytes, let schema = about.state?.writes else { return }
    keep(SavedState(schema: schema, bytes: bytes))
  }

  /// The newest state that this version can read: the last one if possible, else that of the highest schema.
  func readable(by about: About) -> SavedState? {
    guard let schema = about.state else { return nil }
    let readable = schema.reads...schema.writes
    if let last, readable.contains(last.schema) { return last }
    return all.last { readable.contains($0.schema) }
  }
}
