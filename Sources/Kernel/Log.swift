import Glibc
import Synchronization

/// One part's way into the kernel's log: `log.info("listening", ["socket": path])`.
///
/// A value to copy freely, for any thread. A line that is below its part's level costs one atomic
/// load; neither message nor fields are computed.
public struct Log: Sendable {
  public typealias Fields = KeyValuePairs<String, any LogValue>

  private let part: LogPart
  private let output: LogOutput

  fileprivate init(part: LogPart, output: LogOutput) {
    self.part = part
    self.output = output
  }

  /// Whether lines of this level are written at the moment.
  public func writes(_ level: LogConfiguration.Level) -> Bool { level.rawValue >= part.level.load(ordering: .relaxed) }

  public func debug(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> Fields = [:]) {
    if writes(.debug) { output.write(.debug, part.name, message(), fields()) }
  }
  public func info(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> Fields = [:]) {
    if writes(.info) { output.write(.info, part.name, message(), fields()) }
  }
  public func warning(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> Fields = [:]) {
    if writes(.warning) { output.write(.warning, part.name, message(), fields()) }
  }
  public func error(_ message: @autoclosure () -> String, _ fields: @autoclosure () -> Fields = [:]) {
    if writes(.error) { output.write(.error, part.name, message(), fields()) }
  }
  /// For a level that is known only at run time.
  public func write(_ level: LogConfiguration.Level, _ message: @autoclosure () -> String, _ fields: @autoclosure () -> Fields = [:]) {
    if writes(level) { output.write(level, part.name, message(), fields()) }
  }
}

/// What may stand in a log line's fields: strings, numbers, booleans.
public protocol LogValue: Sendable {
  /// As it is written where no quotes are needed.
  var logText: String { get }
  /// Whether JSON wants it in quotes.
  var isLogString: Bool { get }
}
extension String: LogValue {
  public var logText: String { self }
  public var isLogString: Bool { true }
}
extension LogValue where Self: BinaryInteger {
  public var logText: String { String(self) }
  public var isLogString: Bool { false }
}
extension Int: LogValue {}
extension Int32: LogValue {}
extension Int64: LogValue {}
extension UInt16: LogValue {}
extension UInt32: LogValue {}
extension UInt64: LogValue {}
extension Bool: LogValue {
  public var logText: String { self ? "true" : "false" }
  public var isLogString: Bool { false }
}
extension Double: LogValue {
  public var logText: String { "\(self)" }
  /// JSON has no infinity and no NaN.
  public var isLogString: Bool { !isFinite }
}

/// The kernel's log: hands out parts, knows their levels, owns no descriptor.
///
/// Any thread. Each line is one write(2), so lines of several threads do not mix (a pipe promises
/// that up to 4,096 bytes).
public final class Logger: Sendable {
  private let parts = Mutex<(configuration: LogConfiguration, parts: [String: LogPart])>((LogConfiguration(), [:]))
  private let output: LogOutput

  /// `descriptor` is borrowed and must stay open; `now` is the time of day, replaced in tests.
  public init(
    _ configuration: LogConfiguration, descriptor: Int32 = STDERR_FILENO, now: @escaping @Sendable () -> timespec = Logger.timeOfDay
  ) {
    output = LogOutput(descriptor: descriptor, now: now)
    configure(configuration)
  }

  /// The log of one part: "bus", "io", "reload", "llm", "config", or a persona's name.
  public func part(_ name: String) -> Log {
    let part = parts.withLock { state in
      if let known = state.parts[name] { return known }
      let new = LogPart(name: name, level: state.configuration.levels[name] ?? state.configuration.level)
      state.parts[name] = new
      return new
    }
    return Log(part: part, output: output)
  }

  /// Takes new levels and a new format over, also for the parts that are handed out.
  public func configure(_ configuration: LogConfiguration) {
    output.json.store(configuration.format == .json, ordering: .relaxed)
    parts.withLock { state in
      state.configuration = configuration
      for (name, part) in state.parts {
        part.level.store((configuration.levels[name] ?? configuration.level).rawValue, ordering: .relaxed)
      }
    }
  }

