import System

/// Where the open requests are found beside their tokens: by who asked, by who answers, and by the client that is to answer.
///
/// A value. Objects are known by their identity; whoever keeps the requests keeps the objects. Askers of clients are known by their
/// names, because a client that comes back under its name may get what its predecessor was owed.
struct RequestIndex {
  /// What a client's answer names: the name that it is addressed to, and the id.
  private struct AnswerKey: Hashable {
    let asker: [UInt8]
    let id: [UInt8]
  }
  private enum Due {
    case open(UInt64)
    /// It has ended, and the client does not know: its answer may still come, and is nobody's.
    case late
  }

  private var byOwner: [ObjectIdentifier: [[UInt8]: UInt64]] = [:]
  private var byAnswerer: [ObjectIdentifier: Set<UInt64>] = [:]
  private var byTarget: [ObjectIdentifier: [AnswerKey: Due]] = [:]
  /// The late ones, oldest first; more than so many are forgotten.
  private var late = Deque<(target: ObjectIdentifier, key: AnswerKey)>()
  static let mostLate = 4096

  // MARK: By who asked

  mutating func add(_ token: UInt64, owner: AnyObject, id: [UInt8]) { byOwner[ObjectIdentifier(owner), default: [:]][id] = token }

  mutating func remove(owner: AnyObject, id: [UInt8]) { Self.remove(id, of: ObjectIdentifier(owner), in: &byOwner) }

  func token(owner: AnyObject, id: [UInt8]) -> UInt64? { byOwner[ObjectIdentifier(owner)]?[id] }
  func tokens(owner: AnyObject) -> [UInt64] { byOwner[ObjectIdentifier(owner)].map { Array($0.values) } ?? [] }
  func count(owner: AnyObject) -> Int { byOwner[ObjectIdentifier(owner)]?.count ?? 0 }

  // MARK: By the instance that answers

  mutating func add(_ token: UInt64, answerer: AnyObject) { byAnswerer[ObjectIdentifier(answerer), default: []].insert(token) }

  mutating func remove(_ token: UInt64, answerer: AnyObject) {
    let key = ObjectIdentifier(answerer)
    byAnswerer[key]?.remove(token)
    if byAnswerer[key]?.isEmpty == true { byAnswerer[key] = nil }
  }

  func tokens(answerer: AnyObject) -> Set<UInt64> { byAnswerer[ObjectIdentifier(answerer)] ?? [] }

  // MARK: By the client that is to answer

  /// The id under which a client is to be asked: the asker's own, or, if another request to the client has that, one that is unique.
  func forwardedID(_ id: [UInt8], token: UInt64, asker: [UInt8], target: AnyObject) -> [UInt8] {
    guard let due = byTarget[ObjectIdentifier(target)] else { return id }
    var unique = id
    var attempt = 0
    while due[AnswerKey(asker: asker, id: unique)] != nil {
      unique = Array("\"kernel-\(token)\(attempt == 0 ? "" : "-\(attempt)")\"".utf8)
      attempt += 1
    }
    return unique
  }

  mutating func add(_ token: UInt64, target: AnyObject, asker: [UInt8], forwardedID id: [UInt8]) {
    byTarget[ObjectIdentifier(target), default: [:]][AnswerKey(asker: asker, id: id)] = .open(token)
  }

  /// `isAnswered`: by the client itself, whose id may mean something else from now on.
  mutating func remove(target: AnyObject, asker: [UInt8], forwardedID id: [UInt8], isAnswered: Bool) {
    let (target, key) = (ObjectIdentifier(target), AnswerKey(asker: asker, id: id))
    if isAnswered { return Self.remove(key, of: target, in: &byTarget) }
    byTarget[target]?[key] = .late
    late.append((target, key))
    if late.count > Self.mostLate, let oldest = late.popFirst(), case .late = byTarget[oldest.target]?[oldest.key] {
      Self.remove(oldest.key, of: oldest.target, in: &byTarget)
    }
  }

  /// The request that a client's answer is for. An answer that comes too late ends what is known of its id.
  mutating func token(answeredBy target: AnyObject, asker: [UInt8], id: [UInt8], isPiece: Bool) -> UInt64? {
    let (target, key) = (ObjectIdentifier(target), AnswerKey(asker: asker, id: id))
    switch byTarget[target]?[key] {
    case .open(let token): return token
    case .late:
      if !isPiece { Self.remove(key, of: target, in: &byTarget) }
      return nil
    case nil: return nil
    }
  }

  /// What a client that has gone was asked.
  func tokens(target: AnyObject) -> [UInt64] {
    byTarget[ObjectIdentifier(target)]?.values.compactMap { if case .open(let token) = $0 { token } else { nil } } ?? []
  }

  /// A name that nobody has any more.
  mutating func forget(_ participant: AnyObject) {
    let gone = ObjectIdentifier(participant)
    guard byTarget.removeValue(forKey: gone) != nil else { return }
    _ = late.removeAll { $0.target == gone }
  }

  private static func remove<Key: Hashable, Value>(
    _ key: Key, of owner: ObjectIdentifier, in table: inout [ObjectIdentifier: [Key: Value]]
  ) {
    table[owner]?[key] = nil
    if table[owner]?.isEmpty == true { table[owner] = nil }
  }
}
