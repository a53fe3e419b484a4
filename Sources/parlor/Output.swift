import Client
import Glibc
import System

/// Standard output or standard error, written at once and without a buffer: the one way out of parlor.
///
/// What goes to a terminal is made harmless here, whoever made it (`Paint.rendered`). A file or a pipe gets the bytes of an answer as
/// they are. What stands on standard error is for people wherever it goes, and is always harmless.
struct Output {
  let descriptor: Int32
  static let answer = Output(descriptor: 1)
  static let diagnostics = Output(descriptor: 2)

  /// Writes it all.
  ///
  /// - Throws: for a reader who has left (`parlor personas | head -1`) an error without words that exits 0; `.interrupted` on Ctrl-C while
  ///   nobody reads. Of standard error nothing is thrown: there would be nowhere to tell it.
  func write(_ text: String) throws(CLIError) {
    try control(descriptor == 2 || Terminal.has(descriptor) ? Paint.rendered(text) : text)
  }

  func line(_ text: String) throws(CLIError) { try write(text + "\n") }

  /// One line of JSON: a file or a pipe gets it as it is; on a terminal nothing of it is hidden, and it is the same JSON.
  func json(_ text: String) throws(CLIError) { try control((Terminal.has(descriptor) ? text.visibleJSON : text) + "\n") }

  /// A reply: as one line of JSON, as it came, or as text for people.
  func reply(_ payload: Payload, json: Bool, _ text: @autoclosure () throws -> String) throws {
    if json { try self.json(payload.text) } else { try write(text()) }
  }

  /// What steers the terminal on purpose. What others have said has been made harmless in it.
  func control(_ text: String) throws(CLIError) {
    do throws(CLIError) { try writeBytes(text) } catch { if descriptor != 2 { throw error } }
  }

  /// So much is taken by a pipe that can be written at all, so that no `write` waits while a Ctrl-C comes.
  private static let piece = 4096

  private func writeBytes(_ text: String) throws(CLIError) {
    var text = text
    var failure: Int32 = 0
    var isInterrupted = false
    text.withUTF8 { bytes in
      var done = 0
      while done < bytes.count {
        if !waitUntilWritable() {
          isInterrupted = true
          return
        }
        let n = Glibc.write(descriptor, bytes.baseAddress! + done, min(Self.piece, bytes.count - done))
        if n >= 0 {
          done += n
        } else if errno != EINTR, errno != EAGAIN {
          failure = errno
          return
        }
      }
    }
    if isInterrupted { throw CLIError(.interrupted, "") }
    if failure == EPIPE { throw CLIError(.ok, "") }
    if failure != 0 { throw CLIError(.failed, "cannot write the output: \(Errno(number: failure))") }
  }

  /// False: somebody wants us to stop first.
  private func waitUntilWritable() -> Bool {
    var entries = [
      pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0), pollfd(fd: Signals.descriptor, events: Int16(POLLIN), revents: 0),
    ]
    var milliseconds: Int32 = -1
    while true {
      _ = poll(&entries, 2, milliseconds)
      if entries[0].revents != 0 { return true }
      if Signals.isInterrupted { return false }
      // Another signal waits there for its owner: from now on only a look now and then is left for the one that ends this.
      if entries[1].revents != 0 { (entries[1].fd, milliseconds) = (-1, 100) }
    }
  }
}
