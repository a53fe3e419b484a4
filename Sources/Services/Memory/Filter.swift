import Wire

/// Which documents are meant, by their metadata and their text.
///
/// The meaning is that of Chroma's `where` and `where_document`: a comparison holds only for a value of the same kind
/// (numbers, strings, booleans), a key that is not there holds no comparison, and so its negation holds.
public indirect enum Filter: Sendable, Equatable {
  case all([Filter])
  case any([Filter])
  case not(Filter)
  /// The value of a key of the metadata passes the test.
  case key(String, Test)
  /// The text contains this, letter for letter.
  case text(String)

  /// What a value of the metadata must be. Operands are strings, numbers, booleans; of `above` and `below` no booleans.
  public enum Test: Sendable, Equatable {
    case equals(JSON)
    case oneOf([JSON])
    case above(JSON, orEqual: Bool)
    case below(JSON, orEqual: Bool)
    /// The value is a list, and this is one of its elements.
    case listContains(JSON)
  }

  public static let everything = Filter.all([])

  /// Every text that it asks for.
  var texts: [String] {
    switch self {
    case .all(let parts), .any(let parts): parts.flatMap(\.texts)
    case .not(let part): part.texts
    case .key: []
    case .text(let text): [text]
    }
  }

  /// A filter that both pass.
  public func and(_ other: Filter) -> Filter {
    switch (self, other) {
    case (.everything, _): other
    case (_, .everything): self
    default: .all([self, other])
    }
  }
}
