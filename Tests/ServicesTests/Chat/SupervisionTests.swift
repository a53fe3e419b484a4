import System
import Testing

@testable import Services

@Suite struct SupervisionTests {
  @Test("it is started when it is needed, and checked until it is well")
  func start() {
    var supervision = Supervision(startLimit: 10_000)
    #expect(supervision.nextTimer == nil)
    #expect(supervision.handle(.needed, at: 0) == [.start])
    #expect(supervision.handle(.needed, at: 1) == [])
    #expect(supervision.handle(.timer, at: supervision.nextTimer!) == [.check])
    #expect(supervision.nextTimer == nil, "one check at a time")
    #expect(supervision.handle(.health(false), at: 60) == [])
    #expect(supervision.handle(.timer, at: supervision.nextTimer!) == [.check])
    #expect(supervision.handle(.health(true), at: 120) == [.ready])
    #expect(supervision.isReady(at: 121))
  }

  @Test("after a silence it is asked for its health before it gets a question")
  func health() {
    var supervision = ready()
    #expect(!supervision.isReady(at: 10_000))
    #expect(supervision.handle(.needed, at: 10_000) == [.check])
    #expect(supervision.handle(.health(true), at: 10_001) == [.ready])
    #expect(supervision.handle(.needed, at: 20_000) == [.check])
    #expect(supervision.handle(.health(false), at: 22_000) == [.kill])
    #expect(supervision.handle(.exited, at: 22_001) == [])
    #expect(supervision.handle(.timer, at: supervision.nextTimer!) == [.start])
  }

  @Test("after a crash it is started again, later each time, and given up after three")
  func backOff() {
    var supervision = ready()
    #expect(supervision.handle(.exited, at: 1000) == [])
    #expect(supervision.nextTimer == 1250)
    #expect(supervision.handle(.timer, at: 1249) == [])
    #expect(supervision.handle(.timer, at: 1250) == [.start])
    #expect(supervision.handle(.exited, at: 1300) == [])
    #expect(supervision.nextTimer == 1800)
    #expect(supervision.handle(.needed, at: 1400) == [])
    #expect(supervision.handle(.timer, at: 1800) == [.start])
    #expect(supervision.handle(.exited, at: 1900) == [.giveUp])
    #expect(supervision.nextTimer == nil)
    #expect(supervision.handle(.needed, at: 2000) == [.start], "the next question tries again")
  }

  @Test("an answer makes the crashes before it forgotten")
  func answered() {
    var supervision = ready()
    for time in stride(from: Milliseconds(1000), to: 100_000, by: 10_000) {
      #expect(supervision.handle(.exited, at: time) == [])
      #expect(supervision.handle(.timer, at: supervision.nextTimer!) == [.start])
      #expect(supervision.handle(.timer, at: supervision.nextTimer!) == [.check])
      #expect(supervision.handle(.health(true), at: time + 500) == [.ready])
      #expect(supervision.handle(.answered, at: time + 600) == [])
    }
  }

  @Test("a start that takes too long is ended")
  func slow() {
    var supervision = Supervision(startLimit: 1000)
    #expect(supervision.handle(.needed, at: 0) == [.start])
    #expect(supervision.handle(.timer, at: 999) == [.check])
    #expect(supervision.handle(.health(false), at: 1001) == [.kill])
    #expect(supervision.handle(.health(true), at: 1002) == [], "too late")
    #expect(supervision.handle(.exited, at: 1003) == [])
  }

  func ready() -> Supervision {
    var supervision = Supervision(startLimit: 10_000)
    _ = supervision.handle(.needed, at: 0)
    _ = supervision.handle(.timer, at: 50)
    _ = supervision.handle(.health(true), at: 100)
    return supervision
  }
}
