import Protocol
import Testing
import Wire

@testable import Kernel

@Suite("Timers") struct TimersTests {
  @Test("what is due comes in order of its instant, and what was taken back never")
  func order() {
    var timers = Timers<Int>()
    let keys = [50, 10, 40, 20, 30].map { timers.add(at: UInt64($0), $0) }
    timers.cancel(keys[2])
    var seen: [Int] = []
    while let next = timers.popDue(now: 45) { seen.append(next) }
    #expect(seen == [10, 20, 30])
    #expect(timers.next == 50)
  }

  @Test("a million short requests with long deadlines leave no heap behind")
  func sweep() {
    var timers = Timers<Void>()
    for i in 0..<1_000_000 { timers.cancel(timers.add(at: UInt64(i) + 600_000_000_000, ())) }
    #expect(timers.count == 0)
    #expect(timers.heapCount < 200)
  }
}

@Suite("Mailbox") struct MailboxTests {
  private func mail(_ sender: UInt64, _ bytes: Int, _ token: UInt64 = 1) -> Mail {
    Mail(
      token: token, sender: sender, line: Array(repeating: 0, count: bytes), envelope: Envelope(), source: [], trace: [], hops: 0,
      deadline: 0, wantsReply: true, wantsStream: false)
  }

  @Test("mail comes out in the order that it went in")
  func order() {
    var box = Mailbox()
    for i in 1...5000 { box.append(mail(UInt64(i % 7), 10, UInt64(i))) }
    for i in 1...4000 {
      let next = box.pop()
      #expect(next?.token == UInt64(i))
    }
    for i in 5001...6000 { box.append(mail(1, 10, UInt64(i))) }
    let rest = box.takeAll().map(\.token)
    #expect(rest == Array(4001...6000))
    #expect(box.isEmpty && box.bytes == 0)
  }

  @Test("one sender that floods fills half, and the others still get through")
  func shares() {
    var box = Mailbox()
    var taken = 0
    while box.offer(mail(1, 100), quota: 10_000) { taken += 1 }
    #expect(taken == 50)
    let (another, again) = (box.offer(mail(2, 100), quota: 10_000), box.offer(mail(1, 100), quota: 10_000))
    #expect(another && !again)
    while box.pop() != nil {}
    let later = box.offer(mail(1, 100), quota: 10_000)
    #expect(later)
  }

  @Test("senders take turns, so that one that has brought hundreds holds up nobody; each one's grams stay in order")
  func turns() {
    var box = Mailbox()
    for token in 1...300 { box.append(mail(1, 10, UInt64(token))) }
    for token in 301...303 { box.append(mail(2, 10, UInt64(token))) }
    let first = (0..<7).compactMap { _ in box.pop()?.token }
    #expect(first == [1, 301, 2, 302, 3, 303, 4])
    let rest = box.takeAll().map(\.token)
    #expect(rest == Array(5...300))
  }

  @Test("of a sender that has gone its oldest grams are kept, and the rest is handed out to be ended")
  func gone() {
    var box = Mailbox()
    for token in 1...200 { box.append(mail(1, 10, UInt64(token))) }
    box.append(mail(2, 10, 201))
    let (dropped, again, other) = (box.dropMail(of: 1), box.dropMail(of: 1), box.dropMail(of: 2))
    #expect(dropped.map(\.token) == Array(UInt64(Mailbox.keptOfGone + 1)...200) && again.isEmpty && other.isEmpty)
    #expect(box.count == Mailbox.keptOfGone + 1 && box.bytes == 10 * (Mailbox.keptOfGone + 1))
    let rest = box.takeAll().map(\.token)
    #expect(rest == Array(1...UInt64(Mailbox.keptOfGone)) + [201])
  }

  @Test("one message larger than the share fits an empty share")
  func large() {
    var box = Mailbox()
    let (whole, more) = (box.offer(mail(1, 9000), quota: 10_000), box.offer(mail(1, 1), quota: 10_000))
    #expect(whole && !more)
  }
}

