/// A gram for which somebody waits, or which a persona works on. Event loop only.
///
/// Every one ends exactly once: in a reply, an error, its deadline, or because the asker has gone.
final class Request {
  enum Asker {
    /// A client's request with an `id`, as it stood in its line.
    case connection(Connection, id: [UInt8])
    /// A client's gram without `id` to a persona: a reply goes to the name.
    case name(Participant)
    /// A persona's ask.
    case persona(InstanceContext, request: UInt64)
    /// Nobody waits.
    case nobody
  }

  let token: UInt64
  let asker: Asker
  /// Who is asked; nil for the kernel itself.
  let target: Participant?
  let trace: [UInt8]
  let hops: Int
  /// Nanoseconds of the monotonic clock. Every request has one.
  let deadline: UInt64
  let wantsStream: Bool
  /// The chain that it belongs to was begun by a client, and somebody waits for its end.
  let isInteractive: Bool
  var timer: UInt64?
  /// Called when it has ended, in whatever way: what is done for it by the kernel itself need not go on.
  var onEnd: (() -> Void)?
  /// The generation that has the gram now.
  weak var answerer: InstanceContext?
  /// What was started on its behalf, and ends with it if the asker goes.
  var children: [(context: InstanceContext, request: UInt64)] = []
  /// The conversations with the model that wait for its end, because the model has called a tool: "PERSONA/thread".
  var conversations: Set<String> = []
  /// What the memory has found for it: JSON objects, for the reply.
  var citations: [[UInt8]] = []
  /// Streamed text that waits for the asker to read.
  var heldText: [UInt8] = []

  /// For people: who waits.
  var askerName: String {
    switch asker {
    case .connection(let connection, _): connection.participant?.text ?? "a client that has gone"
    case .name(let participant): participant.text
    case .persona(let context, _): context.slot.name
    case .nobody: "nobody"
    }
  }

  /// `isForPerson`: of a persona's ask, whether it is made for something that a person waits for.
  init(
    token: UInt64, asker: Asker, target: Participant?, trace: [UInt8], hops: Int, deadline: UInt64, wantsStream: Bool,
    isForPerson: Bool = false
  ) {
    self.token = token
    self.asker = asker
    self.target = target
    self.trace = trace
    self.hops = hops
    self.deadline = deadline
    self.wantsStream = wantsStream
    switch asker {
    case .connection, .name: isInteractive = true
    case .persona: isInteractive = isForPerson
    case .nobody: isInteractive = false
    }
  }
}
