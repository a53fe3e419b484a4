/// What `personas.show` answers (docs/WIRE.md): all that the house knows of one persona. Event loop only.
extension PersonaSlot {
  private struct Details: Encodable {
    struct Library: Encodable {
      /// Where it was read, and its private copy, which is what runs.
      var path, copy: String
      var hash: String
      var warnings: [String]
    }
    struct Kept: Encodable {
      var number: Int
      var version: String
      var hash: String
      /// "live", "draining"; nil: only its code is left.
      var phase: String?
      /// Who waits for answers of it, and how many it waits for itself.
      var askers: [String]?
      var requests: Int?
    }
    struct Values: Encodable { var count, bytes: Int }
    struct Saved: Encodable {
      var schema: UInt32
      var bytes: Int
    }
    var persona: Payload.PersonaStatus
    var library: Library?
    var generations: [Kept]
    /// `state/1`.
    var values: Values
    /// What `save` wrote, by schema: as it was at the last change of code.
    var saved: [Saved]
    var tokens: LanguageUsage?
    var last_receipt: Receipt?
  }

  var details: [UInt8] {
    let size = store.size
    let running = ([current].compactMap(\.self) + draining).map { (number: $0.generation.number, context: $0) }
    let image = current?.generation.library.image
    var json = encodedJSON(
      Details(
        persona: status,
        library: image.map { .init(path: $0.originalPath, copy: $0.path, hash: $0.hash, warnings: $0.warnings) },
        generations: generations.suffix(20).map { kept in
          let context = running.first { $0.number == kept.number }?.context
          return .init(
            number: kept.number, version: kept.library.image.about.version, hash: kept.library.image.hash,
            phase: context.map { $0 === current ? "live" : "draining" }, askers: context?.askers.sorted(), requests: context?.openRequests)
        },
        values: .init(count: size.count, bytes: size.bytes),
        saved: states.sorted { $0.key < $1.key }.map { .init(schema: $0.key, bytes: $0.value.count) },
        tokens: supervisor.language?.usage(of: name), last_receipt: lastReceipt))
    if let about = (current?.generation.library ?? lineage.last)?.image.about { Payload.add("about", about.json, to: &json) }
    return json
  }
}
