import TestSupport
import Testing

@testable import Kernel

/// The states of a connection, as values: no socket, no clock.
@Suite("States of a connection") struct ConnectionStateTests {
  private static let limit = 100

  /// What becomes of lines of these lengths (with their newlines) when they come in pieces.
  private func verdicts(of lines: [Int], cutAt cuts: [Int]) -> [Framing.Verdict] {
    var framing = Framing()
    var verdicts: [Framing.Verdict] = []
    var kept = 0
    let ends = lines.reduce(into: [Int]()) { $0.append(($0.last ?? 0) + $1) }
    var at = 0
    for cut in cuts + [ends.last ?? 0] {
      for end in ends where end > at && end <= cut {
        let verdict = framing.ended(length: kept + end - at, limit: Self.limit)
        if verdict != .ignore { verdicts.append(verdict) }
        (kept, at) = (0, end)
      }
      let verdict = framing.unfinished(length: kept + cut - at, limit: Self.limit)
      if verdict == .tooLong { verdicts.append(verdict) }
      kept = verdict == .take ? kept + cut - at : 0
      at = cut
    }
    return verdicts
  }

  @Test("however the bytes come, each line is taken once, and each that is too long is told once")
  func framing() {
    let lines = [1, 100, 101, 50, 350, 2, 102, 103, 99]
    let told = lines.map { $0 > Self.limit ? Framing.Verdict.tooLong : .take }
    let whole = lines.reduce(0, +)
    #expect(verdicts(of: lines, cutAt: []) == told)
    for cut in 1..<whole { #expect(verdicts(of: lines, cutAt: [cut]) == told, "cut at \(cut)") }
    for step in 1...120 {
      #expect(verdicts(of: lines, cutAt: Array(stride(from: step, to: whole, by: step))) == told, "in pieces of \(step)")
    }
  }

  @Test("when nothing waits any line is taken; then a copy gives way first, a message at the quota, an answer far beyond it")
  func quota() {
    let quota = Quota(queueBytes: 1000, frameBytes: 100)
    for urgency in [Quota.Urgency.copy, .message, .answer] {
      #expect(quota.verdict(urgency, length: 1_000_000, waiting: 0) == .take)
    }
    #expect(quota.verdict(.copy, length: 50, waiting: 200) == .take)
    #expect(quota.verdict(.copy, length: 51, waiting: 200) == .refuse)
    #expect(quota.verdict(.message, length: 50, waiting: 950) == .take)
    #expect(quota.verdict(.message, length: 51, waiting: 950) == .refuse)
    #expect(quota.verdict(.answer, length: 50, waiting: 2050) == .take)
    #expect(quota.verdict(.answer, length: 51, waiting: 2050) == .cutOff)
  }

  @Test("where the house is full, messages are refused, and an answer is taken until a quarter of the quota waits")
  func house() {
    let quota = Quota(queueBytes: 1000, frameBytes: 100)
    for urgency in [Quota.Urgency.copy, .message, .answer] {
      #expect(quota.verdict(urgency, length: 1_000_000, waiting: 0, houseHasRoom: false) == .take)
    }
    #expect(quota.verdict(.message, length: 1, waiting: 1, houseHasRoom: false) == .refuse)
    #expect(quota.verdict(.copy, length: 1, waiting: 1, houseHasRoom: false) == .refuse)
    #expect(quota.verdict(.answer, length: 50, waiting: 200, houseHasRoom: false) == .take)
    #expect(quota.verdict(.answer, length: 51, waiting: 200, houseHasRoom: false) == .cutOff)
  }

  @Test(
    "what was put into a way out comes out, byte for byte, however it is taken; shared lines are kept once, and all is given back but one spare buffer"
  )
  func queue() {
    var random = SplitMix(state: 7)
    let house = HouseBytes(limit: .max)
    for _ in 0..<50 {
      var queue = OutQueue(house)
      var expected: [UInt8] = []
      var sent: [UInt8] = []
      for step in 0..<200 {
        let line = [UInt8](repeating: UInt8(step), count: Int(random.next() % 300) + 1)
        switch random.next() % 4 {
        case 0: line.withUnsafeBytes { queue.append($0.baseAddress!, $0.count) }
        case 1: queue.append(SharedLine(line, house), sent: 0)
        case 2 where line.count > 1:
          queue.append(SharedLine(line, house), sent: 1)
          expected += line.dropFirst()
          continue
        default:
          while !queue.isEmpty, random.next() % 3 != 0 {
            let some = queue.withFirst { Array($0.prefix(Int(random.next() % 400) + 1)) }
            sent += some
            queue.drop(some.count)
          }
          continue
        }
        expected += line
      }
      while !queue.isEmpty {
        let some = queue.withFirst { Array($0) }
        sent += some
        queue.drop(some.count)
      }
      #expect(sent == expected)
    }
    let spare = house.used
    #expect(spare <= 256 << 10)
    let line = SharedLine([UInt8](repeating: 0, count: 1000), house)
    do {
      var one = OutQueue(house)
      var two = OutQueue(house)
      one.append(line, sent: 0)
      two.append(line, sent: 500)
      let counts = [house.used, one.count, two.count]
      #expect(counts == [spare + 1000, 1000, 500])
      one.drop(1000)
      let isEmpty = one.isEmpty
      #expect(isEmpty)
    }
    #expect(house.used == spare + 1000)
    withExtendedLifetime(line) {}
  }

  @Test("a client is not read from while more than its quota waits for it")
  func reading() {
    let quota = Quota(queueBytes: 1000, frameBytes: 100)
    #expect(quota.isReadFrom(waiting: 1000) && !quota.isReadFrom(waiting: 1001))
  }

  @Test(
    "a first line is a bare name, or hello with a name or without",
    arguments: [
      ("GUI\n", Handshake.FirstLine.name(Array("GUI".utf8), .named)), (" GUI \r\n", .name(Array("GUI".utf8), .named)),
      (#"{"hello":1,"name":"G"}"#, .name(Array("G".utf8), .attached)),
      (#"{"hello":1,"name":"G","distinct":true}"#, .name(Array("G".utf8), .attached, distinct: true)),
      (#" {"hello":1}"#, .name(nil, .attached)),
      ("é", .name(Array("é".utf8), .named)), (String(repeating: "n", count: 64), .name(Array(repeating: 0x6e, count: 64), .named)),
    ])
  func greeting(line: String, meaning: Handshake.FirstLine) {
    let bytes = Array(line.utf8)
    #expect(Handshake.read(bytes.last == 0x0a ? bytes.dropLast() : bytes[...]) == meaning)
  }

  @Test(
    "a first line that names nobody is refused with what is wrong",
    arguments: [
      ("", "empty"), ("   ", "empty"), (String(repeating: "n", count: 65), "64 bytes"), ("a\"b", "quotes"), ("a\u{7}b", "control"),
      ("\rGUI", "control"),
      ("KERNEL", "not free"), ("*", "not free"), ("#news", "not free"), ("{\"hello\":2}", "neither"), ("{\"target\":\"X\"}", "neither"),
      (#"{"hello":1,"name":""}"#, "empty"), (#"{"hello":1,"name":"KERNEL"}"#, "not free"), (#"{"hello":1,"name":"KERNEL "}"#, "blanks"),
      (#"{"hello":1,"name":"\u009bA"}"#, "control"), (#"{"hello":1,"name":"\u200b"}"#, "invisible"), ("\u{2066}A", "control"),
    ])
  func refused(line: String, reason: String) {
    guard case .refused(let message) = Handshake.read(Array(line.utf8)) else {
      Issue.record("\(line) was taken")
      return
    }
    #expect(message.contains(reason), "\(message)")
  }

  @Test("a name that is no UTF-8 is refused") func bytes() {
    #expect(Handshake.read([0x47, 0xff]) == .refused("a name is UTF-8 without control characters, quotes and backslashes"))
  }
}
