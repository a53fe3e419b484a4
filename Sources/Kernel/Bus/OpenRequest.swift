import Protocol
import Wire

/// A gram for which somebody waits, or which a persona works on. Event loop only.
///
/// Every one ends exactly once: in a reply, an error, its deadline, or because the asker has gone.
final class OpenRequest {
  let token: UInt64
  let asker: any Asker
  /// Who is asked; nil for the kernel itself.
  let target: Participant?
  let trace: [UInt8]
  let hops: Int
  /// Nanoseconds of the monotonic clock. Every request has one.
  let deadline: UInt64
  let wantsStream: Bool
  /// The id that a client which is asked knows it by: the asker's own, unless another request has that. Nil: no client is asked.
  let forwardedID: [UInt8]?
  /// What it takes of its sender's share at the target, until it has ended.
  let charge: (sender: UInt64, bytes: Int)
  /// The conversations with the model that wait for its end, because the model has called a tool: "PERSONA/thread".
  let conversations: Set<String>
  /// Called when it has ended, in whatever way: what is done for it by the kernel itself need not go on.
  var onEnd: (() -> Void)?
  /// What the memory has found for it: JSON objects, for the reply.
  var citations: [[UInt8]] = []
  /// Streamed text and steps that wait for the asker to read.
  var held = HeldAnswer()
  /// Who has spoken last in what was streamed.
  var voices = Voices()
  /// Of a persona's question that is shown to somebody else: text that waits for the rest of a character.
  var heldPart = HeldText()

  // Changed by the table alone.
  /// The instance that has the gram now.
  var answerer: (any Answerer)?
  var timer: UInt64?

  init(_ gram: Gram, target: Participant?, deadline: UInt64, forwardedID: [UInt8]?, charge: Int) {
    token = gram.token
    asker = gram.asker
    self.target = target
    trace = gram.trace
    hops = gram.hops
    self.deadline = deadline
    wantsStream = gram.wantsStream
    self.forwardedID = forwardedID
    self.charge = (gram.senderID, charge)
    conversations = gram.conversations
  }

  /// In whose name it is answered.
  var targetName: [UInt8] { target?.name ?? Router.kernelName }
  /// The chain that it belongs to was begun by a client, and somebody waits for its end.
  var isInteractive: Bool { asker.isInteractive }
  /// For people: who waits.
  var askerName: String { asker.name }

  /// A reply that is an object says where what it knows stands, if its author does not.
  func citing(_ payload: [UInt8]) -> [UInt8] {
    if citations.isEmpty { return payload }
    // Looked through, and never read into a tree: a reply may have megabytes, and this is the event loop.
    let members = RawJSON.members(of: payload)
    guard payload.first(where: { $0 > 0x20 }) == 0x7b, !members.contains(where: { $0.key == "citations" }),
      let end = payload.lastIndex(of: 0x7d)
    else { return payload }
    // The same passage may have been found twice.
    var seen: Set<[UInt8]> = []
    let list = Array(citations.filter { seen.insert($0).inserted }.joined(separator: [0x2c]))
    return payload[..<end] + (members.isEmpty ? [] : [0x2c]) + Array(#""citations":["#.utf8) + list + Array("]}".utf8)
  }
}

/// Who has been given a gram to answer: a persona's instance. Event loop only.
protocol Answerer: AnyObject {
  /// The gram ends so; the asker is told next.
  func willEnd(_ token: UInt64, _ result: Result<[UInt8], Failure>)
  /// The gram has ended.
  func gramEnded(_ token: UInt64)
  /// Nobody waits for the gram any more: a reply that still comes finds it ended.
  func withdraw(_ token: UInt64)
  /// What it has begun on behalf of a gram is wanted no more.
  func cancel(request: UInt64)
}
