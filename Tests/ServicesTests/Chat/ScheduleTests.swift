import System
import Testing

@testable import Services

/// On a clock of the tests' own; times in milliseconds.
@Suite struct ScheduleTests {
  /// What runs, one after the other, if each takes as long as `length` says; who has been served until `end`.
  private func play(_ queue: inout FairQueue, until end: Milliseconds = .max, length: (UInt64) -> Milliseconds) -> [UInt64] {
    var order: [UInt64] = []
    var now: Milliseconds = 0
    while now < end, let id = queue.take(at: now) {
      order.append(id)
      now += length(id)
      queue.remove(id, at: now)
    }
    return order
  }

  @Test("the personas come in turn, however many questions one of them has")
  func turns() {
    var queue = FairQueue()
    for id in 1...4 { queue.add(UInt64(id), persona: "A") }
    for id in 11...12 { queue.add(UInt64(id), persona: "B") }
    queue.add(21, persona: "C")
    let order = play(&queue) { _ in 1000 }
    #expect(order == [1, 11, 21, 2, 12, 3, 4])
  }

  @Test("a persona with long questions does not starve one with short ones: both get the same time")
  func lengths() {
    var queue = FairQueue()
    for id in 1...20 { queue.add(UInt64(id), persona: "LONG") }
    for id in 101...150 { queue.add(UInt64(id), persona: "SHORT") }
    let order = play(&queue, until: 100_000) { $0 > 100 ? 1000 : 10_000 }
    let short = order.count { $0 > 100 }
    #expect((45...55).contains(short), "\(short) of the short ones in 50 of 100 seconds")
    // And never does the short one wait for more than one long question.
    #expect(!zip(order, order.dropFirst()).contains { $0 < 100 && $1 < 100 })
  }

  @Test("who was idle begins where the others are, and has saved nothing up")
  func idle() {
    var queue = FairQueue()
    for id in 1...10 { queue.add(UInt64(id), persona: "A") }
    var now: Milliseconds = 0
    for id in 1...5 {
      #expect(queue.take(at: now) == UInt64(id))
      now += 10_000
      queue.remove(UInt64(id), at: now)
    }
    for id in 11...20 { queue.add(UInt64(id), persona: "B") }
    var order: [UInt64] = []
    for _ in 1...6 {
      let id = queue.take(at: now)!
      order.append(id)
      now += 10_000
      queue.remove(id, at: now)
    }
    #expect(order.count { $0 > 10 } <= 4 && order.contains(6), "B may be one question ahead, not fifty seconds: \(order)")
  }

  @Test("with several slots those who begin together share them")
  func slots() {
    var schedule = Schedule(slots: 4)
    for id in 1...8 { schedule.add(UInt64(id), persona: "A", isInteractive: true) }
    for id in 11...18 { schedule.add(UInt64(id), persona: "B", isInteractive: true) }
    let first = (1...4).compactMap { _ in schedule.next(at: 0) }
    #expect(first == [1, 11, 2, 12])
    #expect(schedule.next(at: 0) == nil)
    #expect(!schedule.hasNext(at: 0))
    schedule.remove(11, at: 500)
    #expect(schedule.next(at: 500) == 13, "A still has two with the model, and B one")
  }

  @Test("what a person waits for goes before the rest, and of five questions one is of the rest")
  func lanes() {
    var schedule = Schedule(slots: 1)
    for id in 1...3 { schedule.add(UInt64(id), persona: "A", isInteractive: false) }
    for id in 11...22 { schedule.add(UInt64(id), persona: "B", isInteractive: true) }
    var order: [UInt64] = []
    while let id = schedule.next(at: 0) {
      order.append(id)
      schedule.remove(id, at: 0)
    }
    #expect(order == [11, 12, 13, 14, 1, 15, 16, 17, 18, 2, 19, 20, 21, 22, 3])
  }

