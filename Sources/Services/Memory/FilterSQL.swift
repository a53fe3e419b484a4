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

/// Filters as conditions in SQL over the tables of one collection. What people wrote is only ever in bound values.
struct FilterSQL {
  /// The collection's number, which is in the names of its tables.
  let collection: Int64

  /// A condition on one document; `row` is an expression for its `seq`.
  func condition(_ filter: Filter, row: String) -> SQL {
    switch filter {
    case .all(let parts): return parts.isEmpty ? SQL("1") : joined(parts, " AND ", row)
    case .any(let parts): return parts.isEmpty ? SQL("0") : joined(parts, " OR ", row)
    case .not(let part):
      let sql = condition(part, row: row)
      return SQL("NOT \(sql.text)", sql.values)
    case .key(let key, let test):
      let condition = Self.condition(test)
      return SQL(
        "EXISTS (SELECT 1 FROM metadata_\(collection) WHERE document = \(row) AND key = ? AND \(condition.text))",
        [.text(test.column(key))] + condition.values)
    case .text(let text):
      return SQL("(SELECT instr(text, ?) > 0 FROM documents_\(collection) WHERE seq = \(row))", [.text(text)])
    }
  }

  private func joined(_ parts: [Filter], _ word: String, _ row: String) -> SQL {
    let sql = SQL.joined(parts.map { condition($0, row: row) }, word)
    return SQL("(\(sql.text))", sql.values)
  }

  /// On the column `value`.
  private static func condition(_ test: Filter.Test) -> SQL {
    switch test {
    case .equals(let value), .listContains(let value): return comparison("=", value)
    case .oneOf(let values):
      let values = values.compactMap { SQLValue(metadata: $0) }
      return SQL("value IN (\(values.map { _ in "?" }.joined(separator: ", ")))", values)
    case .above(let value, let orEqual): return comparison(orEqual ? ">=" : ">", value)
    case .below(let value, let orEqual): return comparison(orEqual ? "<=" : "<", value)
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

extension Filter.Test {
  /// How a key stands in the table `metadata`, which tells lists from single values.
  func column(_ key: String) -> String { if case .listContains = self { "@" + key } else { "=" + key } }
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
