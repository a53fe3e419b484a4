/// Whether what has come of a line is taken, over reads of any size: the states of a connection's way in.
///
///     taking ──(unfinished, and longer than the limit)──▶ skipping ──(its newline)──▶ taking
///
/// A value; lengths are bytes, a whole line's with its newline. The limit may change between two lines.
struct Framing {
  enum Verdict: Equatable {
    /// A whole line goes to the router, an unfinished one is kept.
    case take
    /// The client is told, once a line; the bytes are thrown away.
    case tooLong
    /// The rest of a line that was too long is thrown away.
    case ignore
  }

  private var isSkipping = false

  /// What has come of this line is not kept: the rest of it is thrown away.
  mutating func skip() { isSkipping = true }

  /// A newline has come.
  mutating func ended(length: Int, limit: Int) -> Verdict {
    if isSkipping {
      isSkipping = false
      return .ignore
    }
    return length > limit ? .tooLong : .take
  }

  /// All that was read has been looked at, and so much stands behind the last newline.
  mutating func unfinished(length: Int, limit: Int) -> Verdict {
    if isSkipping { return .ignore }
    guard length > limit else { return .take }
    isSkipping = true
    return .tooLong
  }
}
