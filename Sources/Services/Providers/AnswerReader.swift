/// A piece of what a model says or thinks, never empty.
package enum AnswerPiece: Equatable, Sendable {
  case text(String)
  case thought(String)
}

/// Reads one response of a server: bytes in, pieces out, and at the end whether it was a whole answer. A value.
package struct AnswerReader {
  /// The longest answer, in bytes of text, thoughts and calls: the default limit of a frame.
  static let textLimit = 16 << 20
  private static let errorBodyLimit = 64 << 10

  private var decoder = AnswerDecoder()
  private var errorBody: [UInt8] = []
  /// Of a response that is no answer.
  private var errorStatus: Int?
  private var fault: AnswerFault?
  private var textBytes = 0

  package init() {}

  /// What is known of the answer so far, apart from its text.
  package var answer: Answer { decoder.answer }
  package var isComplete: Bool { decoder.isComplete }

  /// How many bytes of text, thoughts and calls have come.
  var weight: Int { decoder.weight }

  /// False: the rest of the body is not worth reading.
  package var wantsMore: Bool {
    fault == nil && decoder.weight <= Self.textLimit && !decoder.isEndless && errorBody.count < Self.errorBodyLimit
  }

  /// How long a body may go on in silence after the answer's last word, in milliseconds; nil: that has not come. A server that
  /// gives a finish to each piece of text may take its time for the next.
  var lingering: Int? { isComplete ? decoder.isCertain ? 2000 : 10_000 : nil }

  private static func isAnswer(_ status: Int) -> Bool { (200..<300).contains(status) }

  package mutating func receive(status: Int, _ bytes: some Collection<UInt8>) -> [AnswerPiece] {
    guard Self.isAnswer(status) else {
      errorStatus = status
      errorBody += bytes.prefix(Self.errorBodyLimit - errorBody.count)
      return []
    }
    return pieces(decoder.receive(bytes))
  }

  /// The response has ended.
  package mutating func end(_ end: HTTPEnd) -> [AnswerPiece] {
    switch end {
    case .complete(let status, _): Self.isAnswer(status) ? pieces(decoder.end(isProper: true)) : []
    case .moved: []
    default: pieces(decoder.end(isProper: false))
    }
  }

  private mutating func pieces(_ events: [AnswerEvent]) -> [AnswerPiece] {
    var pieces: [AnswerPiece] = []
    for event in events {
      switch event {
      case .piece(let text):
        textBytes += text.utf8.count
        pieces.append(.text(text))
      case .thought(let text): pieces.append(.thought(text))
      case .fault(let found): fault = fault ?? found
      }
    }
    return pieces
  }

  /// It was a whole answer, though there may be no word in it.
  package func isWhole(_ end: HTTPEnd) -> Bool { setback(end, silenceMilliseconds: 0) == nil }

  /// Why it was no whole answer; nil: it was one.
  func setback(_ end: HTTPEnd, silenceMilliseconds: Int) -> Setback? {
    // What comes, or does not come, after the last word changes nothing.
    if isComplete { return nil }
    if let fault { return .fault(fault, textBytes: textBytes) }
    if decoder.weight > Self.textLimit { return .endless(bytes: decoder.weight) }
    // A refusal is one, however its body ends.
    if let errorStatus, end == .refused || end == .silent { return .status(errorStatus, body: errorBody, retryAfter: nil) }
    switch end {
    case .complete(let status, _) where Self.isAnswer(status):
      return .cutOff("it ended without the protocol's last word", textBytes: textBytes)
    case .complete(let status, let retryAfter): return .status(status, body: errorBody, retryAfter: retryAfter)
    case .moved(_, let address): return .moved(to: address)
    case .unreachable(let why): return .unreachable(why)
    case .broken(let why): return .cutOff(why, textBytes: textBytes)
    case .notHTTP(let why): return .notHTTP(why)
    case .silent: return .silent(milliseconds: silenceMilliseconds, textBytes: textBytes)
    case .refused: return .cutOff("it was refused", textBytes: textBytes)
    }
  }
}
