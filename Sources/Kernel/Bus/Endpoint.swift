import Protocol

/// Who answers to a name: a client's connection, or a persona. Event loop only.
protocol Endpoint: AnyObject {
  /// The name; nil before a connection has said it.
  var answersTo: Participant? { get }
  /// Each gram that it takes is an open request until it has ended, whether anybody waits for an answer or not.
  var worksOnGrams: Bool { get }
  /// What it is subscribed to; changed by TopicRegistry alone.
  var topics: Set<[UInt8]> { get set }

  /// Takes a gram, or says why it cannot.
  func take(_ gram: Gram) -> Failure?
  /// Takes a line that answers it, or answers all of its name.
  func tell(_ line: [UInt8])
  /// Nothing comes of a gram that it has sent. `re`: the id by which it knows the gram, or empty.
  func refused(_ gram: Gram, _ failure: Failure, re: [UInt8])
  /// A gram that it was given has ended in an error.
  func countFailure()
  /// Takes out what a sender that has gone left behind and nobody has begun, but for its oldest grams.
  func dropMail(of sender: UInt64) -> [Mail]
}

extension Connection: Endpoint {
  var answersTo: Participant? { participant }
  var worksOnGrams: Bool { false }

  func take(_ gram: Gram) -> Failure? {
    let isTaken =
      switch gram.line {
      case .borrowed(let bytes, let count): pass(bytes, count)
      case .owned(let bytes): send(bytes, .message)
      case .shared(let line): send(line, .message)
      }
    return isTaken ? nil : router.queueFull(participant)
  }

  func tell(_ line: [UInt8]) { send(line, .answer) }

  func refused(_ gram: Gram, _ failure: Failure, re: [UInt8]) { router.replies.error(failure, to: self, re: re, target: gram.target) }

  func countFailure() {}
  func dropMail(of sender: UInt64) -> [Mail] { [] }
}
