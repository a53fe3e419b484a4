/// What is to happen later: a binary heap of instants, with actions that can be taken back.
///
/// Instants are nanoseconds of a monotonic clock that the owner passes in. Event loop only.
struct Timers<Action> {
  private var heap: [(when: UInt64, key: UInt64)] = []
  private var actions: [UInt64: Action] = [:]
  private var lastKey: UInt64 = 0

  var count: Int { actions.count }
  var heapCount: Int { heap.count }

  /// When the next one is due, or nil. An instant whose action was taken back may be among them.
  var next: UInt64? { heap.first?.when }

  mutating func add(at when: UInt64, _ action: Action) -> UInt64 {
    lastKey &+= 1
    actions[lastKey] = action
    heap.append((when, lastKey))
    siftUp(heap.count - 1)
    return lastKey
  }

  /// Unknown or past ones are no error. Heaps of dead entries are swept, so that short requests with
  /// long deadlines do not pile up.
  mutating func cancel(_ key: UInt64) {
    guard actions.removeValue(forKey: key) != nil else { return }
    if heap.count > 64, heap.count > 2 * actions.count {
      heap.removeAll { actions[$0.key] == nil }
      heap.sort { $0.when < $1.when }
    }
  }

  /// Takes out the earliest action that is due.
  mutating func popDue(now: UInt64) -> Action? {
    while let first = heap.first, first.when <= now {
      removeFirst()
      if let action = actions.removeValue(forKey: first.key) { return action }
    }
    return nil
  }

  private mutating func removeFirst() {
    let tail = heap.removeLast()
    if heap.isEmpty { return }
    heap[0] = tail
    var i = 0
    while true {
      var least = i
      for child in [2 * i + 1, 2 * i + 2] where child < heap.count && heap[child].when < heap[least].when { least = child }
      if least == i { return }
      heap.swapAt(i, least)
      i = least
    }
  }

  private mutating func siftUp(_ index: Int) {
    var i = index
    while i > 0, heap[i].when < heap[(i - 1) / 2].when {
      heap.swapAt(i, (i - 1) / 2)
      i = (i - 1) / 2
    }
  }
}
