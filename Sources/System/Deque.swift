/// First in, first out, in constant time on average; the room of what has been taken out is used again.
///
/// Inlinable, because it holds what passes through the kernel's threads: without that, generic code of another module is not specialised.
///
/// A value. What has been taken out is dropped from the front once it is more than half of the storage, so a queue that never
/// becomes empty does not grow without end.
public struct Deque<Element> {
  @usableFromInline var storage: [Element?] = []
  @usableFromInline var head = 0

  @inlinable public init() {}
  @inlinable public init(_ elements: some Sequence<Element>) { storage = elements.map(Optional.some) }

  @inlinable public var count: Int { storage.count - head }
  @inlinable public var isEmpty: Bool { head == storage.count }
  @inlinable public var first: Element? { isEmpty ? nil : storage[head] }
  @inlinable public var last: Element? { isEmpty ? nil : storage[storage.count - 1] }

  @inlinable public mutating func append(_ element: Element) { storage.append(element) }

  /// Puts it before all others. Takes time with the length of the queue when nothing has been taken out before it.
  @inlinable public mutating func prepend(_ element: Element) {
    if head > 0 {
      head -= 1
      storage[head] = element
    } else {
      storage.insert(element, at: 0)
    }
  }

  @inlinable public mutating func popFirst() -> Element? {
    guard head < storage.count else { return nil }
    let element = storage[head]
    storage[head] = nil
    head += 1
    if head == storage.count {
      // A short storage is kept for what comes next; a long one is given back.
      storage.removeAll(keepingCapacity: storage.count <= 1024)
      head = 0
    } else if head >= 32, head > storage.count / 2 {
      storage.removeFirst(head)
      head = 0
    }
    return element
  }

  /// Empties it.
  @inlinable public mutating func takeAll() -> [Element] {
    defer { self = Deque() }
    return Array(self)
  }

  /// Takes out everything that matches, in order, and leaves the rest in order.
  @inlinable public mutating func removeAll(where matches: (Element) -> Bool) -> [Element] {
    var removed: [Element] = []
    var kept: [Element?] = []
    for element in self { if matches(element) { removed.append(element) } else { kept.append(element) } }
    (storage, head) = (kept, 0)
    return removed
  }
}

extension Deque: Sendable where Element: Sendable {}

extension Deque: Sequence {
  public struct Iterator: IteratorProtocol {
    @usableFromInline var rest: ArraySlice<Element?>
    @inlinable init(rest: ArraySlice<Element?>) { self.rest = rest }
    @inlinable public mutating func next() -> Element? { rest.popFirst() ?? nil }
  }
  @inlinable public func makeIterator() -> Iterator { Iterator(rest: storage[head...]) }
}
