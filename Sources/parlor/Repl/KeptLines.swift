/// The lines of a conversation that are kept over starts, until that fails: then why is said once. A value.
struct KeptLines {
  /// Nil: lines are not kept.
  private(set) var file: InputHistory?

  init(file: InputHistory?) { self.file = file }

  /// Hands over the lines of earlier starts. Each of these returns what is to be told; nil: nothing.
  mutating func read(_ take: ([String]) -> Void) -> String? { attempt { (file) throws(InputHistory.Trouble) in take(try file.lines()) } }

  /// A line that begins with a blank is not kept.
  mutating func add(_ line: String) -> String? {
    if line.hasPrefix(" ") || line.trimmed.isEmpty { return nil }
    return attempt { (file) throws(InputHistory.Trouble) in try file.add(line) }
  }

  mutating func forget(_ line: String) -> String? { attempt { (file) throws(InputHistory.Trouble) in try file.forget(line) } }

  private mutating func attempt(_ body: (InputHistory) throws(InputHistory.Trouble) -> Void) -> String? {
    guard let file else { return nil }
    do throws(InputHistory.Trouble) {
      try body(file)
      return nil
    } catch {
      self.file = nil
      return "what you write is not kept over starts: \(error.message.oneLine(300))"
    }
  }
}
