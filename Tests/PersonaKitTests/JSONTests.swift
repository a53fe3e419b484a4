import PersonaABI
import PersonaKit
import Testing

@Suite("JSON") struct JSONTests {
  @Test(
    "what is read is written back",
    arguments: [
      "null", "true", "[]", "{}", "\"\"", "-1.5", "9223372036854775807", "-9223372036854775808", "9007199254740993", "1e+300",
      "\"ä 😀 \\\"\\\\\\n\\r\\t\\u0001\"", "{\"a\":[1,{\"b\":null}],\"z\":\"/\"}",
      String(repeating: "[", count: 60) + String(repeating: "]", count: 60),
    ])
  func roundTrip(text: String) throws {
    let value = try JSON(parsing: text.utf8)
    #expect(value.text == text)
    #expect(try JSON(encoding: value) == value && value.decode(JSON.self) == value)
  }

  @Test(
    "what is no JSON is an error that names the byte",
    arguments: [
      ("", 0), ("{", 1), (" nul", 1), ("[1,]", 3), ("[1 2]", 3), ("{\"a\" 1}", 5), ("{\"a\":1,}", 7), ("{1:2}", 1), ("1 2", 2), ("]", 0),
      ("01", 2), ("-", 1), ("1.", 2), (".5", 0), ("1e", 2), ("+1", 0), ("NaN", 0), ("truE", 0),
      ("\"a", 2), ("\"\n\"", 1), ("\"\\x\"", 3), ("\"\\u12g4\"", 3),
      ("\"\\", 2), ("\"\\u00", 3), (String(repeating: "[", count: 513), 512),
    ])
  func refused(text: String, byte: Int) {
    let error = #expect(throws: KernelError.self) { try JSON(parsing: text.utf8) }
    #expect(
      error?.status == Int32(PERSONA_E_INVALID) && error?.message.hasPrefix("no JSON at byte \(byte): ") == true, "\(error?.message ?? "")")
  }

  @Test(
    "what the kernel lets through is read: half a surrogate pair as U+FFFD, a number beyond every Double as infinity",
    arguments: [
      (#""\ud800""#, "\"\u{FFFD}\""), (#""\udc00\ud83d\ude00""#, "\"\u{FFFD}😀\""), (#""\ud800\u0041""#, "\"\u{FFFD}A\""),
      (#""\ud800\ud83d\ude00""#, "\"\u{FFFD}😀\""), ("1e400", "null"), ("[-1e400]", "[null]"),
    ])
  func lenient(text: String, written: String) throws { #expect(try JSON(parsing: text.utf8).text == written) }

  @Test(
    "bytes that are no UTF-8 are an error",
    arguments: [[0x22, 0xff, 0x22], [0x22, 0xc3, 0x22], [0x22, 0x5c, 0x6e, 0xed, 0xa0, 0x80, 0x22]])
  func notText(bytes: [UInt8]) { #expect(throws: KernelError.self) { try JSON(parsing: bytes) } }

  @Test("escapes, blanks and keys that stand twice are read as RFC 8259 says")
  func escapes() throws {
    #expect(try JSON(parsing: "\"\\ud83d\\ude00 \\u00e4\\/\\b\\f\\n\\r\\t\\\\\\\"\"".utf8) == "😀 ä/\u{8}\u{c}\n\r\t\\\"")
    #expect(try JSON(parsing: " { \"a\" :\t[ 1 , -0.5e1 ,\r\n{ } ] , \"a\":\"later\" } ".utf8) == ["a": "later"])
    #expect(try JSON(parsing: "18446744073709551616".utf8) == .number(18446744073709551616))
  }

  @Test("whole numbers are exact, and equal however they are written")
  func numbers() throws {
    #expect(try JSON(parsing: "1.0".utf8) == 1 && JSON.number(1) == JSON.int(1) && JSON.number(1.5) != JSON.int(1))
    #expect(JSON.number(3).int == 3 && JSON.int(3).number == 3 && JSON.number(3.5).int == nil)
    #expect(JSON.number(-0.0).text == "-0.0")
    #expect(JSON.number(.nan).text == "null" && JSON.array([.number(.infinity)]).text == "[null]")
  }
}
