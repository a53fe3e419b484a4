import Testing
import Wire

@Suite("JSON values") struct JSONTests {
  @Test(
    "what is read is written again, keys sorted",
    arguments: [
      (#" { "b" : [ 1 , -2.5e3 , true , null ] , "a" : "\u00e9\ud83d\ude00\n\/" } "#, #"{"a":"é😀\n/","b":[1,-2500.0,true,null]}"#),
      ("9223372036854775808", "9.223372036854776e+18"), (#""\u0000""#, #""\u0000""#), (#"{"a":1,"a":2}"#, #"{"a":2}"#),
    ])
  func round(text: String, written: String) throws {
    let value = try JSON(parsing: text.utf8)
    #expect(value.text == written)
    #expect(try JSON(parsing: value.bytes) == value)
  }

  @Test("1 and 1.0 are the same, 1 and true are not")
  func equal() throws {
    #expect(JSON.int(1) == .double(1) && JSON.int(1) != .bool(true))
    #expect(try JSON(parsing: "[1e0]".utf8) == [1])
  }

  @Test(
    "what is no JSON is refused with the byte where it is",
    arguments: [
      "", "{", "[1,]", "01", "-", "1.", #""\ud80""#, #""\x""#, "\"\u{1}\"", #"{"a" 1}"#, "nul", "1 2", String(repeating: "[", count: 600),
    ])
  func refused(text: String) {
    let error = #expect(throws: JSON.Unreadable.self) { try JSON(parsing: text.utf8) }
    #expect(error?.why.hasPrefix("no JSON at byte") == true)
  }

  @Test(
    "half a surrogate pair is read as U+FFFD, and a number that no Double holds as infinity, which is written as null",
    arguments: [
      (#""\ud800""#, "\"\u{fffd}\""), (#""\udc00\ud83d\ude00""#, "\"\u{fffd}😀\""), (#""\ud800\u0041""#, "\"\u{fffd}A\""),
      ("1e400", "null"), ("[-1e400]", "[null]"), (String(repeating: "9", count: 5000), "null"), ("1e-400", "0.0"),
    ])
  func lenient(text: String, written: String) throws {
    #expect(try JSON(parsing: text.utf8).text == written)
  }
}

@Suite("One opinion on JSON") struct JSONVerdictTests {
  /// What the scanner and the reader say of the same bytes.
  private func verdicts(_ bytes: [UInt8]) -> (scanner: Bool, reader: Bool) {
    (bytes.withUnsafeBytes(isJSONValue), (try? JSON(parsing: bytes)) != nil)
  }

  @Test("scanner and reader give the same verdict on every payload, however it was damaged")
  func agree() {
    let seeds = [
      #"{"content":"Gr\u00fc\ud83d\ude00 \ud800 é€😀","n":[1,-2.5e-3,1e400,null,true,false],"n":{"":"\\\"\/"}}"#, #"[[[{}],""],0]"#,
      #""a text that is longer than one vector of sixteen bytes, é""#, "-0.0E+12", " null ",
    ].map { Array($0.utf8) }
    let pieces: [[UInt8]] = [
      Array(#"\u"#.utf8), Array(#"\ud800"#.utf8), Array("1e400".utf8), [0x22], [0x5c], [0x7b], [0x7d], [0x5b], [0x5d], [0x2c], [0x3a],
      [0xc3],
      [0xa9], [0xff], [0], [0x1f], [0x7f], [0x20], [0x0a], [0x2d], [0x2e], [0x30], [0x65],
    ]
    var random = Numbers(state: 12)
    var accepted = 0
    for round in 0..<40_000 {
      var bytes = seeds[round % seeds.count]
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let at = Int.random(in: 0...bytes.count, using: &random)
        let length = Int.random(in: 0...min(3, bytes.count - at), using: &random)
        bytes.replaceSubrange(at..<at + length, with: Bool.random(using: &random) ? pieces.randomElement(using: &random)! : [])
      }
      let (scanner, reader) = verdicts(bytes)
      #expect(scanner == reader, "round \(round): \(String(decoding: bytes, as: UTF8.self)) as bytes \(bytes)")
      if scanner { accepted += 1 }
    }
    // Else the rounds would compare refusals alone.
    #expect(accepted > 1000)
  }

  @Test("within a payload's 63 levels they agree; the reader alone goes on to 512")
  func depth() {
    func nested(_ levels: Int) -> [UInt8] { Array(repeating: 0x5b, count: levels) + Array(repeating: 0x5d, count: levels) }
    #expect(verdicts(nested(63)) == (true, true))
    #expect(verdicts(nested(64)) == (false, true))
    #expect(verdicts(nested(512)) == (false, true))
    #expect(verdicts(nested(513)) == (false, false))
  }

  /// SplitMix64: the same numbers in every run.
  private struct Numbers: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }
}
