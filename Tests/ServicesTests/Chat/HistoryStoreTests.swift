import Foundation
import Kernel
import Synchronization
import Testing

@testable import Services

@Suite struct HistoryStoreTests {
  let key = ThreadKey(persona: "A", thread: "main")
  let estimate = TokenEstimate()

  private func add(_ name: String, to key: ThreadKey, _ store: HistoryStore, bytes: Int = 350) throws {
    let thread = try store.open(key, window: 100, estimate: estimate, now: 1).thread!
    try store.append(
      PromptTests.turn(name, bytes: bytes), TurnFacts(), to: thread, leftOut: 0, window: 100, estimate: estimate, now: 2)
  }

  private func answered(_ name: String, _ conversation: Conversation) -> AnsweredTurn {
    AnsweredTurn(
      key: key, thread: conversation.thread, messages: PromptTests.turn(name), facts: TurnFacts(), leftOut: 0, window: 4096,
      estimate: conversation.estimate)
  }

  private func contents(_ key: ThreadKey, _ store: HistoryStore, window: Int = 1_000_000) throws -> [String] {
    try store.open(key, window: window, estimate: estimate, now: 3).turns.map { String($0[0].content.prefix { $0 != "u" }) }
  }

  @Test("what was kept is there when the file is opened again, and the file is the user's alone")
  func reopened() throws {
    let folder = makeFolder() + "/deep/data"
    try add("1", to: key, HistoryStore(folder: folder))
    try add("2", to: key, HistoryStore(folder: folder))
    #expect(try contents(key, HistoryStore(folder: folder)) == ["1", "2"])
    func mode(_ path: String) -> mode_t {
      var info = stat()
      return stat(path, &info) == 0 ? info.st_mode & 0o777 : 0
    }
    #expect(mode(folder) == 0o700 && mode(folder + "/llm.sqlite") == 0o600)
  }

  @Test("a file that was begun before there were budgets takes them")
  func older() throws {
    let folder = makeFolder()
    try add("1", to: key, HistoryStore(folder: folder))
    let old = try SQLiteDatabase(folder + "/llm.sqlite")
    for sql in ["DROP TABLE spent", "PRAGMA user_version = 1"] { try old.run(sql, keep: false) }
    let store = try HistoryStore(folder: folder)
    try store.spend(7, persona: "A", day: "2026-11-23")
    #expect(try store.spent(on: "2026-11-23") == ["A": 7] && contents(key, store) == ["1"])
  }

