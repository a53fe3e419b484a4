import Glibc
import System

/// The text of a PDF, by the program `pdftotext`.
enum PDFText {
  /// The limit of its output, in bytes.
  private static let longest = 64 << 20

  /// So long may it take, in milliseconds.
  private static let patience = 300_000

  /// - Parameter document: the whole file.
  static func read(_ document: [UInt8]) throws(SourceFile.Refused) -> [UInt8] {
    var plan = Subprocess.Plan(["pdftotext", "-q", "-enc", "UTF-8", "-", "-"])
    plan.input = .bytes(document)
    plan.errors = .nothing
    let child: Subprocess
    do throws(Subprocess.Failed) { child = try Subprocess(plan) } catch {
      throw SourceFile.Refused(
        why: error.errno.number == ENOENT
          ? "pdftotext is not installed: `apt install poppler-utils`, and ingest again" : "\(error)")
    }
    let (text, isWhole) = child.readAll(milliseconds: patience, limit: longest)
    guard isWhole else {
      throw SourceFile.Refused(
        why: "it has more than \(longest >> 20) MiB of text, or takes more than \(patience / 60_000) minutes to read")
    }
    guard child.wait() == .status(0) else {
      throw SourceFile.Refused(why: "pdftotext cannot read it: it is damaged, or locked by a password")
    }
    return text
  }
}
