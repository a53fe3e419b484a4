/// Reads one response of a server: bytes in, pieces of text out, and at the end whether it was a whole answer. A value.
struct AnswerReader {
  /// The longest answer, in bytes: the default limit of a frame.
  static let textLimit = 16 << 20
  private static let errorBodyLimit = 64 << 10

  private var decoder: any AnswerDecoder
  private var errorBody: [UInt8] = []
  private var fault: AnswerFault?
  private var textBytes = 0

  init(_ decoder: any AnswerDecoder) { self.decoder = decoder }

  /// What is known of the answer so far, apart from its text. Its counts can be added up, whatever the server says.
  var answer: Answer {
    var answer = decoder.answer
    answer.promptTokens = answer.promptTokens.map(TokenEstimate.possible)
    answer.completionTokens = answer.completionTokens.map(TokenEstimate.possible)
    return answer
  }

  /// False: the rest of the body is not worth reading.
  var wantsMore: Bool { fault == nil && textBytes <= Self.textLimit }

  mutating func receive(status: Int, _ bytes: some Collection<UInt8>) -> [String] {
    guard status == 200 else {
      errorBody += bytes.prefix(Self.errorBodyLimit - errorBody.count)
      return []
    }
    return pieces(decoder.receive(bytes))
  }

  /// The response has ended.
  mutating func end(_ end: HTTPEnd) -> [String] {
    if case .complete(200, _) = end { pieces(decoder.end()) } else { [] }
  }

  private mutating func pieces(_ events: [AnswerEvent]) -> [String] {
    var pieces: [String] = []
    for event in events {
      switch event {
      case .piece(let text):
        textBytes += text.utf8.count
        pieces.append(text)
      case .fault(let found): fault = fault ?? found
      }
    }
    return pieces
  }

  /// Why it was no whole answer; nil: it was one.
  func setback(_ end: HTTPEnd, silenceMilliseconds: Int) -> Setback? {
    if let fault { return .fault(fault, textBytes: textBytes) }
    if textBytes > Self.textLimit { return .endless(bytes: textBytes) }
    // What comes, or does not come, after the last word changes nothing.
    if answer.isComplete { return nil }
    switch end {
    case .complete(200, _): return .cutOff("it ended without the protocol's last word", textBytes: textBytes)
    case .complete(let status, let retryAfter): return .status(status, body: errorBody, retryAfter: retryAfter)
    case .unreachable(let why): return .unreachable(why)
    case .broken(let why): return .cutOff(why, textBytes: textBytes)
    case .notHTTP(let why): return .notHTTP(why)
    case .silent: return .silent(milliseconds: silenceMilliseconds, textBytes: textBytes)
    case .refused: return .cutOff("it was refused", textBytes: textBytes)
    }
  }
}
