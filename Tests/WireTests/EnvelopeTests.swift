import Testing

@testable import Wire

private func scan(_ text: String) throws -> Envelope {
  try Array(text.utf8).withUnsafeBytes { raw throws(EnvelopeError) in try Envelope.scan(raw) }
}

private func part(_ text: String, _ field: Envelope.Field) -> String? {
  field.isPresent ? String(decoding: Array(text.utf8)[field.range], as: UTF8.self) : nil
}

@Suite("Envelope") struct EnvelopeTests {
  @Test("every key of the envelope is found, whatever the order and the blanks")
  func keys() throws {
    let text =
      #" { "payload" : {"target":"nobody","a":[1,{"id":2}]} , "re":7, "id" : "a\"b", "hops":3,"deadline_ms": 250,"stream":true,"trace":"t","method":"m","source":"S","target":"T" } "#
    let envelope = try scan(text)
    #expect(part(text, envelope.target) == "T")
    #expect(part(text, envelope.source) == "S")
    #expect(part(text, envelope.method) == "m")
    #expect(part(text, envelope.trace) == "t")
    #expect(part(text, envelope.id) == #""a\"b""#)
    #expect(part(text, envelope.re) == "7")
    #expect(part(text, envelope.payload) == #"{"target":"nobody","a":[1,{"id":2}]}"#)
    #expect(envelope.hops == 3)
    #expect(envelope.deadlineMilliseconds == 250)
    #expect(envelope.stream)
  }

  @Test("an escaped key is the key that it spells, and an escaped target is marked")
  func escapes() throws {
    let text = #"{"t\u0061rget":"\u0042OB"}"#
    let envelope = try scan(text)
    #expect(envelope.target.escaped)
    #expect(Array(text.utf8)[envelope.target.range].withUnsafeBytes { String(decoding: unescaped($0), as: UTF8.self) } == "BOB")
  }

