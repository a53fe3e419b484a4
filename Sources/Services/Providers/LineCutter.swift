/// Cuts a stream of bytes into lines that end in LF, CR LF or CR, wherever the stream itself is cut.
struct LineCutter {
  /// A line longer than this, in bytes, is not waited for.
  static let limit = 16 << 20

  private var rest: [UInt8] = []
  private var afterReturn = false

  var isOverLimit: Bool { rest.count > Self.limit }

  /// The lines that are whole now, without their ends.
  mutating func receive(_ bytes: some Collection<UInt8>) -> [[UInt8]] {
    var lines: [[UInt8]] = []
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "\n") where afterReturn: afterReturn = false
      case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
        afterReturn = byte == UInt8(ascii: "\r")
        lines.append(rest)
        rest = []
      default:
        afterReturn = false
        rest.append(byte)
      }
    }
    return lines
  }

  /// The stream has ended: what is left without a line end, if there is anything.
  mutating func end() -> [UInt8]? {
    defer { rest = [] }
    return rest.isEmpty ? nil : rest
  }
}
