import Synchronization

/// The values of one persona's `state/1`: they belong to its name and outlive every generation.
final class StateStore: Sendable {
  static let limit = 16 << 20
  private let values = Mutex<[String: [UInt8]]>([:])

  func get(_ key: String) -> [UInt8]? { values.withLock { $0[key] } }

  /// Sets (or, with nil, removes) a value; false if all together would be over the limit.
  func set(_ key: String, _ value: [UInt8]?) -> Bool {
    values.withLock { values in
      if let value {
        let rest = values.reduce(0) { $0 + ($1.key == key ? 0 : $1.key.utf8.count + $1.value.count) }
        if rest + key.utf8.count + value.count > Self.limit { return false }
      }
      values[key] = value
      return true
    }
  }

  /// How many values there are, and their bytes, keys counted.
  var size: (count: Int, bytes: Int) { values.withLock { ($0.count, $0.reduce(0) { $0 + $1.key.utf8.count + $1.value.count }) } }

  func keys(prefix: String) -> [String] { values.withLock { $0.keys.filter { $0.hasPrefix(prefix) }.sorted() } }
}
