import Protocol
import Testing
import Wire

@Suite("Payloads") struct PayloadTests {
  @Test("what is wrong with a payload is said with its place")
  func wrong() {
    func why<T: Decodable>(_ type: T.Type, _ text: String) -> String {
      do throws(PayloadCoding.Unreadable) {
        _ = try PayloadCoding.value(type, from: Array(text.utf8))
        return ""
      } catch { return error.description }
    }
    #expect(why(Personas.Show.self, "{}") == "\"name\" is missing")
    #expect(why(Personas.Show.self, "null") == "\"name\" is missing")
    #expect(why(Personas.Show.self, #"{"name":7}"#) == "\"name\" is not a string")
    #expect(why(Personas.Reload.self, #"{"names":["A",7]}"#) == "\"names[1]\" is not a string")
    #expect(why(Personas.Show.self, "[]") == "it is not a JSON object")
    #expect(why(Recordings.Get.self, #"{"name":"A","token":-1}"#) == "a number in it is out of range")
    #expect(why(MemoryMethods.Share.self, #"{"collection":"c","readers":"all"}"#).contains("\"everyone\""))
  }

  @Test("an error of another client may leave out what it likes", arguments: ["{}", #"{"code":7}"#, #"{"message":null}"#])
  func errors(text: String) throws {
    #expect(try PayloadCoding.value(ErrorReport.self, from: Array(text.utf8)).failure == Failure(.failed, ""))
  }

  @Test("any JSON value survives the way through Codable")
  func values() throws {
    let json: JSON = ["a": [1, 2.5, "x", true, .null, [:]], "b": ["c": "\u{1F987}"], "n": .int(.max)]
    struct Box: Codable { var value: JSON }
    let bytes = PayloadCoding.bytes(of: Box(value: json))
    #expect(try PayloadCoding.value(Box.self, from: bytes).value == json)
    #expect(PayloadCoding.bytes(of: Box(value: .double(.infinity))) == Array(#"{"value":null}"#.utf8))
  }

  @Test("the id of a request is a number or a text, as it stands in a line")
  func ids() throws {
    #expect(try PayloadCoding.value(Cancel.self, from: Array(#"{"id":7}"#.utf8)).id.raw == Array("7".utf8))
    #expect(try PayloadCoding.value(Cancel.self, from: Array(#"{"id":"q\"1"}"#.utf8)).id.raw == Array(#""q\"1""#.utf8))
  }
}
