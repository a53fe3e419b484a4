import Wire

/// A piece of SQL and the values of its question marks, in their order.
struct SQL: Equatable {
  var text: String
  var values: [SQLValue] = []

  init(_ text: String, _ values: [SQLValue] = []) {
    self.text = text
    self.values = values
  }

  static func joined(_ parts: [SQL], _ separator: String) -> SQL {
    SQL(parts.map(\.text).joined(separator: separator), parts.flatMap(\.values))
  }
}

/// Filters as SQL over the tables of one collection. What people wrote is only ever in bound values.
///
/// There are two shapes. A *probe* is a condition on one document, asked row by row. A *set* is a query that yields all
/// documents that pass, out of the index of metadata by value: the faster way if these are few.
struct FilterSQL {
  /// The collection's number, which is in the names of its tables.
  let collection: Int64

  /// A condition; `row` is an expression for the document's `seq`.
  func probe(_ filter: Filter, row: String) -> SQL {
    switch filter {
    case .all(let parts): return parts.isEmpty ? SQL("1") : joined(parts, " AND ", row)
    case .any(let parts): return parts.isEmpty ? SQL("0") : joined(parts, " OR ", row)
    case .not(let part):
      let sql = probe(part, row: row)
      return SQL("NOT \(sql.text)", sql.values)
    case .key(let key, let test):
      let (key, condition) = Self.condition(key, test)
      return SQL(
        "EXISTS (SELECT 1 FROM metadata_\(collection) WHERE document = \(row) AND key = ? AND \(condition.text))", [key] + condition.values)
    case .text(let text):
      return SQL("(SELECT instr(text, ?) > 0 FROM documents_\(collection) WHERE seq = \(row))", [.text(text)])
    }
  }

  private func joined(_ parts: [Filter], _ word: String, _ row: String) -> SQL {
    let sql = SQL.joined(parts.map { probe($0, row: row) }, word)
    return SQL("(\(sql.text))", sql.values)
  }

  /// A query with one column, `document`, and how many rows it goes through; nil if only a probe can tell.
  ///
  /// - Parameter count: how many rows the query would yield.
  func set<E: Error>(_ filter: Filter, count: (SQL) throws(E) -> Int) throws(E) -> (sql: SQL, rows: Int)? {
    switch filter {
    case .key(let key, let test):
      let (key, condition) = Self.condition(key, test)
      let sql = SQL("SELECT document FROM metadata_\(collection) WHERE key = ? AND \(condition.text)", [key] + condition.values)
      return (sql, try count(sql))
    case .any(let parts):
      var sets: [SQL] = []
      var rows = 0
      for part in parts {
        guard let set = try set(part, count: count) else { return nil }
        sets.append(set.sql)
        rows += set.rows
      }
      return sets.isEmpty ? nil : (SQL.joined(sets, " UNION "), rows)
    case .all(let parts):
      var best: (covers: [Int], sql: SQL, rows: Int)?
      for (index, part) in parts.enumerated() {
        var set: (sql: SQL, rows: Int)?
        var covers = [index]
        if let range = range(from: part, in: parts) {
          covers.append(range.end)
          set = (range.sql, try count(range.sql))
        } else {
          set = try self.set(part, count: count)
        }
        if let set, set.rows < best?.rows ?? .max { best = (covers, set.sql, set.rows) }
      }
      guard let best else { return nil }
      let others = parts.indices.filter { !best.covers.contains($0) }.map { parts[$0] }
      if others.isEmpty { return (best.sql, best.rows) }
      let rest = probe(.all(others), row: "found.document")
      return (
        SQL("SELECT document FROM (\(best.sql.text)) AS found WHERE \(rest.text)", best.sql.values + rest.values), best.rows
      )
    case .not, .text: return nil
    }
  }

  /// From an end below to an end above of the same key: as one set, since a single value stands in a row of its own.
  private func range(from part: Filter, in parts: [Filter]) -> (end: Int, sql: SQL)? {
    guard case .key(let key, .above(let low, let orLow)) = part else { return nil }
    for (index, other) in parts.enumerated() {
      guard case .key(let otherKey, .below(let high, let orHigh)) = other, otherKey.utf8.elementsEqual(key.utf8) else { continue }
      guard (low.string == nil) == (high.string == nil), let low = SQLValue(metadata: low), let high = SQLValue(metadata: high) else {
        continue
      }
      let (from, to) = (orLow ? ">=" : ">", orHigh ? "<=" : "<")
      return (
        index,
        SQL(
          "SELECT document FROM metadata_\(collection) WHERE key = ? AND value \(from) ? AND value \(to) ?",
          [.text("=" + key), low, high])
      )
    }
    return nil
  }

  /// How the column `key` is written, which tells lists from single values, and a condition on the column `value`.
  private static func condition(_ key: String, _ test: Filter.Test) -> (key: SQLValue, SQL) {
    switch test {
    case .equals(let value): return (.text("=" + key), comparison("=", value))
    case .listContains(let value): return (.text("@" + key), comparison("=", value))
    case .oneOf(let values):
      let values = values.compactMap { SQLValue(metadata: $0) }
      return (.text("=" + key), SQL("value IN (\(values.map { _ in "?" }.joined(separator: ", ")))", values))
    case .above(let value, let orEqual): return (.text("=" + key), comparison(orEqual ? ">=" : ">", value))
    case .below(let value, let orEqual): return (.text("=" + key), comparison(orEqual ? "<=" : "<", value))
    }
  }

  /// SQLite sorts all numbers before all texts, and these before the blobs that stand for booleans: an end of the
  /// range keeps the comparison within the kind.
  private static func comparison(_ sign: String, _ value: JSON) -> SQL {
    guard let bound = SQLValue(metadata: value) else { return SQL("0") }
    switch (sign, value) {
    case ("=", _): return SQL("value = ?", [bound])
    case (_, .bool): return SQL("0")
    case (">", .string), (">=", .string): return SQL("value \(sign) ? AND value < x''", [bound])
    case (_, .string): return SQL("value \(sign) ? AND value >= ''", [bound])
    case (">", _), (">=", _): return SQL("value \(sign) ? AND value < ''", [bound])
    default: return SQL("value \(sign) ?", [bound])
    }
  }
}

extension SQLValue {
  /// A single value of the metadata as it stands in the column `value`; nil for other JSON, and for what is no number.
  init?(metadata json: JSON) {
    switch json {
    case .string(let value): self = .text(value)
    case .int(let value): self = .int(Int64(value))
    case .double(let value) where value.isFinite: self = .double(value)
    case .bool(let value): self = .blob([value ? 1 : 0])
    case .double, .null, .array, .object: return nil
    }
  }
}
