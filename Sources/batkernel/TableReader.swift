import Kernel
import Wire

/// Reads one table of the configuration, and remembers what was asked for: that is what is known.
///
/// Each `read` leaves its target as it is when the key is missing or wrong; what is wrong is noted.
final class TableReader {
  /// Collects what is wrong with one file.
  final class Findings {
    let file: String
    private(set) var all: [ConfigurationError.Finding] = []
    init(file: String) { self.file = file }

    func add(_ position: TOMLValue.Position?, _ key: String?, _ message: String) {
      all.append(.init(file: file, position: position, key: key, message: message))
    }
    /// In the order of the file.
    func sorted() -> [ConfigurationError.Finding] {
      all.enumerated().map { (line: $1.position?.line ?? 0, column: $1.position?.column ?? 0, number: $0, finding: $1) }
        .sorted { ($0.line, $0.column, $0.number) < ($1.line, $1.column, $1.number) }.map(\.finding)
    }
  }

  let path: String
  let entries: [TOMLValue.Entry]
  private let findings: Findings
  private var known: [String] = []
  /// The known keys whose value is a string, a number …: a slip in one of them is told by the kind of its value.
  private var kinds: [String: Set<String>] = [:]

  /// Where it begins; nil: it is not there, or it is the whole document.
  private let start: TOMLValue.Position?

  /// `path` is "" for the whole document.
  init(path: String, entries: [TOMLValue.Entry], start: TOMLValue.Position? = nil, findings: Findings) {
    self.path = path
    self.entries = entries
    self.start = start
    self.findings = findings
  }

  func name(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  func note(_ key: String, _ message: String) { findings.add(position(of: key) ?? start, name(key), message) }

  func position(of key: String) -> TOMLValue.Position? { entries.first { $0.key == key }?.value.position }

  func value(_ key: String) -> TOMLValue? { entries.first { $0.key == key }?.value }

  private func value(_ key: String, _ kinds: Set<String>) -> TOMLValue? {
    known.append(key)
    self.kinds[key] = kinds
    return value(key)
  }

  private func noteKind(_ key: String, _ wanted: String, _ found: TOMLValue) { note(key, "must be \(wanted), and is \(found.kind)") }

  // ── Reading ──

  /// A table below this one; an empty one when there is none.
  func table(_ key: String) -> TableReader {
    var entries: [TOMLValue.Entry] = []
    let value = value(key, ["a table"])
    if let value {
      if case .table(let found) = value.content { entries = found } else { noteKind(key, "a table, as in [\(name(key))]", value) }
    }
    return TableReader(path: name(key), entries: entries, start: value?.position, findings: findings)
  }

  func string(_ key: String) -> String? {
    guard let value = value(key, ["a string"]) else { return nil }
    guard case .string(let text) = value.content else {
      noteKind(key, "a string", value)
      return nil
    }
    return checked(text, key)
  }

  private func checked(_ text: String, _ key: String) -> String? {
    if text.allSatisfy(\.isWhitespace) {
      note(key, "is empty; give it a value or leave the line out")
    } else if text.utf8.contains(0) {
      note(key, "holds a zero byte")
    } else {
      return text
    }
    return nil
  }

  func read(_ key: String, into target: inout String) { if let text = string(key) { target = text } }
  func read(_ key: String, into target: inout String?) { if let text = string(key) { target = text } }

  func strings(_ key: String, orOne: Bool = false, mayBeEmpty: Bool = false) -> [String]? {
    guard let value = value(key, ["an array"]) else { return nil }
    switch value.content {
    case .string(let text) where orOne: return checked(text, key).map { [$0] }
    case .string(let text):
      note(key, "must be an array of strings, and is a string; write \(key) = [\(JSON.string(text).text)]")
      return nil
    case .array(let elements):
      var texts: [String] = []
      for element in elements {
        guard case .string(let text) = element.content else {
          findings.add(element.position, name(key), "must hold strings only, and here is \(element.kind)")
          return nil
        }
        guard let text = checked(text, key) else { return nil }
        texts.append(text)
      }
      if texts.isEmpty, !mayBeEmpty {
        note(key, "is empty; give it a value or leave the line out")
        return nil
      }
      return texts
    default:
      noteKind(key, orOne ? "a string or an array of strings" : "an array of strings", value)
      return nil
    }
  }

  func read(_ key: String, _ range: ClosedRange<Int>, into target: inout Int) { if let number = integer(key, range) { target = number } }
  func read(_ key: String, _ range: ClosedRange<Int>, into target: inout Int?) { if let number = integer(key, range) { target = number } }

  private func integer(_ key: String, _ range: ClosedRange<Int>) -> Int? {
    guard let value = value(key, ["a whole number", "a number"]) else { return nil }
    guard case .integer(let number) = value.content else {
      noteKind(key, "a whole number", value)
      return nil
    }
    guard range.contains(Int(number)) else {
      note(key, "is \(number), and must be from \(range.lowerBound) to \(range.upperBound)")
      return nil
    }
    return Int(number)
  }

  func read(_ key: String, _ range: ClosedRange<Double>, into target: inout Double?) {
    guard let value = value(key, ["a whole number", "a number"]) else { return }
    let number: Double
    switch value.content {
    case .integer(let integer): number = Double(integer)
    case .number(let double): number = double
    default: return noteKind(key, "a number", value)
    }
    guard range.contains(number) else { return note(key, "is \(number), and must be from \(range.lowerBound) to \(range.upperBound)") }
    target = number
  }

  func read(_ key: String, into target: inout Bool) {
    guard let value = value(key, ["true or false"]) else { return }
    guard case .boolean(let boolean) = value.content else { return noteKind(key, "true or false", value) }
    target = boolean
  }

  /// One of a few words.
  func choice<T>(_ key: String, _ choices: [(word: String, value: T)]) -> T? {
    guard let word = string(key) else { return nil }
    if let choice = choices.first(where: { $0.word == word }) { return choice.value }
    let words = choices.map(\.word)
    note(key, "\"\(word)\" is none of \(words.joined(separator: ", "))\(Self.question(word, words))")
    return nil
  }

  // ── What was not asked for ──

  /// Notes every key that was not asked for.
  func refuseOthers() {
    for entry in entries where !known.contains(entry.key) {
      let question = Self.question(entry.key, known)
      note(entry.key, "unknown key" + (question.isEmpty ? "; known here: \(known.sorted().joined(separator: ", "))" : question))
    }
  }

  /// Notes the keys that are one slip away from a known one and have a value that would suit it; all others are free.
  func refuseSlips() {
    for entry in entries where !known.contains(entry.key) {
      let meant = known.first { Suggestion.distance(entry.key.lowercased(), $0) <= 1 && kinds[$0]?.contains(entry.value.kind) == true }
      if let meant, value(meant) == nil {
        note(entry.key, "unknown key; did you mean \(meant)? (A key of the persona's own needs a name that is less like it)")
      }
    }
  }

  static func question(_ word: String, _ words: [String]) -> String {
    Suggestion.nearest(to: word, among: words).map { "; did you mean \($0)?" } ?? ""
  }
}
