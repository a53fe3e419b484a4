import Testing

@testable import Services

@Suite struct DecoderTests {
  struct Outcome: Equatable {
    var text = ""
    var thought = ""
    var faults: [AnswerFault] = []
    var answer = Answer()
  }

  static func decode(_ parts: [some Collection<UInt8>]) -> Outcome {
    var decoder = AnswerDecoder()
    var outcome = Outcome()
    for event in parts.flatMap({ decoder.receive($0) }) + decoder.end(isProper: true) {
      switch event {
      case .piece(let text): outcome.text += text
      case .thought(let text): outcome.thought += text
      case .fault(let fault): outcome.faults.append(fault)
      }
    }
    outcome.answer = decoder.answer
    return outcome
  }

  struct Recorded: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var body: String
  }

  static let recorded = [
    Recorded(testDescription: "Ollama", body: Recording.ollama),
    Recorded(testDescription: "Ollama, CR LF", body: Recording.ollama.replacing("\n", with: "\r\n")),
    Recorded(testDescription: "OpenAI", body: Recording.openAI),
    Recorded(testDescription: "OpenAI, CR LF", body: Recording.openAI.replacing("\n", with: "\r\n")),
    Recorded(testDescription: "OpenAI, CR", body: Recording.openAI.replacing("\n", with: "\r")),
    Recorded(testDescription: "OpenAI, with a byte order mark", body: "\u{FEFF}" + Recording.openAI),
  ]

  @Test("an answer cut anywhere is the same answer", arguments: recorded)
  func anyCut(_ recorded: Recorded) {
    let bytes = Array(recorded.body.utf8)
    let expected = Outcome(text: Recording.text, answer: Recording.answer)
    #expect(Self.decode([bytes[...]]) == expected)
    #expect(Self.decode(bytes.map { [$0][...] }) == expected)
    for cut in bytes.indices { #expect(Self.decode([bytes[..<cut], bytes[cut...]]) == expected) }
  }

  @Test("an answer that ends early is cut off and never garbled", arguments: [true, false])
  func everyPrefix(_ isOllama: Bool) {
    let bytes = Array((isOllama ? Recording.ollama : Recording.openAI).utf8)
    var complete = 0
    for cut in bytes.indices {
      let outcome = Self.decode([bytes[..<cut]])
      #expect(outcome.faults == [])
      #expect(Recording.text.hasPrefix(outcome.text))
      if outcome.answer.isComplete {
        complete += 1
        #expect(outcome.text == Recording.text)
      }
    }
    #expect(complete > 0 && complete < bytes.count / 2)
  }

  @Test("an error in mid-stream comes after the pieces before it, and ends the answer")
  func midStreamError() {
    let ollama = Recording.ollamaPiece("Half") + #"{"error":"llama runner has terminated"}"# + "\n" + Recording.ollamaPiece("never")
    let openAI = """
      data: {"choices":[{"delta":{"content":"Half"}}]}

      data: {"error":{"code":500,"message":"llama runner has terminated","type":"server_error"}}

      data: {"choices":[{"delta":{"content":"never"}}]}


      """
    for cut in 0...ollama.utf8.count {
      let bytes = Array(ollama.utf8)
      let outcome = Self.decode([bytes[..<cut], bytes[cut...]])
      #expect(outcome.text == "Half")
      #expect(outcome.faults == [.server(ServerError(message: "llama runner has terminated"))])
    }
    for cut in 0...openAI.utf8.count {
      let bytes = Array(openAI.utf8)
      let outcome = Self.decode([bytes[..<cut], bytes[cut...]])
      #expect(outcome.text == "Half")
      var error = ServerError(message: "llama runner has terminated", kinds: ["server_error"])
      error.status = 500
      #expect(outcome.faults == [.server(error)])
    }
  }

  @Test(
    "what is not the protocol is garbled, and its first bytes are shown",
    arguments: ["<html> <body>It works!</body>", "<html>\n\n", "hello", #"{"weather":"fine"}"# + "\n"])
  func garbled(_ body: String) {
    let outcome = Self.decode([Array(body.utf8)])
    guard case .garbled(let start)? = outcome.faults.first else {
      Issue.record("it takes \(body)")
      return
    }
    #expect(outcome.faults.count == 1)
    #expect(body.replacing("\n", with: " ").hasPrefix(start))
  }

  @Test("an event that is no JSON is garbled, after what came before it")
  func garbledEvent() {
    let outcome = Self.decode([Array("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: nonsense\n\n".utf8)])
    #expect(outcome == Outcome(text: "a", faults: [.garbled("nonsense")]))
  }

  @Test("an OpenAI answer without [DONE] is whole when a finish_reason has come")
  func noDone() {
    let outcome = Self.decode(
      [Array("data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"length\"}]}\n\n".utf8)])
    var answer = Answer()
    (answer.finish, answer.isComplete) = ("length", true)
    #expect(outcome == Outcome(text: "a", answer: answer))
  }

  @Test("thoughts are no text", arguments: [true, false])
  func thoughts(_ isOllama: Bool) {
    let ollama = #"{"message":{"role":"assistant","content":"","thinking":"hm"},"done":false}"# + "\n"
    let openAI = "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
    let outcome =
      isOllama ? Self.decode([Array(ollama.utf8)]) : Self.decode([Array(openAI.utf8)])
    var answer = Answer()
    answer.hasThought = true
    #expect(outcome == Outcome(thought: "hm", answer: answer))
  }

  @Test(
    "an error before the first word of an answer is the server's where its code says so, and another may be asked",
    arguments: [
      (#"{"error":{"message":"Overloaded","type":"overloaded_error"}}"#, true), (#"{"error":{"message":"x","code":502}}"#, true),
      (#"{"error":{"message":"slow down","code":"429"}}"#, true), (#"{"error":{"message":"bad words","code":400}}"#, false),
      (#"{"error":"no"}"#, false),
    ])
  func busy(_ body: String, isOfServer: Bool) throws {
    let error = try #require(ServerError(body: Array(body.utf8)))
    #expect(Setback.fault(.server(error), textBytes: 0).isOfServer == isOfServer)
    #expect(!Setback.fault(.server(error), textBytes: 1).isOfServer, "something has been said")
  }

  @Test("an error's shape does not matter")
  func errorShapes() {
    #expect(ServerError(body: Array(#"{"error":"model 'x' not found"}"#.utf8))?.saysNoModel == true)
    let openAI =
      #"{"error":{"message":"The model `x` does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#
    #expect(ServerError(body: Array(openAI.utf8))?.saysNoModel == true)
    let long =
      #"{"error":{"code":400,"message":"request (6031 tokens) exceeds","type":"exceed_context_size_error","n_prompt_tokens":6031,"n_ctx":4096}}"#
    let error = ServerError(body: Array(long.utf8))
    #expect(error?.saysTooLong == true && error?.promptTokens == 6031 && error?.windowTokens == 4096)
    #expect(ServerError(body: Array(#"{"detail":"Not Found"}"#.utf8)) == ServerError(message: "Not Found"))
    #expect(ServerError(body: Array(Recording.ollamaPiece("a").utf8)) == nil)
    #expect(ServerError(body: Array("nginx".utf8)) == nil)
  }
}
