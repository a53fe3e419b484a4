import Foundation
import PersonaABI
import System
import TestSupport
import Testing

@testable import Kernel

@Suite("Values of state/1") struct StateStoreTests {
  private let store = StateStore()

  @Test("what a candidate puts, it sees itself, and others see it after the switch")
  func draft() {
    store.set("a", [1])
    store.open(2)
    #expect(store.set("a", [2], by: 2) == .done && store.set("b", [3], by: 2) == .done)
    #expect(store.get("a") == [1] && store.get("a", by: 2) == [2] && store.keys(prefix: "", by: 2) == ["a", "b"])
    #expect(store.keys(prefix: "") == ["a"])
    #expect(store.commit(2).isEmpty)
    #expect(store.get("a") == [2] && store.get("b") == [3])
  }

  @Test("a value that the running generation has put after a candidate's is not overwritten at the switch; nor is a removal")
  func lastPutCounts() {
    store.open(1)
    _ = store.commit(1)
    store.open(2)
    for key in ["changed", "removed", "kept"] { #expect(store.set(key, [2], by: 2) == .done) }
    #expect(store.set("changed", [1], by: 1) == .done && store.set("removed", nil, by: 1) == .done)
    #expect(store.get("changed", by: 2) == [1] && store.get("removed", by: 2) == nil)
    _ = store.commit(2)
    #expect(store.get("changed") == [1] && store.get("removed") == nil && store.get("kept") == [2])
  }

  @Test("a candidate's later put, or removal, does overwrite what the running generation put before it")
  func candidateLater() {
    store.set("a", [1])
    store.set("b", [1])
    store.open(2)
    #expect(store.set("a", [2], by: 2) == .done && store.set("b", nil, by: 2) == .done)
    #expect(store.keys(prefix: "", by: 2) == ["a"])
    _ = store.commit(2)
    #expect(store.get("a") == [2] && store.get("b") == nil)
  }

  @Test("what a candidate holds is bounded as all values are, and a refused one leaves nothing")
  func bounds() {
    let half = [UInt8](repeating: 0, count: StateStore.limit / 2 + 1)
    store.open(2)
    #expect(store.set("a", half, by: 2) == .done && store.set("b", half, by: 2) == .full)
    store.set("b", half)
    #expect(store.commit(2) == ["a"] && store.size.count == 1)
    store.open(3)
    #expect(store.set("c", [1], by: 3) == .done)
    store.close(3)
    #expect(store.set("c", [1], by: 3) == .retired && store.get("c") == nil)
    store.set("b", nil)
    #expect(store.size == (0, 0))
  }
}

@Suite("Bounds of an instance") struct InstanceBoundsTests {
  private func call(part: Bool = true) -> PendingRequests.Call {
    .init(part: part ? { _, _, _ in } : nil, done: { _, _, _, _ in }, context: nil)
  }

  @Test("pieces that wait are handed out as one; what goes beyond the bound is left out, and nothing that comes after it comes through")
  func pieces() throws {
    let requests = PendingRequests()
    let number = try #require(requests.begin(call()))
    #expect(requests.hold([1], for: number) && !requests.hold([2, 3], for: number))
    #expect(requests.takeHeld(for: number)?.text == [1, 2, 3] && requests.takeHeld(for: number) == nil)
    #expect(requests.hold([4], for: number))
    #expect(!requests.hold([UInt8](repeating: 0, count: PendingRequests.heldLimit), for: number) && !requests.hold([5], for: number))
    #expect(requests.takeHeld(for: number)?.text == [4] && !requests.hold([6], for: number))
    let silent = try #require(requests.begin(call(part: false)))
    #expect(!requests.hold([1], for: silent))
  }

  @Test("a request is cancelled once, and ends once")
  func once() throws {
    let requests = PendingRequests()
    let number = try #require(requests.begin(call()))
    #expect(requests.cancel(number) && !requests.cancel(number))
    #expect(requests.end(number) != nil && requests.end(number) == nil && !requests.cancel(number))
  }

