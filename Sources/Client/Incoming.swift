import Protocol

/// What a line from the kernel means to a client.
public enum Incoming: Sendable, Equatable {
  /// The hello was answered.
  case welcome(Welcome)
  /// A piece of the answer to one of our requests.
  case delta(request: Int, Delta)
  /// The end of one of our requests.
  case reply(request: Int, Payload)
  /// The other end of one.
  case failure(request: Int, ErrorReport)
  /// The code of a persona was changed, or was not.
  case receipt(Receipt)
  /// A copy of what others send.
  case tap(Tap.Event)
  /// The kernel says that something is wrong with a gram of ours that has no `id`.
  case error(ErrorReport)
  /// Another client, or a persona, says something to us; it waits for an answer if the gram has an `id`.
  case gram(Gram)
}