  @Test(
    "what is no JSON object is refused at the byte that does not fit",
    arguments: [
      "", "x", "[]", "1", "{", "{}x", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{\"a\":01}", "{\"a\":1.}", "{\"a\":.5}", "{\"a\":+1}",
      "{\"a\":tru}",
      "{\"a\":\"\u{1}\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":\"", "{\"a\":[1 2]}", "{\"a\":[1,]}", "{\"a\":[}", "{'a':1}",
      "{\"a\":NaN}",
    ])
  func syntax(text: String) {
    #expect(throws: EnvelopeError.self) { try scan(text) }
  }

  @Test(
    "an envelope key with a value of the wrong kind, or twice, is refused by name",
    arguments: [
      (#"{"target":1}"#, "target"), (#"{"target":null}"#, "target"), (#"{"source":{}}"#, "source"), (#"{"id":true}"#, "id"),
      (#"{"id":[1]}"#, "id"),
      (#"{"stream":"yes"}"#, "stream"), (#"{"deadline_ms":-1}"#, "deadline_ms"), (#"{"hops":1.5}"#, "hops"),
      (#"{"target":"a","target":"b"}"#, "target"),
    ])
  func kinds(text: String, key: String) {
    #expect(throws: EnvelopeError.key(key)) { try scan(text) }
  }

  @Test("a payload may be any value, and null for the optional keys is as good as nothing")
  func values() throws {
    for value in ["null", "true", "false", "0", "-1.5e3", "\"x\"", "[]", "{}", "[[[{}]]]"] {
      let text = "{\"payload\":\(value),\"id\":null,\"trace\":null}"
      let envelope = try scan(text)
      #expect(part(text, envelope.payload) == value)
      #expect(!envelope.id.isPresent)
    }
  }

  @Test("a value alone is one that fits into a gram: of 63 levels at most")
  func payloadDepth() throws {
    func nested(_ levels: Int) -> [UInt8] { Array(repeating: 0x5b, count: levels) + Array(repeating: 0x5d, count: levels) }
    #expect(nested(63).withUnsafeBytes(isJSONValue))
    #expect(!nested(64).withUnsafeBytes(isJSONValue))
    var gram = GramLine(target: [0x41], method: [0x42])
    gram.payload = nested(63)
    var envelope = Envelope()
    let code = gram.bytes().dropLast().withUnsafeBytes { Envelope.scan($0, into: &envelope) }
    #expect(code == 0)
  }

  @Test("64 levels are read and 65 are refused")
  func depth() throws {
    func nested(_ n: Int) -> String { "{\"a\":" + String(repeating: "[", count: n - 1) + String(repeating: "]", count: n - 1) + "}" }
    _ = try scan(nested(64))
    #expect(throws: EnvelopeError.self) { try scan(nested(65)) }
  }

  @Test("bytes that are not UTF-8 are refused, wherever in a string they stand")
  func encoding() throws {
    for padding in 0..<70 {
      var bytes = Array("{\"payload\":\"".utf8) + Array(repeating: 0x61, count: padding)
      let good = bytes + Array("é€😀\"}".utf8)
      #expect((try? good.withUnsafeBytes { raw throws(EnvelopeError) in try Envelope.scan(raw) }) != nil)
      bytes += [0xc3, 0x28] + Array("\"}".utf8)
      #expect(throws: EnvelopeError.encoding) { try bytes.withUnsafeBytes { raw throws(EnvelopeError) in try Envelope.scan(raw) } }
    }
  }

  @Test("a string of any length, at any place, ends at its quote; what may not stand in it is found at each byte")
  func strings() throws {
    for lead in 0..<20 {
      for length in 0..<70 {
        let head = String(repeating: " ", count: lead) + #"{"payload":""#
        let line = head + String(repeating: "x", count: length) + #"","target":"B"}"#
        let envelope = try scan(line)
        #expect(envelope.payload.range == lead + 11..<lead + 13 + length && envelope.target.count == 1)
        var bytes = Array(line.utf8)
        for at in [0, 7, 8, 15, 16, 31, 32, 47, length - 1] where at >= 0 && at < length {
          let place = head.utf8.count + at
          for wrong: UInt8 in [0x1f, 0x00, 0x5c, 0xff] {
            bytes[place] = wrong
            #expect(
              bytes.withUnsafeBytes {
                var into = Envelope(); return Envelope.scan($0, into: &into)
              } != 0, "\(wrong) at \(at) of \(length)")
          }
          bytes[place] = 0x78
        }
      }
    }
  }

  @Test("any cut of a gram is refused, and random flips never trap")
  func cutsAndFlips() {
    let text = Array(
      #"{"source":"GUI","target":"BRICK","method":"q","id":12,"payload":{"content":"Grüße, \u00e9 \ud83d\ude00 and a long enough text to fill words","n":[1,2.5e-3,null,true]}}"#
        .utf8)
    for n in 0..<text.count {
      #expect(throws: EnvelopeError.self) { try text[..<n].withUnsafeBytes { raw throws(EnvelopeError) in try Envelope.scan(raw) } }
    }
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<20_000 {
      var flipped = text
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        flipped[Int.random(in: 0..<text.count, using: &generator)] = .random(in: 0...255, using: &generator)
      }
      if let envelope = flipped.withUnsafeBytes({ raw -> Envelope? in try? Envelope.scan(raw) }) {
        for field in [envelope.target, envelope.source, envelope.method, envelope.payload, envelope.id] where field.isPresent {
          #expect(field.range.upperBound <= flipped.count)
        }
      }
    }
  }
}

@Suite("JSON text") struct JSONTextTests {
  @Test(
    "a string written and read again is the same",
    arguments: ["", "plain", "\"quoted\" \\ \n\r\t\u{1}\u{1f}", "é€😀", String(repeating: "x", count: 100)])
  func roundTrip(text: String) {
    var out: [UInt8] = []
    out.appendJSON(text)
    #expect(out.withUnsafeBytes(isJSONValue))
    #expect(out.dropFirst().dropLast().withUnsafeBytes { String(decoding: unescaped($0), as: UTF8.self) } == text)
  }

  @Test("surrogate pairs are one character, and a lone one is replaced")
  func surrogates() {
    func read(_ s: String) -> String { Array(s.utf8).withUnsafeBytes { String(decoding: unescaped($0), as: UTF8.self) } }
    #expect(read(#"\ud83d\ude00"#) == "😀")
    #expect(read(#"\ud83dx"#) == "\u{fffd}x")
    #expect(read(#"\u00e9\/\b\f"#) == "é/\u{8}\u{c}")
  }

  @Test("a gram that is written can be read, its payload on one line")
  func line() throws {
    var gram = GramLine(target: Array("T\"x".utf8), method: Array("m".utf8))
    gram.source = Array("S".utf8)
    gram.payload = Array("{\n \"a\": 1\n}".utf8)
    gram.id = Array("7".utf8)
    gram.hops = 2
    gram.trace = Array("t".utf8)
    gram.stream = true
    gram.deadlineMilliseconds = 9
    let bytes = gram.bytes()
    #expect(bytes.filter { $0 == 10 }.count == 1)
    let envelope = try bytes.dropLast().withUnsafeBytes { raw throws(EnvelopeError) in try Envelope.scan(raw) }
    #expect(envelope.hops == 2 && envelope.stream && envelope.deadlineMilliseconds == 9)
    #expect(envelope.target.escaped)
  }
}
