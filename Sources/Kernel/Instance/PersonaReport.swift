import Protocol
import System
import Wire

/// What the kernel tells of one persona: a line for lists, and all of it for `personas.show` (docs/WIRE.md). Event loop only.
struct PersonaReport {
  private let slot: PersonaSlot

  init(of slot: PersonaSlot) { self.slot = slot }

  var status: Personas.Status {
    let load = slot.current?.instance.load(now: MachineClock.now())
    let about = slot.current?.instance.image.about
    let (word, reason): (Personas.Status.State, String?) =
      switch slot.state {
      case .loading: (.loading, nil)
      case .running: (.running, nil)
      case .unloaded: (.unloaded, nil)
      case .failed(let why): (.failed, why)
      }
    let generations = slot.lineage.generations
    return Personas.Status(
      name: slot.name, summary: slot.configuration.summary ?? about?.summary, version: about?.version,
      library: slot.configuration.library, generation: slot.current?.instance.number, state: word, reason: reason, talk: about?.talk,
      draining: slot.reload.draining.count, kept: generations.count, generations: generations.suffix(20).map(\.number),
      received: slot.received, failed: slot.failed, queued: slot.waiting + (load?.waiting ?? 0),
      busy_ms: Int((load?.busy ?? 0) / 1_000_000))
  }

  var details: Personas.Details {
    let size = slot.store.size
    let image = slot.current?.instance.image
    return Personas.Details(
      persona: status, about: (slot.current?.about ?? slot.lineage.last?.image.about)?.described,
      library: image.map { .init(path: $0.originalPath, copy: $0.path, hash: $0.hash, warnings: $0.warnings) },
      generations: slot.lineage.generations.suffix(20).map(kept), values: .init(count: size.count, bytes: size.bytes),
      saved: slot.saved.all.map { .init(schema: $0.schema, bytes: $0.bytes.count) },
      tokens: slot.supervisor.language.flatMap { try? JSON(parsing: PayloadCoding.bytes(of: $0.usage(of: slot.name))) },
      last_receipt: slot.reload.lastReceipt)
  }

  /// A generation whose code is in memory; it may still have something to do.
  private func kept(_ number: Int, _ library: LoadedLibrary) -> Personas.Details.Generation {
    let running = [slot.current].compactMap(\.self) + slot.reload.draining.contexts
    let context = running.first { $0.instance.number == number }
    return .init(
      number: number, version: library.image.about.version, hash: library.image.hash,
      phase: context.map { $0 === slot.current ? .live : .draining }, askers: context?.askers.sorted(), requests: context?.openRequests)
  }
}
