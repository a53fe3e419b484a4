import Testing
import Wire

@testable import Services

@Suite("JSON schema") struct JSONSchemaTests {
  private func violations(_ schema: String, _ value: String) throws -> [String] {
    try JSONSchema(try JSON(parsing: schema.utf8)).violations(in: try JSON(parsing: value.utf8))
  }

  private static let person = """
    {"type":"object","properties":{"name":{"type":"string","minLength":1},"age":{"type":"integer","minimum":0},
     "tags":{"type":"array","items":{"enum":["a","b"]},"uniqueItems":true,"maxItems":2}},
     "required":["name"],"additionalProperties":false}
    """

  @Test(
    "what fits is let pass",
    arguments: [
      (person, #"{"name":"é","age":3,"tags":["a","b"]}"#), (person, #"{"name":"x","age":3.0}"#), ("true", "[1]"), ("{}", "null"),
      (#"{"type":["string","null"]}"#, "null"), (#"{"anyOf":[{"type":"string"},{"type":"number","multipleOf":0.1}]}"#, "0.3"),
      (##"{"$defs":{"n":{"properties":{"next":{"$ref":"#/$defs/n"}},"required":["v"]}},"$ref":"#/$defs/n"}"##, #"{"v":1,"next":{"v":2}}"#),
      (#"{"prefixItems":[{"type":"string"}],"items":{"type":"integer"}}"#, #"["a",1,2]"#),
      (#"{"const":{"a":[1.0]}}"#, #"{"a":[1]}"#), (##"{"$ref":"#"}"##, "1"),
    ])
  func fits(schema: String, value: String) throws { #expect(try violations(schema, value) == []) }

  @Test(
    "what does not fit is named with its place",
    arguments: [
      (person, "[]", "$ is an array, not an object"), (person, "{}", "$.name is missing"),
      (person, #"{"name":""}"#, "$.name has 0 characters, fewer than 1"),
      (person, #"{"name":"x","age":-1}"#, "$.age is less than 0"),
      (person, #"{"name":"x","age":1.5}"#, "$.age is the number 1.5, not an integer"),
      (person, #"{"name":"x","tags":["c"]}"#, #"$.tags[0] is none of "a", "b""#),
      (person, #"{"name":"x","tags":["a","a"]}"#, "$.tags[1] is there twice"),
      (person, #"{"name":"x","more":1}"#, "$.more may not be there"),
      (#"{"oneOf":[{"type":"integer"},{"type":"number"}]}"#, "1", "$ fits 2 of the 2 forms of which it must have exactly one"),
      (#"{"anyOf":[{"type":"string"}]}"#, "1", "$ fits none of the 1 forms that it may have"),
      (#"{"not":{"type":"string"}}"#, #""x""#, "$ has a form that is not allowed"),
      (
        ##"{"$defs":{"n":{"properties":{"next":{"$ref":"#/$defs/n"}},"required":["v"]}},"$ref":"#/$defs/n"}"##, #"{"v":1,"next":{}}"#,
        "$.next.v is missing"
      ),
      (#"{"allOf":[{"minimum":2},{"exclusiveMaximum":4}]}"#, "4", "$ is not less than 4"),
      (#"{"const":1}"#, "2", "$ is not 1"), ("false", "1", "$ may not be there"),
    ])
  func fitsNot(schema: String, value: String, reason: String) throws { #expect(try violations(schema, value) == [reason]) }

  @Test(
    "references that lead to themselves, and schemas that ask for any amount of work, end",
    arguments: [
      ##"{"allOf":[{"$ref":"#"},{"$ref":"#"}]}"##, ##"{"anyOf":[{"$ref":"#"},{"not":{"$ref":"#"}}]}"##,
      ##"{"$defs":{"a":{"allOf":[{"$ref":"#/$defs/b"},{"$ref":"#/$defs/b"}]},"b":{"oneOf":[{"$ref":"#/$defs/a"},{"$ref":"#"}]}},"$ref":"#/$defs/a"}"##,
      doubling(20), doubling(60), chain(30_000), clique(12),
    ])
  func work(schema: String) throws {
    let schema = try JSONSchema(try JSON(parsing: schema.utf8))
    for value in ["1", "[]", #"{"a":[1,2,{"b":null}]}"#] { _ = schema.violations(in: try JSON(parsing: value.utf8)) }
  }

  /// Each definition asks for the next one twice.
  private static func doubling(_ count: Int) -> String {
    let definitions = (0..<count).map { ##""a\##($0)":{"allOf":[{"$ref":"#/$defs/a\##($0 + 1)"},{"$ref":"#/$defs/a\##($0 + 1)"}]}"## }
    return ##"{"$defs":{\##(definitions.joined(separator: ",")),"a\##(count)":{"type":"integer"}},"$ref":"#/$defs/a0"}"##
  }

  /// Each definition is the next one.
  private static func chain(_ count: Int) -> String {
    let definitions = (0..<count).map { ##""a\##($0)":{"$ref":"#/$defs/a\##($0 + 1)"}"## }
    return ##"{"$defs":{\##(definitions.joined(separator: ",")),"a\##(count)":true},"$ref":"#/$defs/a0"}"##
  }

  /// Each definition asks for all.
  private static func clique(_ count: Int) -> String {
    let all = (0..<count).map { ##"{"$ref":"#/$defs/a\##($0)"}"## }.joined(separator: ",")
    return ##"{"$defs":{\##((0..<count).map { "\"a\($0)\":{\"anyOf\":[\(all)]}" }.joined(separator: ","))},"$ref":"#/$defs/a0"}"##
  }

  @Test("what takes too much work does not fit, and that is said")
  func tooMuch() throws {
    #expect(try violations(Self.doubling(60), "1").last?.contains("too much work") == true)
    #expect(try violations(Self.chain(30_000), "1").last?.contains("too much work") == true)
    let deep = String(repeating: "[", count: 400) + String(repeating: "]", count: 400)
    #expect(try violations(##"{"items":{"$ref":"#"}}"##, deep) == [])
    let many = "[" + (0..<20_000).map(String.init).joined(separator: ",")
    #expect(try violations(#"{"uniqueItems":true}"#, many + "]") == [])
    #expect(try violations(#"{"uniqueItems":true}"#, many + ",7.0]") == ["$[20000] is there twice"])
  }

  @Test(
    "a schema that could not be checked whole is refused, with the place",
    arguments: [
      (#"{"properties":{"a":{"type":"text"}}}"#, "#/properties/a/type must be one or several of"),
      (#"{"pattern":"^a"}"#, "#/pattern: this word"),
      ("[]", "# is no schema"), (#"{"required":"a"}"#, "#/required must be an array of strings"),
      (##"{"$ref":"http://example.com/s"}"##, "#/$ref must be a place in this schema"),
      (#"{"minLength":-1}"#, "#/minLength must be a whole number"),
      (#"{"anyOf":[]}"#, "#/anyOf must be an array of schemas"), (#"{"multipleOf":0}"#, "#/multipleOf must be a number"),
    ])
  func refused(schema: String, reason: String) throws {
    let error = #expect(throws: JSONSchema.Malformed.self) { try JSONSchema(try JSON(parsing: schema.utf8)) }
    #expect(error?.description.hasPrefix(reason) == true, "\(error?.description ?? "")")
  }
}
