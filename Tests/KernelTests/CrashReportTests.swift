import Testing

@testable import Kernel

@Suite struct CrashReportTests {
  private let text = """
    2026-11-29T14:31:26.479Z info reload: loaded persona=ECHO

    *** Signal 11: Backtracing from 0x7f5b99aa8eec... done ***

    *** Program crashed: Bad pointer dereference at 0x0000000000000000 ***

    Thread 0 "batkernel":

      0  0x00007f5b99aa5b31 epoll_wait + 289 in libc.so.6

    Thread 2 "ECHO-2" crashed:

      0  0x00007f5b99aa8eec __pthread_kill_implementation + 268 in libc.so.6
      1 [ra]          0x00007f5b99aa0000 read nowhere + 104 in ECHO-3-0e88fc87.so at /house/Plugins/ECHO/ECHO.c:42:69

        40\u{2502}

      2 [ra] [system] 0x00007f5b99aa0001 receive + 7 in ECHO-3-0e88fc87.so at /house/Plugins/ECHO/ECHO.c:50

    Registers:

    Backtrace took 0.01s
    """

  @Test("of a backtrace the thread, what happened and the innermost line of a library are told")
  func read() throws {
    let report = try #require(CrashReport(in: text))
    #expect(report.thread == "ECHO-2" && report.what == "Bad pointer dereference at 0x0000000000000000")
    #expect(report.place == "read nowhere at /house/Plugins/ECHO/ECHO.c:42:69")
    let lineless = text.replacing(" at /house", with: " of /house")
    #expect(CrashReport(in: lineless)?.place == nil && CrashReport(in: lineless)?.thread == "ECHO-2")
    #expect(CrashReport(in: "nothing of it\nThread 1 \"A\":\n") == nil)
  }

  @Test("any cut of a report is read without a trap")
  func cuts() {
    for count in 0...text.count { _ = CrashReport(in: text.prefix(count)) }
    for line in ["Thread  crashed:", "Thread \" crashed:", "*** crashed: \nThread 1 crashed:\n0 at /x in y.so at /"] {
      _ = CrashReport(in: line)
    }
  }
}
