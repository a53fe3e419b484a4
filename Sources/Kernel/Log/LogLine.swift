import Glibc
import Wire

/// The bytes of a line. Nothing that came from outside can break it, or steer a terminal.
struct LogLine {
  private(set) var bytes: [UInt8] = []

  init() { bytes.reserveCapacity(160) }

  static func needsQuotes(_ text: String) -> Bool {
    text.isEmpty || text.unicodeScalars.contains { $0.value <= 0x20 || $0 == "\"" || $0 == "=" || $0 == "\\" || $0.steersDisplay }
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
      case _ where scalar.steersDisplay: for unit in String(scalar).utf16 { addHexadecimal(unit) }
      default: bytes.append(contentsOf: Unicode.UTF8.encode(scalar)!)
      }
    }
  }

  private mutating func addHexadecimal(_ unit: UInt16) {
    let digits = String(unit, radix: 16)
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
