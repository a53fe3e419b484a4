import Kernel
import PersonaABI
import Wire

/// Tests of what the library says of itself.
enum AboutChecks {
  static let tests: [CheckTest] = [
    CheckTest.file,
    CheckTest(
      name: "entry", shows: "the entry is the same at each call, and says what the file says", stage: .open,
      body: { context throws(Halt) in
        let entry = context.library.entry
        let image = context.library.image
        context.log.begins("persona_entry_v1(), again")
        let again: LoadedLibrary
        do throws(LibraryError) { again = try LoadedLibrary.open(image) } catch { throw Halt(.failure, error.message) }
        context.log.returned()
        if again.entry != entry {
          context.log.fail("persona_entry_v1() returns another address at its second call; it must return the same")
        }
        // LoadedLibrary.open has already checked the about text, the magic number, the sizes and the required functions.
        if entry.pointee.reserved != 0 { context.log.warn("persona_entry.reserved is \(entry.pointee.reserved); it must be 0") }
        if Int(entry.pointee.vtable.pointee.size) % MemoryLayout<UInt>.size != 0 {
          context.log.warn("persona_vtable.size is \(entry.pointee.vtable.pointee.size), which ends in the middle of a function")
        }
        let vtable = context.library.vtable
        let keepsState = context.about.state != nil
        if keepsState, vtable.save == nil {
          context.log.fail("the about text says \"state\", and there is no save(): nothing is ever kept")
        }
        if keepsState, vtable.load == nil {
          context.log.fail("the about text says \"state\", and there is no load(): every reload with a state is refused")
        }
      }),
    CheckTest(
      name: "config", shows: "the about text and its part of personas.toml agree", stage: .life,
      body: { context throws(Halt) in
        guard let part = context.part else { throw Halt(.skipped, "no personas.toml has a part for it; a plain configuration is used") }
        let about = context.about
        context.log.note("[persona.\(part.name)] of \(part.file)")
        if part.name != about.name { context.log.note("it goes by the name \(part.name) there; its about text says \(about.name)") }
        if let library = part.library, PersonaSource.real(library) != PersonaSource.real(context.library.image.originalPath) {
          context.log.warn(
            "[persona.\(part.name)] of \(part.file) loads \(library), and not the file that is checked: set its `library`, or copy the file there"
          )
        }
        func compare(_ key: String, _ said: String) {
          guard let value = part.config[key] else { return }
          let text = (value.array?.map(\.plain) ?? [value.plain]).joined(separator: " ")
          if text != said {
            context.log.warn(
              "`\(key)` is \"\(text)\" in \(part.file) and \"\(said)\" in the about text; the kernel reads the about text alone: take the line out of personas.toml, or change the source"
            )
          }
        }
        for finding in ConfigurationCheck(part.config, for: about).findings {
          let line = "persona.\(part.name).\(finding.key): \(finding.message)"
          if finding.fault == .wrong { context.log.fail(line) } else { context.log.warn(line) }
        }
        compare("needs", about.needs.joined(separator: " "))
        compare("wants", about.wants.joined(separator: " "))
        compare("version", about.version)
        compare(
          "state", about.state.map { $0.reads == $0.writes ? "\($0.writes)" : "\($0.writes) reads \($0.reads)" } ?? "")
      }),
  ]
}
