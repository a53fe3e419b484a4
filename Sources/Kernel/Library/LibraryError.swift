import Protocol

/// Why a library is not opened: a kind for code, and a message for people.
public struct LibraryError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Kind: String, Sendable, CaseIterable {
    /// There is no such file, or it cannot be read.
    case notFound, unreadable
    /// It is not a regular file, has the wrong owner, or others may write to it.
    case notAllowed
    /// It changed while it was being copied: look again after it has settled.
    case changed
    /// It is still being written, or was cut off: look again after its next change.
    case incomplete
    /// It is not a shared library for this machine, or it is damaged.
    case notALibrary
    /// It is a library, but not a persona.
    case noEntry, noAbout
    case ownSwiftRuntime
    /// Another major version of persona.h, or an entry that contradicts itself or the file.
    case version, entry
    /// It needs a service that this kernel does not have.
    case needs
    /// Its part of personas.toml does not suit it.
    case configuration
    /// It cannot read the state of the generation that is running.
    case schema
    /// The dynamic linker refused it.
    case link
    /// The private copy could not be made.
    case copy
    /// It failed in the rehearsal, in a child process.
    case rehearsal
  }

  public var kind: Kind
  /// What happened, where, and what to do.
  public var message: String

  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  public var description: String { message }

  /// Whether the next change of the file may cure it, so that nobody needs to be told yet.
  public var mayPass: Bool { kind == .changed || kind == .incomplete }
}

extension Failure {
  /// As it is told on the wire and in receipts.
  init(_ error: LibraryError) {
    let code: Code =
      switch error.kind {
      case .notFound: .notFound
      case .schema: .state
      case .version, .entry, .noEntry, .noAbout, .needs, .configuration, .notALibrary, .incomplete: .invalid
      default: .failed
      }
    self.init(code, error.message)
  }
}
