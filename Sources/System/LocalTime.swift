import Glibc

/// A moment as the user's own clock tells it, written as strftime(3) does: "%Y-%m-%d %H:%M".
///
/// - Parameter milliseconds: since 1970.
public func localTime(_ milliseconds: Int64, _ format: String) -> String {
  var seconds = time_t(milliseconds / 1000)
  var parts = tm()
  localtime_r(&seconds, &parts)
  var buffer = [CChar](repeating: 0, count: 64)
  let count = strftime(&buffer, buffer.count, format, &parts)
  return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
}
