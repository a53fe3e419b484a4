import Protocol
import Wire

/// What `personas.show` answers (docs/WIRE.md): all that is known of one persona. Event loop only.
extension PersonaSlot {
  var details: Personas.Details {
    let size = store.size
    let running = ([current].compactMap(\.self) + draining).map { (number: $0.generation.number, context: $0) }
    let image = current?.generation.library.image
    return Personas.Details(
      persona: status, about: (current?.generation.library ?? lineage.last)?.image.about.described,
      library: image.map { .init(path: $0.originalPath, copy: $0.path, hash: $0.hash, warnings: $0.warnings) },
      generations: generations.suffix(20).map { kept in
        let context = running.first { $0.number == kept.number }?.context
        return .init(
          number: kept.number, version: kept.library.image.about.version, hash: kept.library.image.hash,
          phase: context.map { $0 === current ? .live : .draining }, askers: context?.askers.sorted(), requests: context?.openRequests)
      },
      values: .init(count: size.count, bytes: size.bytes),
      saved: states.sorted { $0.key < $1.key }.map { .init(schema: $0.key, bytes: $0.value.count) },
      tokens: supervisor.language.flatMap { try? JSON(parsing: PayloadCoding.bytes(of: $0.usage(of: name))) }, last_receipt: lastReceipt)
  }
}
