import Synchronization

/// What a running test reports, line by line, so that nothing is lost when it crashes. Any thread.
final class CheckLog: Sendable {
  enum Line: Equatable {
    /// A call of the persona's code begins, in words.
    case begins(String)
    /// It has returned.
    case returned
    case finding(CheckFinding)
    /// The test has come to its end.
    case ended
  }

  private let write: @Sendable (Line) -> Void
  /// Messages that were reported, so that what happens a thousand times is reported once. Guarded by its lock.
  private let said = Mutex<Set<String>>([])
  private let place = Mutex("")

  init(_ write: @escaping @Sendable (Line) -> Void) { self.write = write }

  /// The special circumstances, such as "without timer/1", which are added to every call and finding. Empty if there are none.
  var scene: String {
    get { place.withLock { $0 } }
    set { place.withLock { $0 = newValue } }
  }

  func begins(_ call: String) {
    let scene = scene
    write(.begins(scene.isEmpty ? call : "\(call), \(scene)"))
  }
  func returned() { write(.returned) }
  func ended() { write(.ended) }

  func find(_ level: CheckFinding.Level, _ message: String, isMeasured: Bool = false) {
    guard said.withLock({ $0.insert(message).inserted }) else { return }
    let scene = scene
    let words = scene.isEmpty || level == .note || level == .skipped ? message : "\(message); \(scene)"
    write(.finding(CheckFinding(level, words, isMeasured: isMeasured)))
  }
  func fail(_ message: String) { find(.failure, message) }
  func warn(_ message: String) { find(.warning, message) }
  func note(_ message: String) { find(.note, message) }
  /// A note that another run with the same seed may have otherwise.
  func measure(_ message: String) { find(.note, message, isMeasured: true) }
  func find(_ halt: Halt) { find(halt.finding.level, halt.finding.message) }
}

extension CheckLog.Line {
  /// The first byte of every line of the log, which tells it from what a persona prints: ASCII's record separator.
  static let mark: UInt8 = 0x1E

  /// The line as a child process writes it to its parent, in one write.
  var bytes: [UInt8] {
    let (letter, text): (Character, String) =
      switch self {
      case .begins(let call): (">", call)
      case .returned: ("<", "")
      case .finding(let finding):
        switch finding.level {
        case .failure: ("f", finding.message)
        case .warning: ("w", finding.message)
        case .skipped: ("s", finding.message)
        case .note: (finding.isMeasured ? "m" : "n", finding.message)
        }
      case .ended: (".", "")
      }
    // A write longer than PIPE_BUF may be interleaved with others.
    let flat = text.split(whereSeparator: \.isNewline).joined(separator: " · ")
    return [0x0A, Self.mark] + Array(String(letter).utf8) + flat.utf8.prefix(3900) + [0x0A]
  }

  /// nil if the line is not one of the log.
  init?(_ line: some Collection<UInt8>) {
    guard line.first == Self.mark, let letter = line.dropFirst().first else { return nil }
    let text = String(decoding: line.dropFirst(2), as: UTF8.self)
    switch letter {
    case UInt8(ascii: ">"): self = .begins(text)
    case UInt8(ascii: "<"): self = .returned
    case UInt8(ascii: "f"): self = .finding(CheckFinding(.failure, text))
    case UInt8(ascii: "w"): self = .finding(CheckFinding(.warning, text))
    case UInt8(ascii: "s"): self = .finding(CheckFinding(.skipped, text))
    case UInt8(ascii: "n"): self = .finding(CheckFinding(.note, text))
    case UInt8(ascii: "m"): self = .finding(CheckFinding(.note, text, isMeasured: true))
    case UInt8(ascii: "."): self = .ended
    default: return nil
    }
  }
}
