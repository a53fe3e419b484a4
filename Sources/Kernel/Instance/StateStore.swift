import Synchronization

/// The values of one persona's `state/1`: they belong to its name and outlive every generation.
///
/// A candidate's changes are held until its switch. The last change of a key counts, whoever made it: when the running generation
/// changes a key, what a candidate has held for that key before is dropped. Any thread.
final class StateStore: Sendable {
  /// Of one persona's values together, and of what one candidate holds, keys counted.
  static let limit = 16 << 20

  enum Change: Equatable {
    case done
    /// It would be over the limit; nothing is changed.
    case full
    /// Whoever wants it has ended.
    case retired
  }

  /// Values and their bytes, keys counted; of a candidate nil stands for a value that is removed.
  private struct Values<Value> {
    private(set) var all: [String: Value] = [:]
    private(set) var bytes = 0

    /// False, and nothing is changed, if all together would be over the limit.
    mutating func set(_ key: String, _ value: Value?, _ count: (Value) -> Int) -> Bool {
      let before = all[key].map { key.utf8.count + count($0) } ?? 0
      let after = value.map { key.utf8.count + count($0) } ?? 0
      if after > before, bytes - before + after > StateStore.limit { return false }
      bytes += after - before
      all[key] = value
      return true
    }
  }

  private struct State {
    var values = Values<[UInt8]>()
    /// The generations that may change it, by number; a candidate with what it holds.
    var writers: [Int: Values<[UInt8]?>?] = [:]

    mutating func set(_ key: String, _ value: [UInt8]?) -> Bool { values.set(key, value, \.count) }
    func held(by number: Int?) -> Values<[UInt8]?>? { number.flatMap { writers[$0] ?? nil } }
  }
  private let state = Mutex(State())

  // MARK: Generations

  /// A candidate may write from now on.
  func open(_ number: Int) { state.withLock { $0.writers[number] = .some(Values()) } }

  /// What it has held becomes true. Returns the keys whose values did not fit, sorted.
  func commit(_ number: Int) -> [String] {
    state.withLock { state in
      guard let held = state.writers[number] ?? nil else { return [] }
      state.writers[number] = .some(nil)
      // What is removed makes room.
      let changes = held.all.sorted { ($0.value == nil ? 0 : 1, $0.key) < ($1.value == nil ? 0 : 1, $1.key) }
      return changes.filter { !state.set($0.key, $0.value) }.map(\.key)
    }
  }

  /// It may write no more; what it holds is dropped.
  func close(_ number: Int) { state.withLock { $0.writers[number] = nil } }

  // MARK: Values

  /// `number`: the generation that asks, which sees what it holds itself.
  func get(_ key: String, by number: Int? = nil) -> [UInt8]? {
    state.withLock { state in
      if let held = state.held(by: number), let value = held.all[key] { return value }
      return state.values.all[key]
    }
  }

  /// Sets (or, with nil, removes) a value. `number`: the generation that wants it; nil: the kernel itself.
  @discardableResult
  func set(_ key: String, _ value: [UInt8]?, by number: Int? = nil) -> Change {
    state.withLock { state in
      if let number {
        guard let writer = state.writers[number] else { return .retired }
        if var held = writer {
          guard held.set(key, .some(value), { $0?.count ?? 0 }) else { return .full }
          state.writers[number] = .some(held)
          return .done
        }
      }
      guard state.set(key, value) else { return .full }
      for (candidate, held) in state.writers {
        guard var held else { continue }
        _ = held.set(key, nil) { $0?.count ?? 0 }
        state.writers[candidate] = .some(held)
      }
      return .done
    }
  }

  /// Those that begin with `prefix`, sorted.
  func keys(prefix: String, by number: Int? = nil) -> [String] {
    state.withLock { state in
      var keys = Set(state.values.all.keys)
      for (key, value) in state.held(by: number)?.all ?? [:] {
        if value == nil { keys.remove(key) } else { keys.insert(key) }
      }
      return keys.filter { $0.hasPrefix(prefix) }.sorted()
    }
  }

  /// How many values there are, and their bytes, keys counted.
  var size: (count: Int, bytes: Int) { state.withLock { ($0.values.all.count, $0.values.bytes) } }
}
