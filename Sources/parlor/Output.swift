import Client
import Glibc
import System

/// Standard output or standard error, written at once and without a buffer.
struct Output {
  let descriptor: Int32
  static let answer = Output(descriptor: 1)
  static let diagnostics = Output(descriptor: 2)

  /// Writes it all. A reader who has left (`parlor personas | head -1`) has had enough: an error without words that exits 0.
  func write(_ text: String) throws(CLIError) {
    var text = text
    var failure: Int32 = 0
    text.withUTF8 { bytes in
      var done = 0
      while done < bytes.count {
        let n = Glibc.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
        if n >= 0 {
          done += n
        } else if errno == EAGAIN {
          _ = waitForInput([], writing: [descriptor])
        } else if errno != EINTR {
          failure = errno
          return
        }
      }
    }
    if failure == EPIPE { throw CLIError(.ok, "") }
    if failure != 0 { throw CLIError(.failed, "cannot write the output: \(Errno(number: failure))") }
  }

  func line(_ text: String) throws(CLIError) { try write(text + "\n") }

  /// A reply: as one line of JSON, as it came, or as text for people.
  func reply(_ payload: Payload, json: Bool, _ text: @autoclosure () throws -> String) throws {
    try write(json ? payload.text + "\n" : text())
  }
}