  @Test("personas and threads are apart, and the list has the one used last first")
  func apart() throws {
    let store = try HistoryStore(folder: nil)
    let keys = [key, ThreadKey(persona: "A", thread: "other"), ThreadKey(persona: "B", thread: "main")]
    for (number, key) in keys.enumerated() { try add("\(number)", to: key, store) }
    for (number, key) in keys.enumerated() { #expect(try contents(key, store) == ["\(number)"]) }
    #expect(try store.threads(of: nil).map(\.key) == keys.reversed())
    #expect(try store.threads(of: "B").map(\.key) == [keys[2]])
    #expect(try store.threads(of: "C").isEmpty)
    #expect(try store.count == 3)
  }

  @Test("in a long conversation the beginning stays the same for several questions")
  func stable() throws {
    let store = try HistoryStore(folder: nil)
    let question = [ChatMessage(role: .user, content: String(repeating: "q", count: 350))]
    var begins: [String] = []
    for number in 1...40 {
      let conversation = try store.open(key, window: 4096, estimate: estimate, now: 1)
      let prompt = Prompt(
        system: "", earlier: conversation.turns, question: question, estimate: estimate, window: 4096, reserve: 1024)
      #expect(prompt.estimated + 1024 <= 4096)
      #expect(conversation.dropped + prompt.forgotten + prompt.kept == number - 1)
      begins.append(prompt.messages[0].content)
      try store.append(
        PromptTests.turn("\(number) "), TurnFacts(), to: conversation.thread!, leftOut: conversation.dropped + prompt.forgotten,
        window: 4096, estimate: estimate, now: 2)
    }
    let changes = zip(begins, begins.dropFirst()).filter { $0 != $1 }.count
    #expect(changes < 12, "the beginning changed \(changes) times in 40 questions")
    #expect(try store.read(key, last: nil)?.turns.count == 40, "trimming removes nothing")
  }

  @Test("of a long conversation no more is read than may fit the window, and a larger window brings back what was left out")
  func bounded() throws {
    let store = try HistoryStore(folder: nil)
    for number in 1...100 { try add("\(number) ", to: key, store) }
    // Each turn is estimated at 212 tokens.
    let small = try store.open(key, window: 1000, estimate: estimate, now: 3)
    #expect(small.turns.count == 5 && small.dropped == 95)
    #expect(small.turns.last?[0].content.hasPrefix("100 ") == true)
    try store.append(
      PromptTests.turn("101 "), TurnFacts(), to: small.thread!, leftOut: 97, window: 1000, estimate: estimate, now: 3)
    #expect(try store.open(key, window: 1000, estimate: estimate, now: 3).turns.count == 4)
    let large = try store.open(key, window: 4000, estimate: estimate, now: 3)
    #expect(large.turns.count == 19 && large.dropped == 82)
  }

  @Test("a conversation that is forgotten while a question runs stays forgotten")
  func forgottenMeanwhile() throws {
    let store = try HistoryStore(folder: nil)
    let old = try store.open(key, window: 100, estimate: estimate, now: 1)
    _ = try store.forget("A", thread: "main")
    func append(_ conversation: Conversation, _ name: String) throws {
      try store.append(
        PromptTests.turn(name), TurnFacts(), to: conversation.thread!, leftOut: 0, window: 100, estimate: estimate, now: 2)
    }
    try append(old, "1")
    #expect(try store.threads(of: nil).isEmpty)
    let new = try store.open(key, window: 100, estimate: estimate, now: 3)
    try append(old, "1")
    try store.keep(.init(text: "old", turns: 1), of: old.thread!)
    #expect(try contents(key, store) == [])
    try append(new, "2")
    #expect(try contents(key, store) == ["2"])
    #expect(try store.open(key, window: 100, estimate: estimate, now: 3).summary == nil)
  }

  @Test("a summary is used when all that it stands for is left out")
  func summaries() throws {
    let store = try HistoryStore(folder: nil)
    for number in 1...6 { try add("\(number) ", to: key, store) }
    let thread = try store.open(key, window: 900, estimate: estimate, now: 3).thread!
    try store.append(PromptTests.turn("7 "), TurnFacts(), to: thread, leftOut: 3, window: 900, estimate: estimate, now: 3)
    let found = try store.unsummarised(thread)
    #expect(found.summary == nil && found.turns.map { String($0[0].content.prefix(2)) } == ["1 ", "2 ", "3 "])
    try store.keep(.init(text: "short", turns: 2), of: thread)
    #expect(try store.unsummarised(thread).turns.count == 1)
    #expect(try store.open(key, window: 900, estimate: estimate, now: 3).usableSummary == .init(text: "short", turns: 2))
    #expect(try store.open(key, window: 9000, estimate: estimate, now: 3).usableSummary == nil, "the turns go along themselves")
  }

  @Test("forgetting leaves nothing in the bytes of the files")
  func nothingIsLeft() throws {
    let folder = makeFolder()
    let store = try HistoryStore(folder: folder)
    // Many turns of many sizes, in turns, so that the tree is split, balanced and chained in every way.
    var random = SystemRandomNumberGenerator()
    for number in 0..<600 {
      let name = ["SECRET", "PUBLIC", "OTHER"][number % 3]
      let size = [50, 300, 2000, 9000][Int.random(in: 0..<4, using: &random)]
      try add("\(name)-word-\(number) ", to: ThreadKey(persona: "A", thread: "the-\(name)-thread"), store, bytes: size)
    }
    let thread = try store.open(ThreadKey(persona: "A", thread: "the-SECRET-thread"), window: 100, estimate: estimate, now: 1).thread!
    try store.keep(.init(text: "SECRET once", turns: 1), of: thread)
    try store.keep(.init(text: "SECRET twice, and longer than it was before", turns: 2), of: thread)
    func occurrences(_ text: String) throws -> Int {
      try FileManager.default.contentsOfDirectory(atPath: folder).reduce(0) { sum, name in
        let data = try Data(contentsOf: URL(filePath: folder + "/" + name))
        var (count, rest) = (0, data[...])
        while let range = rest.range(of: Data(text.utf8)) {
          count += 1
          rest = rest[range.upperBound...]
        }
        return sum + count
      }
    }
    #expect(try occurrences("SECRET") > 200)
    #expect(try store.forget("A", thread: "the-SECRET-thread") == (1, 200))
    #expect(try occurrences("SECRET") == 0)
    #expect(try occurrences("PUBLIC") >= 200)
    #expect(try store.forget("A", thread: nil) == (2, 400))
    #expect(try occurrences("PUBLIC") == 0 && occurrences("OTHER") == 0)
  }

  @Test("single questions go when nobody has used them for 30 days; conversations stay, however old")
  func asks() throws {
    let now = Mutex<Int64>(0)
    let day: Int64 = 86_400_000
    let histories = Histories(folder: nil, clock: { now.withLock { $0 } }) { Issue.record("\($1)") }
    func ask(_ thread: String, day number: Int64) -> Int {
      now.withLock { $0 = number * day }
      let key = ThreadKey(persona: "A", thread: thread)
      let conversation = histories.open(key, window: 4096, estimate: estimate)
      let turn = AnsweredTurn(
        key: key, thread: conversation.thread, messages: PromptTests.turn("1"), facts: TurnFacts(), leftOut: 0, window: 4096,
        estimate: conversation.estimate)
      #expect(histories.append(turn))
      return histories.count
    }
    #expect(ask("ask:1", day: 0) == 1)
    #expect(ask("main", day: 0) == 2)
    #expect(ask("ask:2", day: 20) == 3)
    #expect(ask("ask:3", day: 30) == 4)
    #expect(ask("ask:4", day: 31) == 4, "ask:1 has gone")
    #expect(ask("ask:2", day: 49) == 4, "it is used again")
    #expect(ask("asking", day: 70) == 3, "ask:3 and ask:4 have gone")
    #expect(ask("main", day: 1000) == 2)
  }

  @Test("where the file cannot be written a conversation goes on in memory, and is kept when the disk takes it again")
  func withoutDisk() throws {
    let folder = makeFolder() + "/data"
    _ = FileManager.default.createFile(atPath: folder, contents: nil)
    let log = Lines()
    let histories = Histories(folder: folder, clock: { 5 }) { log.add("\($1)") }
    for number in 1...2 {
      let conversation = histories.open(key, window: 4096, estimate: estimate)
      #expect(conversation.turns.count == number - 1)
      #expect(!histories.append(answered("\(number)", conversation)))
    }
    #expect(histories.failures > 0 && log.all.contains { $0.contains(folder) })
    unlink(folder)
    let conversation = histories.open(key, window: 4096, estimate: estimate)
    #expect(conversation.thread != nil && conversation.turns.count == 2)
    #expect(histories.append(answered("3", conversation)))
    #expect(try contents(key, HistoryStore(folder: folder)) == ["1", "2", "3"])
  }

  @Test("numbers that cannot be, in the file, are mended when it is opened, and nothing that was said is lost")
  func poisoned() throws {
    let folder = makeFolder()
    for number in 1...3 { try add("\(number)", to: key, HistoryStore(folder: folder)) }
    try HistoryStore(folder: folder).spend(7, persona: "B", day: "2026-11-23")
    let file = try SQLiteDatabase(folder + "/llm.sqlite")
    for sql in [
      "INSERT INTO spent VALUES ('2026-11-23', 'A', 9223372036854775807)", "INSERT INTO spent VALUES ('2026-11-23', 'C', -5)",
      "INSERT INTO spent VALUES ('2026-11-23', 'D', 'many')",
      "UPDATE turn SET number = 9223372036854775807, prompt_tokens = -9223372036854775808, completion_tokens = 9223372036854775807 WHERE number = 3",
      "UPDATE turn SET at = 9223372036854775807",
      "UPDATE thread SET summary = 'x', summarised = -9223372036854775808, left_out = 9223372036854775807, bytes_per_token = 9e999, began = 'x', used = -9223372036854775808",
      "UPDATE thread SET id = 9223372036854775807", "UPDATE turn SET thread = 9223372036854775807",
      "UPDATE sqlite_sequence SET seq = 9223372036854775807",
    ] { try file.run(sql, keep: false) }
    let log = Lines()
    let store = try HistoryStore(folder: folder) { log.add($0) }
    #expect(log.all.count >= 5, "\(log.all)")
    #expect(try store.spent(on: "2026-11-23") == ["B": 7])
    #expect(try contents(key, store) == ["1", "2", "3"])
    try add("4", to: key, store)
    try add("5", to: ThreadKey(persona: "A", thread: "other"), store)
    let read = try #require(try store.read(key, last: nil))
    #expect(read.turns.map(\.number) == [1, 2, 3, 4] && read.summary == nil)
    #expect(read.turns[2].facts.promptTokens == 0)
    _ = try HistoryAnswer.answer(.export(persona: "A", thread: "main", last: nil, .markdown), store)
    try store.spend(.max, persona: "B", day: "2026-11-23")
    try store.spend(.max, persona: "B", day: "2026-11-23")
    #expect(try store.spent(on: "2026-11-23") == ["B": Budget.most])
    let again = Lines()
    _ = try HistoryStore(folder: folder) { again.add($0) }
    #expect(again.all == [], "what is mended is mended")
  }

  @Test("a turn that cannot be read is passed over, and the conversation goes on")
  func unreadable() throws {
    let folder = makeFolder()
    for number in 1...3 { try add("\(number)", to: key, HistoryStore(folder: folder)) }
    let file = try SQLiteDatabase(folder + "/llm.sqlite")
    try file.run("UPDATE turn SET messages = '[{\"role\":\"bat\"}]' WHERE number = 2", keep: false)
    let log = Lines()
    let store = try HistoryStore(folder: folder) { log.add($0) }
    #expect(try contents(key, store) == ["1", "3"])
    #expect(try store.read(key, last: nil)?.turns.count == 2 && log.all.contains { $0.contains("cannot be read") })
  }

  @Test("a file of a newer version is left alone, and said so")
  func newer() throws {
    let folder = makeFolder()
    _ = try HistoryStore(folder: folder)
    try SQLiteDatabase(folder + "/llm.sqlite").run("PRAGMA user_version = 99", keep: false)
    let error = #expect(throws: MemoryError.self) { try HistoryStore(folder: folder) }
    #expect(error?.message.contains("newer version (99") == true)
  }
}

/// Lines that were logged, on any thread.
final class Lines: Sendable {
  private let lines = Mutex<[String]>([])
  func add(_ line: String) { lines.withLock { $0.append(line) } }
  var all: [String] { lines.withLock { $0 } }
}