  @Sendable public static func timeOfDay() -> timespec {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return now
  }
}

private final class LogPart: Sendable {
  let name: String
  let level: Atomic<Int>

  init(name: String, level: LogConfiguration.Level) {
    self.name = name
    self.level = Atomic(level.rawValue)
  }
}

/// Makes lines and writes them.
private final class LogOutput: Sendable {
  let json = Atomic(false)
  private let descriptor: Int32
  private let now: @Sendable () -> timespec
  /// Lines that could not be written; told with the next one that can.
  private let lost = Atomic(0)

  init(descriptor: Int32, now: @escaping @Sendable () -> timespec) {
    self.descriptor = descriptor
    self.now = now
  }

  func write(_ level: LogConfiguration.Level, _ part: String, _ message: String, _ fields: Log.Fields) {
    let json = json.load(ordering: .relaxed)
    var text = line(level, part, message, fields, json: json)
    let missing = lost.exchange(0, ordering: .relaxed)
    if missing > 0 {
      text += line(.warning, "log", "lines before this one were lost: the log's reader did not keep up", ["lines": missing], json: json)
    }
    if !put(text) { lost.add(missing + 1, ordering: .relaxed) }
  }

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

  /// One write(2); more only if a signal or a full pipe broke the first off.
  private func put(_ line: [UInt8]) -> Bool {
    line.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let written = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if written > 0 {
          rest = rest.dropFirst(written)
        } else if written == 0 || errno != EINTR {
          return false
        }
      }
      return true
    }
  }
}

/// The bytes of a line. Nothing that came from outside can break it, or steer a terminal.
private struct LogLine {
  private(set) var bytes: [UInt8] = []

  init() { bytes.reserveCapacity(160) }

  static func needsQuotes(_ text: String) -> Bool {
    text.isEmpty || text.unicodeScalars.contains { $0.value <= 0x20 || $0 == "\"" || $0 == "=" || $0 == "\\" || isControl($0) }
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    // U+2028 and U+2029 end a line for some readers; the bidirectional controls show a line in another order than it has.
    switch scalar.value {
    case 0..<0x20, 0x7F..<0xA0, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
  }

  mutating func add(_ text: String) { bytes.append(contentsOf: text.utf8) }

  /// A JSON string.
  mutating func addQuoted(_ text: String) {
    add("\"")
    addEscaped(text, quoted: true)
    add("\"")
  }

  mutating func addEscaped(_ text: String, quoted: Bool = false) {
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"" where quoted, "\\" where quoted: add("\\\(scalar)")
      case "\n": add("\\n")
      case "\t": add("\\t")
      case "\r": add("\\r")
      case _ where Self.isControl(scalar): addHexadecimal(scalar)
      default: bytes.append(contentsOf: Unicode.UTF8.encode(scalar)!)
      }
    }
  }

  private mutating func addHexadecimal(_ scalar: Unicode.Scalar) {
    let digits = String(scalar.value, radix: 16)
    add("\\u" + String(repeating: "0", count: 4 - digits.count) + digits)
  }

  /// UTC with milliseconds: 2026-01-31T09:05:00.125Z.
  mutating func addTime(_ time: timespec) {
    var seconds = time.tv_sec
    var fields = tm()
    gmtime_r(&seconds, &fields)
    add(Int(fields.tm_year) + 1900, digits: 4)
    add("-")
    add(Int(fields.tm_mon) + 1, digits: 2)
    add("-")
    add(Int(fields.tm_mday), digits: 2)
    add("T")
    add(Int(fields.tm_hour), digits: 2)
    add(":")
    add(Int(fields.tm_min), digits: 2)
    add(":")
    add(Int(fields.tm_sec), digits: 2)
    add(".")
    add(time.tv_nsec / 1_000_000, digits: 3)
    add("Z")
  }

  private mutating func add(_ number: Int, digits: Int) {
    var divisor = 1
    for _ in 1..<digits { divisor *= 10 }
    while divisor > 0 {
      bytes.append(UInt8(ascii: "0") + UInt8(number / divisor % 10))
      divisor /= 10
    }
  }
}
