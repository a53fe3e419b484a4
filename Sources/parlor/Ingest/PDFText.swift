import Glibc
import System

/// The text of a PDF, by the program `pdftotext`.
enum PDFText {
  struct Failed: Error { let why: String }

  static func read(_ path: String) throws(Failed) -> [UInt8] {
    var plan = Subprocess.Plan(["pdftotext", "-q", "-enc", "UTF-8", path, "-"])
    plan.errors = .nothing
    let child: Subprocess
    do throws(Subprocess.Failed) { child = try Subprocess(plan) } catch {
      throw Failed(
        why: error.errno.number == ENOENT
          ? "pdftotext is not installed: `apt install poppler-utils`, and ingest again" : "\(error)")
    }
    let text = child.readAll().bytes
    guard child.wait() == .status(0) else { throw Failed(why: "pdftotext cannot read it: it is damaged, or locked by a password") }
    return text
  }
}