  @Test("questions that hang hold no person up: those who wait get slots beside them, but not without end, and the rest gets none")
  func hanging() {
    var schedule = Schedule(slots: 4)
    (schedule.patience, schedule.growth) = (5000, 2)
    for id in 1...9 { schedule.add(UInt64(id), persona: "A", isInteractive: true) }
    schedule.add(20, persona: "B", isInteractive: false)
    #expect((1...5).map { _ in schedule.next(at: 0) } == [1, 2, 3, 4, nil])
    schedule.heard(1, at: 3000)
    schedule.heard(2, at: 3000)
    #expect(schedule.nextTimer(at: 100) == 5000 && schedule.next(at: 4999) == nil)
    #expect((1...3).map { _ in schedule.next(at: 5000) } == [5, 6, nil], "two hang")
    #expect(schedule.next(at: 60_000) == nil, "and no more than two slots grow")
    schedule.remove(3, at: 60_000)
    #expect(schedule.next(at: 60_000) == 7)
    for id in 1...9 { schedule.remove(UInt64(id), at: 60_000) }
    #expect(schedule.next(at: 60_000) == 20)
    for id in 30...33 { schedule.add(UInt64(id), persona: "B", isInteractive: false) }
    _ = (1...3).map { _ in schedule.next(at: 60_000) }
    #expect(schedule.nextTimer(at: 60_000) == nil && schedule.next(at: 90_000) == nil, "nobody waits for the rest")
  }

  @Test("the rest leaves one slot for persons")
  func reserve() {
    var schedule = Schedule(slots: 3)
    for id in 1...3 { schedule.add(UInt64(id), persona: "A", isInteractive: false) }
    let first = (1...3).map { _ in schedule.next(at: 0) }
    #expect(first == [1, 2, nil])
    #expect(!schedule.hasNext(at: 0) && schedule.waitingCount == 1)
    schedule.add(11, persona: "B", isInteractive: true)
    #expect(schedule.next(at: 0) == 11)
    schedule.remove(1, at: 10)
    #expect(schedule.next(at: 10) == 3)
  }

  @Test("what is removed while it waits never runs, and blocks nobody")
  func removal() {
    var schedule = Schedule(slots: 1)
    schedule.add(1, persona: "A", isInteractive: true)
    schedule.add(2, persona: "A", isInteractive: true)
    schedule.add(3, persona: "B", isInteractive: false)
    #expect(schedule.next(at: 0) == 1)
    schedule.remove(2, at: 0)
    schedule.remove(2, at: 0)
    schedule.remove(99, at: 0)
    #expect(!schedule.hasNext(at: 0))
    schedule.remove(1, at: 0)
    #expect(schedule.next(at: 0) == 3)
    schedule.remove(3, at: 0)
    #expect(!schedule.hasNext(at: 0) && schedule.waitingCount == 0 && schedule.runningCount == 0)
  }

  @Test("a question put back goes before the others of its persona")
  func first() {
    var schedule = Schedule(slots: 1)
    schedule.add(1, persona: "A", isInteractive: true)
    schedule.add(2, persona: "A", isInteractive: true)
    #expect(schedule.next(at: 0) == 1)
    schedule.remove(1, at: 0)
    schedule.add(1, persona: "A", isInteractive: true, first: true)
    #expect(schedule.next(at: 0) == 1)
  }

  @Test("two questions of one conversation never run together, and others pass them")
  func conversations() {
    let (main, other) = (ThreadKey(persona: "A", thread: "main"), ThreadKey(persona: "A", thread: "other"))
    var order = ConversationOrder()
    #expect(order.enter(1, main) == true)
    #expect(order.enter(2, main) == false)
    #expect(order.enter(3, main) == false)
    #expect(order.enter(4, other) == true)
    #expect(order.waitingCount == 2)
    #expect(order.leave(2, main) == nil, "it was not its turn")
    #expect(order.leave(1, main) == 3)
    #expect(order.leave(3, main) == nil)
    #expect(order.leave(4, other) == nil)
    #expect(order.waitingCount == 0)
    #expect(order.enter(5, main) == true)
  }
}