@Suite("Names") struct NameRegistryTests {
  @Test("thousands of names are found, released and found no more")
  func table() {
    let table = NameRegistry()
    let all = (0..<5000).map { Array("name-\($0)".utf8) }
    let participants = all.map { table.make($0) }
    #expect(table.count == 5000)
    for (name, participant) in zip(all, participants) { #expect(table.find(name) === participant) }
    for participant in participants where participant.name.last == 0x37 { table.release(participant) }
    for (name, participant) in zip(all, participants) { #expect((table.find(name) === participant) == (name.last != 0x37)) }
    #expect(table.all.count == table.count)
  }
}

@Suite("Reload machine") struct ReloadMachineTests {
  typealias Action = ReloadMachine.Action
  private let broken = Failure(.failed, "broken")

  private func run(hasOld: Bool, force: Bool = false, _ events: [ReloadMachine.Event]) -> [[Action]] {
    var (machine, first) = ReloadMachine.begin(hasOld: hasOld, prepared: false, force: force, success: .reloaded)
    return [first] + events.map { machine.handle($0) }
  }

  @Test("a reload prepares, creates, saves, starts and switches, each step with a limit")
  func whole() {
    #expect(
      run(hasOld: true, [.prepared, .created, .saved, .started]) == [
        [.prepare], [.arm, .create], [.arm, .pauseAndSave], [.arm, .start], [.disarm, .switchOver, .finish(.reloaded, nil)],
      ])
  }

  @Test("a first load has nobody to save")
  func first() {
    #expect(run(hasOld: false, [.prepared, .created])[2] == [.arm, .start])
  }

  @Test("the same file again does nothing")
  func unchanged() {
    #expect(run(hasOld: true, [.unchanged]) == [[.prepare], [.finish(.unchanged, nil)]])
  }

  @Test("a failure before the switch discards the candidate, and gives the old one its mail back if it was paused")
  func failures() {
    #expect(run(hasOld: true, [.failed(broken)]).last == [.finish(.refused, broken)])
    #expect(run(hasOld: true, [.prepared, .failed(broken)]).last == [.disarm, .discard(stuck: false), .finish(.refused, broken)])
    #expect(
      run(hasOld: true, [.prepared, .created, .failed(broken)]).last == [
        .disarm, .discard(stuck: false), .resume, .finish(.refused, broken),
      ])
    #expect(
      run(hasOld: true, [.prepared, .created, .saved, .failed(broken)]).last == [
        .disarm, .discard(stuck: false), .resume, .finish(.refused, broken),
      ])
    #expect(
      run(hasOld: false, [.prepared, .created, .failed(broken)]).last == [.disarm, .discard(stuck: false), .finish(.refused, broken)])
  }

  @Test("a candidate that does not come back is given up with its thread")
  func stuck() {
    #expect(run(hasOld: true, [.prepared, .timeout]).last?.contains(.discard(stuck: true)) == true)
    #expect(run(hasOld: true, [.prepared, .created, .saved, .timeout]).last?.contains(.resume) == true)
  }

  @Test("an old generation that does not come back stops a reload, but not one with force")
  func force() {
    #expect(run(hasOld: true, [.prepared, .created, .timeout]).last?.contains(.resume) == true)
    #expect(run(hasOld: true, force: true, [.prepared, .created, .timeout]).last == [.arm, .start])
  }

  @Test("what comes after the end is ignored")
  func late() {
    let all: [ReloadMachine.Event] = [.prepared, .unchanged, .created, .saved, .started, .failed(broken), .timeout]
    for event in all { #expect(run(hasOld: true, [.failed(broken), event]).last == []) }
    for event in all { #expect(run(hasOld: true, [.prepared, .created, .saved, .started, event]).last == []) }
  }
}

@Suite("Failures") struct FailureTests {
  @Test("each status of persona.h and its code name each other")
  func statuses() {
    for code in Failure.Code.allCases where ![.badJSON, .nameRefused].contains(code) { #expect(Failure.Code(status: code.status) == code) }
    #expect(Failure.Code(status: -99) == .failed)
  }

  @Test(
    "the edit distance counts changes, additions, omissions and swaps",
    arguments: [("BRICK", "BRIK", 1), ("frame_byts", "frame_bytes", 1), ("ab", "ba", 1), ("", "abc", 3), ("same", "same", 0)])
  func distance(a: String, b: String, n: Int) { #expect(Suggestion.distance(a, b) == n) }
}
