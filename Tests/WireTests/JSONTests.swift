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
      "", "{", "[1,]", "01", "1e400", #""\ud800""#, "\"\u{1}\"", #"{"a" 1}"#, "nul", "1 2", String(repeating: "[", count: 600),
    ])
  func refused(text: String) {
    let error = #expect(throws: JSON.Unreadable.self) { try JSON(parsing: text.utf8) }
    #expect(error?.why.hasPrefix("no JSON at byte") == true)
  }
}
