/// What Swift's backtracer writes when a process crashes, as far as an author wants to know it.
///
///     *** Program crashed: Bad pointer dereference at 0x0000000000000000 ***
///     Thread 2 "ECHO-2" crashed:
///       0 0x00007f5b99aa8eec receive + 104 in ECHO-3-0e88fc87.so at /house/Plugins/ECHO/ECHO.c:42:69
public struct CrashReport: Sendable, Equatable {
  /// "Bad pointer dereference at 0x0000000000000000"
  public var what: String
  /// The name of the thread, as in "ECHO-2".
  public var thread: String
  /// The innermost frame in a persona's library whose line is known: "receive at /house/Plugins/ECHO/ECHO.c:42:69".
  public var place: String?

  /// The last report in a text; nil: there is none.
  public init?(in text: some StringProtocol) {
    let lines = String(text).split(separator: "\n").map { $0.drop { $0 == " " } }
    guard let crashed = lines.lastIndex(where: { $0.hasPrefix("Thread ") && $0.hasSuffix(" crashed:") }) else { return nil }
    let names = lines[crashed].split(separator: "\"", omittingEmptySubsequences: false)
    thread = names.count > 2 ? String(names[1]) : ""
    let head = lines[..<crashed].last { $0.hasPrefix("*** ") && $0.contains("crashed: ") }
    let reason = head?.split(separator: "crashed: ", maxSplits: 1).last ?? "a crash"
    what = String(reason.hasSuffix(" ***") ? reason.dropLast(4) : reason)
    for line in lines[(crashed + 1)...] {
      if line.hasPrefix("Thread ") || line.hasPrefix("Registers") || line.hasPrefix("Images") { break }
      guard let place = Self.place(in: line) else { continue }
      self.place = place
      return
    }
  }

  /// Of a frame in a library with a known line.
  private static func place(in line: Substring) -> String? {
    guard line.first?.isNumber == true, let at = line.ranges(of: " at /").last, let within = line[..<at.lowerBound].ranges(of: " in ").last
    else { return nil }
    guard line[within.upperBound..<at.lowerBound].hasSuffix(".so") else { return nil }
    // Behind the number, marks and the address stands the function, and how far in it.
    var function = line[..<within.lowerBound].split(separator: " ").drop { word in
      word.allSatisfy(\.isNumber) || word.hasPrefix("[") || word.hasPrefix("0x")
    }
    if function.count > 2, function[function.endIndex - 2] == "+" { function = function.dropLast(2) }
    return "\(function.joined(separator: " ")) at \(line[at.lowerBound...].dropFirst(4))"
  }

  /// What makes a process write one to a file, in its environment.
  static func environment(writingTo path: String) -> String {
    "SWIFT_BACKTRACE=enable=yes,color=no,interactive=no,sanitize=no,threads=crashed,images=none,registers=none,output-to=\(path)"
  }
}
