/// Who may go next: at most so many at a time, in turn among personas, and one at a time within a conversation. A value.
///
/// A persona that asks much waits behind itself: the turn goes round the personas that wait. Within a
/// conversation the order is kept, so that turns never interleave.
struct Turnstile {
  struct Ticket: Hashable {
    var number: UInt64
    var persona: String
    /// Nil: not part of a remembered conversation.
    var thread: String?
  }
  let width: Int
  private var waiting: [String: [Ticket]] = [:]
  /// Personas that wait, in turn.
  private var round: [String] = []
  private(set) var inside: Set<Ticket> = []

  init(width: Int) { self.width = width }

  var waitingCount: Int { waiting.reduce(0) { $0 + $1.value.count } }

  /// Gets in line; returns who goes now.
  mutating func enter(_ ticket: Ticket) -> [Ticket] {
    if waiting[ticket.persona] == nil { round.append(ticket.persona) }
    waiting[ticket.persona, default: []].append(ticket)
    return admit()
  }

  /// Has done, or gives up waiting; returns who goes now.
  mutating func leave(_ ticket: Ticket) -> [Ticket] {
    if inside.remove(ticket) == nil { waiting[ticket.persona]?.removeAll { $0 == ticket } }
    tidy(ticket.persona)
    return admit()
  }

  func isInside(_ ticket: Ticket) -> Bool { inside.contains(ticket) }

  private mutating func tidy(_ persona: String) {
    if waiting[persona]?.isEmpty == true {
      waiting[persona] = nil
      round.removeAll { $0 == persona }
    }
  }

  private mutating func admit() -> [Ticket] {
    var admitted: [Ticket] = []
    var looked = 0
    while inside.count < width, looked < round.count {
      let persona = round.removeFirst()
      round.append(persona)
      var busy = Set(inside.filter { $0.persona == persona }.compactMap(\.thread))
      var found: Int?
      for (index, ticket) in waiting[persona, default: []].enumerated() {
        guard let thread = ticket.thread else {
          found = index
          break
        }
        if busy.insert(thread).inserted {
          found = index
          break
        }
      }
      if let found, let ticket = waiting[persona]?.remove(at: found) {
        inside.insert(ticket)
        admitted.append(ticket)
        looked = 0
        tidy(persona)
      } else {
        looked += 1
      }
    }
    return admitted
  }
}
