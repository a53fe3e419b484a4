import Foundation
import Synchronization
import System
import Testing

@Suite("A queue") struct DequeTests {
  @Test("it is first in, first out, whatever is mixed", arguments: [1, 7, 42])
  func model(seed: UInt64) {
    var random = seed
    func next(_ limit: UInt64) -> UInt64 {
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (random >> 33) % limit
    }
    var queue = Deque<Int>()
    var model: [Int] = []
    for number in 0..<20_000 {
      switch next(10) {
      case 0..<5:
        queue.append(number)
        model.append(number)
      case 5..<9: #expect(queue.popFirst() == (model.isEmpty ? nil : model.removeFirst()))
      default:
        if next(20) == 0 {
          #expect(queue.removeAll { $0 % 3 == 0 } == model.filter { $0 % 3 == 0 })
          model.removeAll { $0 % 3 == 0 }
        } else {
          queue.prepend(number)
          model.insert(number, at: 0)
        }
      }
      #expect(queue.count == model.count && queue.first == model.first && queue.isEmpty == model.isEmpty)
    }
    #expect(Array(queue) == model && queue.takeAll() == model && queue.isEmpty)
  }
}

@Suite("A serial thread") struct SerialThreadTests {
  @Test("it begins with the first job, does all in order, and ends when it is stopped")
  func order() {
    let done = Mutex<[Int]>([])
    let begun = Mutex(0)
    let thread = SerialThread<Int>(name: "test") {
      begun.withLock { $0 += 1 }
      return SerialWorker { jobs in done.withLock { $0 += jobs } }
    }
    #expect(begun.withLock { $0 } == 0)
    for number in 0..<1000 { #expect((try? thread.post(number).get()) != nil) }
    thread.stop()
    #expect(done.withLock { $0 } == Array(0..<1000) && begun.withLock { $0 } == 1)
    #expect(throws: SerialThread<Int>.Refusal.stopped) { try thread.post(1).get() }
  }

  @Test("what is over its limit is refused, and what was taken is done")
  func full() {
    let (entered, go) = (Promise<Bool>(), Promise<Bool>())
    let count = Mutex(0)
    let thread = SerialThread<Int>(name: "test", limit: 2) {
      SerialWorker { jobs in
        entered.fulfill(true)
        _ = go.wait()
        count.withLock { $0 += jobs.count }
      }
    }
    _ = thread.post(0)
    _ = entered.wait()
    #expect((try? thread.post(1).get()) != nil && (try? thread.post(2).get()) != nil)
    #expect(throws: SerialThread<Int>.Refusal.full) { try thread.post(3).get() }
    go.fulfill(true)
    thread.stop()
    #expect(count.withLock { $0 } == 3)
  }

  @Test("a worker with a sleep of its own is woken by each job, and by the end")
  func wakes() {
    let bell = Monitor(false)
    let done = Mutex<[Int]>([])
    let ended = Promise<Bool>()
    let thread = SerialThread<Int>(name: "test") {
      SerialWorker(
        perform: { jobs in done.withLock { $0 += jobs } },
        sleep: { bell.wait { rung in rung ? (rung = false) : nil } },
        wake: { bell.withLock { $0 = true } },
        end: { ended.fulfill(true) })
    }
    for number in 0..<100 { _ = thread.post(number) }
    thread.stop()
    #expect(done.withLock { $0 } == Array(0..<100) && ended.wait(milliseconds: 0) == true)
  }

  @Test("a job that means nothing before the first is dropped, and begins nothing")
  func dropped() {
    let thread = SerialThread<Int>(name: "test") { SerialWorker { _ in Issue.record("it has begun") } }
    #expect((try? thread.post(1, begins: false).get()) != nil)
    thread.stop()
  }
}

@Suite("A promise") struct PromiseTests {
  @Test("the first value counts, for everybody who waits")
  func first() throws {
    let promise = Promise<Int>()
    #expect(promise.wait(milliseconds: 1) == nil)
    try startThread(name: "test") { promise.fulfill(1) }
    #expect(promise.wait() == 1)
    promise.fulfill(2)
    #expect(promise.wait() == 1 && promise.wait(milliseconds: 0) == 1)
  }

