/// Who has spoken last in a streamed answer, so that the words of two speakers are not read as one text. A value.
///
/// The empty line between them belongs to the one who is not the asked one: what streams in the asked one's own name is a piece of the
/// reply's text, to the byte.
struct Voices {
  /// Nil: the one who was asked.
  private var speaker: String?
  /// How many line breaks the text ends with; at its beginning nothing needs to be set apart.
  private var breaks = 2

  /// What stands between the words before and those of this speaker, and to whom it belongs; nil: nothing needs to.
  mutating func gap(before next: String?) -> (text: String, speaker: String)? {
    guard next != speaker, let owner = next ?? speaker else { return nil }
    defer {
      speaker = next
      breaks = 2
    }
    return breaks < 2 ? (String(repeating: "\n", count: 2 - breaks), owner) : nil
  }

  /// Words have been shown.
  mutating func note(_ text: some BidirectionalCollection<UInt8>) {
    let ending = text.suffix(2).reversed().prefix { $0 == 0x0a }.count
    breaks = ending == text.count ? min(2, breaks + ending) : ending
  }
}
