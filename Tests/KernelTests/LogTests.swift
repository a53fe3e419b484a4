import Foundation
import Kernel
import Testing

@Suite struct LogTests {
  /// A nameless file that the logger writes.
  private final class Paper {
    let descriptor: Int32
    private let file: UnsafeMutablePointer<FILE>

    init() {
      file = tmpfile()!
      descriptor = fileno(file)
    }
    deinit { fclose(file) }

    /// Everything written.
    func text() -> String {
      lseek(descriptor, 0, SEEK_SET)
      return String(decoding: FileHandle(fileDescriptor: descriptor, closeOnDealloc: false).readDataToEndOfFile(), as: UTF8.self)
    }
  }

  private static func logger(_ paper: Paper, format: LogConfiguration.Format = .text, level: LogConfiguration.Level = .info) -> Logger {
    var configuration = LogConfiguration()
    configuration.format = format
    configuration.level = level
    return Logger(configuration, descriptor: paper.descriptor, now: { timespec(tv_sec: 1_769_850_300, tv_nsec: 125_999_999) })
  }

  @Test("a text line has time, level, part, message and fields")
  func textLine() {
    let paper = Paper()
    Self.logger(paper).part("bus").info("delivered", ["to": "BRICK", "bytes": 12, "fast": true, "share": 0.5, "path": "a b", "none": ""])
    #expect(paper.text() == "2026-01-31T09:05:00.125Z info bus: delivered to=BRICK bytes=12 fast=true share=0.5 path=\"a b\" none=\"\"\n")
  }

