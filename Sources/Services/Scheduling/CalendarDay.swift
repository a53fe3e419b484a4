import Glibc
import Kernel
import System

/// One day of the user's calendar, which may have 23 or 25 hours.
struct CalendarDay: Equatable, Sendable {
  /// As in "2026-11-23".
  let name: String
  /// Its first moment and that of the next day, in milliseconds since 1970.
  let begin: Int64
  let end: Int64

  /// The day of that moment.
  init(at milliseconds: Int64) {
    var seconds = time_t(milliseconds / 1000)
    var parts = tm()
    localtime_r(&seconds, &parts)
    name = localTime(milliseconds, "%Y-%m-%d")
    func midnight(after days: Int32) -> Int64 {
      var there = tm()
      (there.tm_year, there.tm_mon, there.tm_mday, there.tm_isdst) = (parts.tm_year, parts.tm_mon, parts.tm_mday + days, -1)
      return Int64(mktime(&there)) * 1000
    }
    begin = midnight(after: 0)
    end = midnight(after: 1)
  }

  func contains(_ milliseconds: Int64) -> Bool { begin <= milliseconds && milliseconds < end }

  /// When the next one begins, for people.
  var endText: String { localTime(end, "%Y-%m-%d %H:%M") }
}
