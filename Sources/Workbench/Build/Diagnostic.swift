/// What a compiler or linker complains about.
public struct Diagnostic: Sendable, Equatable {
  public enum Severity: String, Sendable { case error, warning, note }
  /// Nil: the linker's, or the whole command's.
  public var file: String?
  /// From 1.
  public var line: Int?
  public var column: Int?
  public var severity: Severity
  public var message: String

  /// `LUCIUS.swift:12:5: error: …`, the path as it is told from a folder.
  public func text(from folder: String) -> String {
    var place = file ?? ""
    if place.hasPrefix(folder + "/") { place.removeFirst(folder.utf8.count + 1) }
    if let line { place += ":\(line)" }
    if let column { place += ":\(column)" }
    return (place.isEmpty ? "" : place + ": ") + "\(severity.rawValue): \(message)"
  }

  /// Reads what swiftc, clang, gcc, rustc (short), python and linkers write. Lines that belong to none are passed over; each complaint is told once.
  public static func read(_ output: String) -> [Diagnostic] {
    var found: [Diagnostic] = []
    for line in output.split(whereSeparator: \.isNewline) {
      guard let diagnostic = placed(line) ?? unplaced(line), !found.contains(diagnostic) else { continue }
      found.append(diagnostic)
    }
    return found
  }

  /// `file:line:column: severity: message`, with or without the column.
  private static func placed(_ line: Substring) -> Diagnostic? {
    for severity in ["fatal error", "error", "warning", "note"] {
      guard let mark = line.firstRange(of: ": \(severity): ") else { continue }
      let place = line[..<mark.lowerBound].split(separator: ":", omittingEmptySubsequences: false)
      guard place.count >= 2, let last = Int(place[place.count - 1]) else { continue }
      let kind = Severity(rawValue: severity.hasPrefix("fatal") ? "error" : severity) ?? .error
      if place.count >= 3, let row = Int(place[place.count - 2]) {
        return Diagnostic(
          file: place.dropLast(2).joined(separator: ":"), line: row, column: last, severity: kind, message: String(line[mark.upperBound...])
        )
      }
      return Diagnostic(
        file: place.dropLast().joined(separator: ":"), line: last, severity: kind, message: String(line[mark.upperBound...]))
    }
    return nil
  }

  private static func unplaced(_ line: Substring) -> Diagnostic? {
    if line.hasPrefix("error: ") { return Diagnostic(severity: .error, message: String(line.dropFirst(7))) }
    for tool in [
      "ld: ", "/usr/bin/ld: ", "ld.gold: ", "ld.lld: ", "collect2: error: ", "clang: error: ", "gcc: error: ", "cc: error: ", "make: *** ",
    ]
    where line.hasPrefix(tool) {
      let message = line.dropFirst(tool.count)
      // What stands before the complaint itself, and the driver's own sum of it.
      if message.hasSuffix(":") || message.contains("in function") || message.contains("ld returned")
        || message.contains("linker command failed")
      {
        return nil
      }
      return Diagnostic(severity: .error, message: String(message))
    }
    if let mark = line.firstRange(of: ": undefined reference to ") {
      return Diagnostic(severity: .error, message: "undefined reference to " + line[mark.upperBound...])
    }
    return nil
  }
}
