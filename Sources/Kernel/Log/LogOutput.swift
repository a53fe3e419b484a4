import Glibc
import Synchronization

/// Makes lines of messages and gives them to the writer. Any thread.
final class LogOutput: Sendable {
  let json = Atomic(false)
  private let writer: LogWriter
  private let now: @Sendable () -> timespec

  init(_ writer: LogWriter, now: @escaping @Sendable () -> timespec) {
    self.writer = writer
    self.now = now
  }

  func write(_ level: LogConfiguration.Level, _ part: String, _ message: String, _ fields: Log.Fields) {
    let json = json.load(ordering: .relaxed)
    guard writer.write(line(level, part, message, fields, json: json)) else { return }
    let lost = writer.takeLost()
    if lost > 0 {
      let notice = line(
        .warning, "log", "lines before this one were lost: the log's reader did not keep up", ["lines": lost], json: json)
      // The notice itself is no line that somebody misses.
      if !writer.write(notice) { writer.giveBackLost(lost - 1) }
    }
  }

  /// Writes what waits, for at most so long.
  func finish(milliseconds: Int) { writer.finish(milliseconds: milliseconds) }

  private func line(_ level: LogConfiguration.Level, _ part: String, _ message: String, _ fields: Log.Fields, json: Bool) -> [UInt8] {
    var line = LogLine()
    if json {
      line.add("{\"time\":\"")
      line.addTime(now())
      line.add("\",\"level\":\"\(level)\",\"part\":")
      line.addQuoted(part)
      line.add(",\"message\":")
      line.addQuoted(message)
      for (key, value) in fields {
        line.add(",")
        line.addQuoted(key)
        line.add(":")
        if value.isLogString { line.addQuoted(value.logText) } else { line.add(value.logText) }
      }
      line.add("}\n")
    } else {
      line.addTime(now())
      line.add(" \(level) ")
      line.addEscaped(part)
      line.add(": ")
      line.addEscaped(message)
      for (key, value) in fields {
        line.add(" ")
        line.addEscaped(key)
        line.add("=")
        let text = value.logText
        if value.isLogString && LogLine.needsQuotes(text) { line.addQuoted(text) } else { line.add(text) }
      }
      line.add("\n")
    }
    return line.bytes
  }
}
