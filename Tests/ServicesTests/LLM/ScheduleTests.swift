import Testing

@testable import Services

@Suite struct ScheduleTests {
  func key(_ persona: String, _ thread: String = "main") -> ThreadKey { ThreadKey(persona: persona, thread: thread) }

  @Test("the personas come in turn, however many questions one of them has")
  func fairness() {
    var schedule = Schedule(slots: 1)
    for id in 1...4 { schedule.add(UInt64(id), persona: "A", thread: nil) }
    schedule.add(11, persona: "B", thread: nil)
    schedule.add(12, persona: "B", thread: nil)
    schedule.add(21, persona: "C", thread: nil)
    var order: [UInt64] = []
    while let id = schedule.next() {
      order.append(id)
      #expect(schedule.next() == nil, "one slot")
      schedule.remove(id)
    }
    #expect(order == [1, 11, 21, 2, 12, 3, 4])
  }

  @Test("two questions of one conversation never run together, and others pass them")
  func serial() {
    var schedule = Schedule(slots: 4)
    schedule.add(1, persona: "A", thread: key("A"))
    schedule.add(2, persona: "A", thread: key("A"))
    schedule.add(3, persona: "A", thread: key("A", "other"))
    schedule.add(4, persona: "B", thread: key("B"))
    #expect([schedule.next(), schedule.next(), schedule.next(), schedule.next()] == [1, 4, 3, nil])
    #expect(schedule.waitingCount == 1)
    schedule.remove(1)
    #expect(schedule.next() == 2)
    #expect(schedule.runningCount == 3)
  }

  @Test("what is removed while it waits never runs, and blocks nobody")
  func removal() {
    var schedule = Schedule(slots: 1)
    schedule.add(1, persona: "A", thread: key("A"))
    schedule.add(2, persona: "A", thread: key("A"))
    schedule.add(3, persona: "B", thread: key("B"))
    #expect(schedule.next() == 1)
    schedule.remove(2)
    schedule.remove(2)
    schedule.remove(99)
    #expect(!schedule.hasNext)
    schedule.remove(1)
    #expect(schedule.next() == 3)
    schedule.remove(3)
    #expect(!schedule.hasNext && schedule.waitingCount == 0 && schedule.runningCount == 0)
  }

  @Test("a question put back goes before the others of its persona")
  func first() {
    var schedule = Schedule(slots: 1)
    schedule.add(1, persona: "A", thread: key("A"))
    schedule.add(2, persona: "A", thread: key("A"))
    #expect(schedule.next() == 1)
    schedule.remove(1)
    schedule.add(1, persona: "A", thread: key("A"), first: true)
    #expect(schedule.next() == 1)
  }
}
