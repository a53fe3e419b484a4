import Glibc
import System
import Workbench

/// Why a kernel has just ended, if it has crashed: from the log that `./bat up` keeps beside its socket.
enum CrashNote {
  /// How much of the end of the log is read, in bytes.
  private static let longest = 1 << 20

  /// Lines for people; none if there is no log there, or no crash at its end. `names`: the personas that are worked on.
  static func lines(besides socket: String, names: [String]) -> [String] {
    let folder = socket.lastIndex(of: "/").map { socket[...$0] } ?? ""
    guard let text = end(of: folder + "kernel.log") else { return [] }
    return lines(text, names: names, log: folder + "kernel.log")
  }

  static func lines(_ text: String, names: [String], log: String) -> [String] {
    guard let report = CrashReport(in: text) else { return [] }
    let persona = report.thread.lastIndex(of: "-").map { String(report.thread[..<$0]) } ?? report.thread
    let who = names.contains(persona) ? "\(persona) has crashed the kernel" : "the kernel crashed in \(report.thread)"
    let place = report.place.map { "  \($0)" } ?? "  no line of it is known; `./bat log --crash` shows the backtrace (\(log))"
    return ["\(who): \(report.what)", place]
  }

  private static func end(of path: String) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    if file < 0 { return nil }
    defer { close(file) }
    let size = lseek(file, 0, SEEK_END)
    var bytes = [UInt8](repeating: 0, count: min(longest, max(0, Int(size))))
    let count = max(0, pread(file, &bytes, bytes.count, max(0, size - off_t(longest))))
    return String(decoding: bytes[..<count], as: UTF8.self)
  }
}
