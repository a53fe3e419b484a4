/// Lines over which the kernel has ended, or a persona had to be replaced: they may be what has ended it. They are not offered
/// again, and who sends one all the same is asked once. A value.
struct SuspectLines {
  /// Whether the person has been asked since.
  private var lines: [String: Bool] = [:]

  mutating func mark(_ line: String) {
    if lines.count >= 1000 { lines = [:] }
    lines[line] = false
  }

  /// Whether to ask the person before this line is sent. The second time it is no more.
  mutating func holdsBack(_ line: String) -> Bool {
    guard let wasAsked = lines[line] else { return false }
    lines[line] = wasAsked ? nil : true
    return !wasAsked
  }
}