  @Test("a JSON line is one object whose fields keep their types")
  func jsonLine() throws {
    let paper = Paper()
    Self.logger(paper, format: .json).part("bus").warning(
      "say \"hi\"\n\u{1}", ["bytes": 12, "fast": true, "share": 0.5, "bad": Double.nan, "who": "é\\"])
    let line = try #require(JSONSerialization.jsonObject(with: Data(paper.text().utf8)) as? NSDictionary)
    #expect(
      line == [
        "time": "2026-01-31T09:05:00.125Z", "level": "warning", "part": "bus", "message": "say \"hi\"\n\u{1}", "bytes": 12, "fast": true,
        "share": 0.5, "bad": "nan", "who": "é\\",
      ] as NSDictionary)
  }

  @Test("nothing from outside breaks a line or steers a terminal", arguments: LogConfiguration.Format.allCases)
  func escapes(format: LogConfiguration.Format) {
    let paper = Paper()
    Self.logger(paper, format: format).part("x\ny").info("a\u{1B}[2Jb\r\n\u{202E}c\u{85}", ["k": "\u{2028}\u{7F}"])
    let text = paper.text()
    #expect(text.last == "\n")
    #expect(
      text.dropLast().unicodeScalars.allSatisfy {
        $0.value >= 0x20 && !(0x7F..<0xA0).contains($0.value) && !(0x2028...0x202E).contains($0.value)
      })
  }

  @Test("a line below its part's level is neither written nor computed")
  func levels() {
    let paper = Paper()
    var configuration = LogConfiguration()
    configuration.levels = ["bus": .debug, "llm": .error]
    let logger = Logger(configuration, descriptor: paper.descriptor)
    var computed: [String] = []
    func say(_ word: String) -> String {
      computed.append(word)
      return word
    }
    logger.part("bus").debug(say("one"))
    logger.part("io").debug(say("two"))
    logger.part("llm").warning(say("three"))
    logger.part("llm").write(.error, say("four"))
    #expect(computed == ["one", "four"])
    #expect(paper.text().split(separator: "\n").count == 2)
  }

  @Test("new levels and a new format reach the parts that are handed out")
  func reconfigures() {
    let paper = Paper()
    let logger = Self.logger(paper)
    let bus = logger.part("bus")
    bus.debug("unheard")
    var configuration = LogConfiguration()
    configuration.levels = ["bus": .debug]
    configuration.format = .json
    logger.configure(configuration)
    bus.debug("heard")
    logger.part("io").debug("unheard")
    let lines = paper.text().split(separator: "\n")
    #expect(lines.count == 1)
    #expect(lines.first?.hasPrefix("{") == true && lines.first?.contains("\"heard\"") == true)
  }

  @Test("lines of many threads do not mix")
  func threads() async {
    let paper = Paper()
    let logger = Self.logger(paper)
    let filler = String(repeating: "x", count: 100)
    await withTaskGroup(of: Void.self) { group in
      for writer in 0..<8 {
        group.addTask { for _ in 0..<40 { logger.part("w\(writer)").info(filler, ["n": writer]) } }
      }
    }
    let lines = paper.text().split(separator: "\n")
    #expect(lines.count == 320)
    #expect(lines.allSatisfy { line in (0..<8).contains { line == "2026-01-31T09:05:00.125Z info w\($0): \(filler) n=\($0)" } })
  }

  /// A pipe that nobody reads until the test does.
  private final class FullPipe {
    let writing: Int32
    private let reading: Int32
    /// How many lines of one page fit into it.
    let pages: Int
    private let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    private var rest: [UInt8] = []

    init() {
      var ends: [Int32] = [0, 0]
      pipe(&ends)
      (reading, writing) = (ends[0], ends[1])
      let f_getpipe_sz: Int32 = 1032
      pages = Int(fcntl(writing, f_getpipe_sz)) / page
    }
    deinit {
      close(reading)
      close(writing)
    }

    /// A message whose line fills a page, so that a full pipe takes nothing of it rather than half.
    func message(_ number: Int) -> String {
      let head = "\(number) "
      return head + String(repeating: "x", count: page - "2026-01-31T09:05:00.125Z info bus: \n".utf8.count - head.utf8.count)
    }
    var bytesOfLine: Int { page }

    /// Waits for the next line.
    func line() -> String {
      while true {
        if let end = rest.firstIndex(of: 0x0a) {
          defer { rest.removeFirst(end + 1) }
          return String(decoding: rest[..<end], as: UTF8.self)
        }
        var chunk = [UInt8](repeating: 0, count: 65536)
        let n = read(reading, &chunk, chunk.count)
        guard n > 0 else { return "" }
        rest += chunk[..<n]
      }
    }
  }

  @Test("a log that is not read makes nobody wait; when it is read, its lines come whole and in order")
  func waits() {
    let pipe = FullPipe()
    let logger = Logger(LogConfiguration(), descriptor: pipe.writing)
    let log = logger.part("bus")
    let flags = fcntl(pipe.writing, F_GETFL)
    let count = pipe.pages + 20
    for n in 0..<count { log.info(pipe.message(n)) }
    let long = String(repeating: "y", count: 3 * pipe.bytesOfLine)
    log.info(long)
    for n in 0..<count { #expect(pipe.line().contains(" info bus: \(n) xxx")) }
    #expect(pipe.line().hasSuffix(long))
    log.info("now")
    #expect(pipe.line().hasSuffix("info bus: now"))
    #expect(fcntl(pipe.writing, F_GETFL) == flags, "others share the descriptor")
  }

  @Test("lines that a full log lost are told of with the next one that gets through")
  func lost() {
    let pipe = FullPipe()
    let log = Logger(LogConfiguration(), descriptor: pipe.writing, backlogBytes: 2 * pipe.bytesOfLine).part("bus")
    for n in 0..<(pipe.pages + 2 + 3) { log.info(pipe.message(n)) }
    for n in 0..<(pipe.pages + 2) { #expect(pipe.line().contains(" info bus: \(n) xxx")) }
    log.info("after")
    #expect(pipe.line().hasSuffix("info bus: after"))
    #expect(pipe.line().hasSuffix("lines=3"))
  }

  @Test("at the end, what waits is written to who reads, and who does not read is not waited for")
  func finish() {
    let pipe = FullPipe()
    let logger = Logger(LogConfiguration(), descriptor: pipe.writing)
    for n in 0..<(pipe.pages + 3) { logger.part("bus").info(pipe.message(n)) }
    // It would wait for ever.
    logger.finish(milliseconds: 1)
    #expect(pipe.line().contains(" info bus: 0 xxx"))

    // However many lines there are.
    let deaf = FullPipe()
    let many = Logger(LogConfiguration(), descriptor: deaf.writing)
    for n in 0..<deaf.pages { many.part("bus").info(deaf.message(n)) }
    for _ in 0..<10_000 { many.part("bus").info("short") }
    let began = ContinuousClock.now
    many.finish(milliseconds: 1)
    #expect(ContinuousClock.now - began < .seconds(60))

    let read = FullPipe()
    let other = Logger(LogConfiguration(), descriptor: read.writing)
    for n in 0..<(read.pages + 3) { other.part("bus").info(read.message(n)) }
    for n in 0..<3 { #expect(read.line().contains(" info bus: \(n) xxx")) }
    other.finish(milliseconds: 20_000)
    for n in 3..<(read.pages + 3) { #expect(read.line().contains(" info bus: \(n) xxx")) }
  }
}
