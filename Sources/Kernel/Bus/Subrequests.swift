/// What personas have begun on behalf of open requests: it is cancelled with them. A value.
///
/// Questions to the model and operations of the memory stand here alone; asks are open requests of their own, too.
struct Subrequests {
  /// By the token of the request, then by the number that persona.h knows each by.
  private var begun: [UInt64: [UInt64: any Answerer]] = [:]
  /// The token that a number belongs to.
  private var parents: [UInt64: UInt64] = [:]

  func count(of token: UInt64) -> Int { begun[token]?.count ?? 0 }

  mutating func add(_ number: UInt64, of worker: any Answerer, to token: UInt64) {
    begun[token, default: [:]][number] = worker
    parents[number] = token
  }

  /// It has ended; unknown numbers are no error.
  mutating func ended(_ number: UInt64) {
    guard let token = parents.removeValue(forKey: number) else { return }
    begun[token]?[number] = nil
    if begun[token]?.isEmpty == true { begun[token] = nil }
  }

  /// The request has ended; returns what is left of what was begun for it.
  mutating func takeAll(of token: UInt64) -> [UInt64: any Answerer] {
    guard let left = begun.removeValue(forKey: token) else { return [:] }
    for number in left.keys { parents[number] = nil }
    return left
  }
}
