import Kernel

/// What must be true of any bytes that lie where a persona's library should be.
enum LibraryClaims {
  /// What files of libraries are damaged with: numbers that are too large, and lines of an about text.
  static let pieces: [[UInt8]] =
    [
      "bat-persona 1\n", "name = ", "version = 1\n", "state = 1", "state = 9223372036854775808", "reads 1-2", "needs = bus/1", "wants = ",
      "method.a = b\n", "takes.a = {", "gives.a = \"\\ud800\"", "config.a = integer, 1, one\n", "config = none", "talk = ", "\n", " = ",
      ",",
      "persona_entry_v1",
    ].map { Array($0.utf8) }
    + [
      [0xff, 0xff, 0xff, 0xff], [UInt8](repeating: 0xff, count: 8), [0, 0, 0, 0x80], [UInt8](repeating: 0, count: 16),
      [0x7f, 0x45, 0x4c, 0x46],
    ]

  /// True if the kernel would open it.
  static func check(_ input: [UInt8], _ memory: GuardedMemory) throws(BrokenClaim) -> Bool {
    // For the handler that prints an input that traps.
    let input = memory.withBytes(input, atEnd: true) { Array($0) }
    let (once, again) = (judge(input), judge(input))
    guard once == again else { throw BrokenClaim(claim: "a library judged twice is told differently: \(once), \(again)") }
    switch once {
    case .success(let about):
      guard !about.name.isEmpty, !about.text.isEmpty else { throw BrokenClaim(claim: "a library is taken that has no name") }
      return true
    case .failure(let why):
      guard !why.isEmpty, why.utf8.count < 64 << 10 else { throw BrokenClaim(claim: "a refusal has \(why.utf8.count) bytes") }
      return false
    }
  }

  private enum Verdict: Equatable {
    case success(About)
    case failure(String)
  }

  private static func judge(_ input: [UInt8]) -> Verdict {
    do throws(LibraryError) {
      return .success(try LibraryFile(input, path: "library").check(services: HostTables.services).about)
    } catch {
      return .failure(error.message)
    }
  }
}