  @Test("no limit is too large", arguments: [Int.max, Int.max / 1000])
  func limits(milliseconds: Int) throws {
    let promise = Promise<Int>()
    try startThread(name: "test") { promise.fulfill(1) }
    #expect(promise.wait(milliseconds: milliseconds) == 1)
  }
}

@Suite("A child process") struct SubprocessTests {
  private func run(_ words: String..., change: (inout Subprocess.Plan) -> Void = { _ in }) throws -> (text: String, end: Subprocess.Exit) {
    var plan = Subprocess.Plan(words)
    change(&plan)
    let child = try Subprocess(plan)
    return (String(decoding: child.readAll().bytes, as: UTF8.self), child.wait())
  }

  @Test("it gets no descriptor of ours but its three")
  func descriptors() throws {
    // Not closed on exec: a leak, if there were one.
    let leak = dup(2)
    defer { close(leak) }
    let (text, end) = try run("/bin/sh", "-c", "for n in /proc/self/fd/*; do echo ${n##*/}; done")
    // The shell opens the folder itself, as one more.
    #expect(end == .status(0) && text.split(separator: "\n").count <= 4, "\(text)")
  }

  @Test("it reads as many bytes as it is given")
  func input() throws {
    let bytes = [UInt8](repeating: 7, count: 3 << 20)
    var plan = Subprocess.Plan(["cat"])
    plan.input = .bytes(bytes)
    let child = try Subprocess(plan)
    #expect(child.readAll().bytes == bytes && child.wait() == .status(0))
  }

  @Test("its end is told: a status, or a signal")
  func ends() throws {
    #expect(try run("/bin/sh", "-c", "exit 3").end == .status(3))
    #expect(try run("/bin/sh", "-c", "kill -9 $$").end == .signal(9))
  }

  @Test("no signal is blocked or ignored there, whatever is here")
  func signals() throws {
    let (text, _) = try run("/bin/sh", "-c", "grep -E 'Sig(Blk|Ign)' /proc/self/status")
    // Those from 32 on are the C library's own.
    let masks = text.split(separator: "\n").compactMap { UInt64($0.suffix(16), radix: 16) }
    #expect(masks.count == 2 && masks.allSatisfy { $0 & 0x7fff_ffff == 0 }, "\(text)")
  }

  @Test("one that says too much or takes too long is killed")
  func limits() throws {
    let noisy = try Subprocess(Subprocess.Plan(["/bin/sh", "-c", "while :; do echo xxxxxxxxxxxxxxxx; done"]))
    #expect(!noisy.readAll(limit: 1 << 20).isWhole && noisy.wait() == .signal(SIGKILL))
    let slow = try Subprocess(Subprocess.Plan(["sleep", "100"]))
    #expect(!slow.readAll(milliseconds: 10).isWhole && slow.wait() == .signal(SIGKILL))
  }

  @Test("the end of its lifeline tells it that we have gone")
  func lifeline() throws {
    var plan = Subprocess.Plan(["/bin/sh", "-c", "read line; echo gone"])
    plan.input = .lifeline
    let child = try Subprocess(plan)
    child.hangUp()
    #expect(String(decoding: child.readAll().bytes, as: UTF8.self) == "gone\n" && child.wait() == .status(0))
  }

  @Test("a signal reaches all of its group")
  func group() throws {
    var plan = Subprocess.Plan(["/bin/sh", "-c", "sleep 100 & sleep 100"])
    plan.group = .own
    let child = try Subprocess(plan)
    child.signal(SIGKILL)
    #expect(child.readAll().isWhole && child.wait() == .signal(SIGKILL))
  }

  @Test("what cannot be started is told with the reason, and leaves nothing open")
  func absent() throws {
    let before = try Folder.names(in: "/proc/self/fd").count
    for _ in 0..<50 {
      let failed = #expect(throws: Subprocess.Failed.self) {
        var plan = Subprocess.Plan(["/no/such/program"])
        (plan.input, plan.errors) = (.lifeline, .pipe)
        _ = try Subprocess(plan)
      }
      #expect(failed?.errno == Errno(number: ENOENT) && failed?.program == "/no/such/program")
    }
    #expect(try Folder.names(in: "/proc/self/fd").count < before + 50)
  }
}

@Suite("A folder") struct FolderTests {
  @Test("its names come sorted, and one that cannot be read is an error, never empty")
  func names() throws {
    let folder = NSTemporaryDirectory() + "bat-folder-\(UInt64.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for name in ["b", "a", ".c"] { _ = FileManager.default.createFile(atPath: folder + "/" + name, contents: nil) }
    #expect(try Folder.names(in: folder) == [".c", "a", "b"])
    #expect(throws: Errno(number: ENOENT)) { try Folder.names(in: folder + "/none") }
    #expect(throws: Errno(number: ENOTDIR)) { try Folder.names(in: folder + "/a") }
  }
}