  @Test("a share of the event loop's work has a bound in actions and in bytes; one action of any size fits when nothing else waits")
  func shares() {
    let quota = ActionQuota()
    #expect(quota.take(ActionQuota.bytes + 1) && !quota.take(1))
    quota.giveBack(ActionQuota.bytes + 1)
    for _ in 0..<ActionQuota.actions { #expect(quota.take(0)) }
    #expect(!quota.take(0))
  }

  @Test("jobs and mail of a lane take turns, each in order; a posted job beyond the bound is refused, and steps are not")
  func lane() throws {
    let gate = Promise<Bool>()
    let lane = try Lane(name: "test")
    lane.run { _ = gate.wait() }
    // The first has begun, or waits; it is no posted job.
    for _ in 0..<Lane.postLimit { if case .failure = lane.post({}) { Issue.record("refused too early") } }
    if case .failure(.full) = lane.post({}) {} else { Issue.record("more than the bound was taken") }
    let last = Promise<Bool>()
    #expect(lane.run { last.fulfill(true) })
    gate.fulfill(true)
    #expect(last.wait(milliseconds: 20_000) == true)
    lane.close()
    #expect(!lane.run {})
    if case .failure(.closed) = lane.post({}) {} else { Issue.record("a closed lane took a job") }
  }

  @Test("a persona that sends, posts or begins without end is refused beyond a bound, and goes on")
  func floods() throws {
    let house = try House([("FLOOD", "floods", [:])])
    let client = try house.attached("GUI")
    try house.settle("FLOOD", as: client)
    for (id, (method, limit)) in [
      ("sent", ActionQuota.actions), ("posted", Lane.postLimit), ("timed", PendingRequests.limit),
    ].enumerated() {
      let told = try client.ask("FLOOD", method, id: id + 1)
      #expect(told["taken"] == "\(limit)" && told["status"] == "\(PERSONA_E_QUEUE_FULL)", "\(method): \(told)")
    }
    #expect(try client.ask("FLOOD", "sent", id: 9)["taken"] == "\(ActionQuota.actions)")
  }
}

@Suite("What a rehearsal and a reload promise") struct ReloadPromiseTests {
  @Test("a program that a persona starts does not keep its rehearsal from ending")
  func helper() throws {
    let house = try House([("HELPED", "starts_helper", [:])], rehearse: true)
    let client = try house.attached("GUI")
    try house.settle("HELPED", as: client)
    #expect(try client.ask("HELPED", "any", id: 1)["count"] == "1")
  }

  @Test("what old code changes after its save is its own; what it puts into state/1 then, the new code sees")
  func afterSave() throws {
    let house = try House([("LATE", "writes_late", ["VERSION": "1"])])
    let (client, human, admin) = (try house.attached("GUI"), try house.attached("HUMAN"), try house.attached("ADMIN"))
    try house.settle("LATE", as: admin)
    try client.line(#"{"target":"LATE","method":"note","id":1}"#)
    let question = try human.gram { $0.method == "go" }
    #expect(try admin.ask("LATE", "look", id: 2)["late"] == "0")
    try house.build("LATE", "writes_late", defines: ["VERSION": "2"])
    #expect(try admin.ask("KERNEL", "personas.reload", #"{"name":"LATE"}"#, id: 3).line.contains(#""outcome":"reloaded""#))
    // Only now does the old code go on.
    try human.line(#"{"target":"LATE","re":\#(question.fields["id"].map { "\($0)" } ?? ""),"method":"reply"}"#)
    let noted = try client.gram { $0.re == "1" }
    #expect(noted["count"] == "100" && noted["version"] == "1", "\(noted)")
    let seen = try admin.ask("LATE", "look", id: 4)
    #expect(seen["count"] == "0" && seen["late"] == "1", "\(seen)")
  }

  @Test(
    "a child that does not keep to the replay's protocol ends the play in an error",
    arguments: [#"{"message":{}}"#, "no JSON", String(repeating: "x", count: 4096)])
  func protocolFault(_ words: String) throws {
    let host = ReplayHost(command: ["/bin/sh", "-c", "echo '\(words)'; exec sleep 60"], limitMilliseconds: 30_000, longestLine: 1024)
    let play = try host.play(Recording(persona: "A"), library: "/none")
    #expect(play.messages.isEmpty && play.broke?.message.contains("does not keep to the protocol") == true, "\(play)")
  }
}
