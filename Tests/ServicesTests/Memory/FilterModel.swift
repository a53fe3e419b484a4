import Wire

/// What Chroma's `where` and `where_document` mean, said as plainly as possible: straight from the JSON, document by document.
enum FilterModel {
  static func passes(_ metadata: [String: JSON], text: String, where filter: JSON?, document: JSON?) -> Bool {
    (filter.map { holds($0) { key, test in operators(test, value(of: key, in: metadata)) } } ?? true)
      && (document.map { holds($0) { name, text_ in textOperator(name, text_, text) } } ?? true)
  }

  private static func holds(_ filter: JSON, _ member: (String, JSON) -> Bool) -> Bool {
    filter.object!.allSatisfy { key, value in
      switch key {
      case "$and": value.array!.allSatisfy { holds($0, member) }
      case "$or": value.array!.contains { holds($0, member) }
      default: member(key, value)
      }
    }
  }

  private static func textOperator(_ name: String, _ operand: JSON, _ text: String) -> Bool {
    let contains = Array(text.utf8).contains(Array(operand.string!.utf8))
    return name == "$contains" ? contains : !contains
  }

  /// A key is a sequence of bytes: Swift's own comparison takes "é" for "e" with an accent.
  private static func value(of key: String, in metadata: [String: JSON]) -> JSON? {
    metadata.first { $0.key.utf8.elementsEqual(key.utf8) }?.value
  }

  private static func operators(_ test: JSON, _ value: JSON?) -> Bool {
    guard let operators = test.object else { return equal(value, test) }
    return operators.allSatisfy { name, operand in
      switch name {
      case "$eq": equal(value, operand)
      case "$ne": !equal(value, operand)
      case "$in": operand.array!.contains { equal(value, $0) }
      case "$nin": !operand.array!.contains { equal(value, $0) }
      case "$contains": value?.array?.contains { equal($0, operand) } ?? false
      case "$not_contains": !(value?.array?.contains { equal($0, operand) } ?? false)
      case "$gt": order(value, operand).map { $0 > 0 } ?? false
      case "$gte": order(value, operand).map { $0 >= 0 } ?? false
      case "$lt": order(value, operand).map { $0 < 0 } ?? false
      case "$lte": order(value, operand).map { $0 <= 0 } ?? false
      default: preconditionFailure("an operator that the test does not make: \(name)")
      }
    }
  }

  private static func equal(_ a: JSON?, _ b: JSON) -> Bool {
    if case .bool(let a) = a, case .bool(let b) = b { return a == b }
    return order(a, b) == 0
  }

  /// Negative, 0 or positive; nil for values of different kinds and for those that have no order.
  private static func order(_ a: JSON?, _ b: JSON) -> Int? {
    switch (a, b) {
    case (.string(let a), .string(let b)):
      return a.utf8.elementsEqual(b.utf8) ? 0 : a.utf8.lexicographicallyPrecedes(b.utf8) ? -1 : 1
    case (.int(let a), .int(let b)): return a == b ? 0 : a < b ? -1 : 1
    case (.double(let a), .double(let b)): return a == b ? 0 : a < b ? -1 : 1
    case (.int(let a), .double(let b)): return order(a, b)
    case (.double(let a), .int(let b)): return -order(b, a)
    default: return nil
    }
  }

  /// Exactly, not after rounding the one or the other.
  private static func order(_ a: Int, _ b: Double) -> Int {
    if b >= 0x1p63 { return -1 }
    if b < -0x1p63 { return 1 }
    let below = Int(b.rounded(.down))
    if a != below { return a < below ? -1 : 1 }
    return b > b.rounded(.down) ? -1 : 0
  }
}
