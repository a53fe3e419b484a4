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

  @Test("what is no JSON, or no number that fits, is an error", arguments: ["", "{", "1e400", "[-1e400]", "nul", "\"\\ud800\""])
  func refused(text: String) { #expect(throws: (any Error).self) { try JSON(parsing: text.utf8) } }

  @Test("whole numbers are exact, and equal however they are written")
  func numbers() throws {
    #expect(try JSON(parsing: "1.0".utf8) == 1 && JSON.number(1) == JSON.int(1) && JSON.number(1.5) != JSON.int(1))
    #expect(JSON.number(3).int == 3 && JSON.int(3).number == 3 && JSON.number(3.5).int == nil)
    #expect(JSON.number(-0.0).text == "-0.0")
    #expect(JSON.number(.nan).text == "null" && JSON.array([.number(.infinity)]).text == "[null]")
  }
}
