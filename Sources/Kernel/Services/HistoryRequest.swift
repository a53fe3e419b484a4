import Protocol

/// What a person asks of the kept conversations: KERNEL's `history.*` (docs/HISTORY.md).
public enum HistoryRequest: Sendable, Equatable {
  public typealias Format = History.Export.Format

  /// Which conversations there are, of one persona or of all.
  case list(persona: String?)
  /// What was said in one: all, or the last turns.
  case get(persona: String, thread: String, last: Int?)
  /// The same as a text to keep.
  case export(persona: String, thread: String, last: Int?, Format)
  /// Removes one conversation, or all of a persona.
  case forget(persona: String, thread: String?)
}
