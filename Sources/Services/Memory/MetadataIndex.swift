import CSQLite
import Wire

/// Which slots of a `VectorFile` pass a filter, told from memory in much less time than the search takes.
///
/// It has a column for each key of the metadata that filters have named, read from the database when a filter names it for
/// the first time. Columns only grow: a document whose metadata change gets a new `seq` and so a new slot, and what they
/// say of a slot that was removed harms nobody, since the search passes that over. What was written since a column was used
/// last is read when it is used again. What a text contains has a column only for those that were asked for (`read`): to
/// read all texts takes long. For the store's thread.
final class MetadataIndex {
  /// How many bytes all columns may take, about. Those that were not used for longest go first.
  private static let capacity = 64 << 20

  /// By the bytes of the key as it is in the table `metadata`; by "~" and the text for what texts contain.
  private var columns: [[UInt8]: Column] = [:]
  private var uses = 0

  /// For each slot 1 if it passes, else 0; if not `isCertain`, 1 if it may pass, and the texts have to be asked.
  ///
  /// - Parameter rows: the database's part of it.
  func passing(_ filter: Filter, of file: VectorFile, _ rows: MetadataRows) throws(MemoryError) -> (slots: [UInt8], isCertain: Bool) {
    uses += 1
    try update(filter, file, rows)
    let bits = passing(filter, file.count, unknown: 1)
    dropUnused()
    let isCertain = filter.texts.allSatisfy { columns[Self.column(text: $0)] != nil }
    return (bits, isCertain)
  }

  /// Reads which of all texts contain what the filter names, so that it is certain.
  func read(_ filter: Filter, of file: VectorFile, _ rows: MetadataRows) throws(MemoryError) {
    for text in filter.texts { try update(Self.column(text: text), file, rows, rows.containing(text)) }
  }

  private static func column(text: String) -> [UInt8] { [UInt8(ascii: "~")] + text.utf8 }

  // MARK: Columns

  private func update(_ filter: Filter, _ file: VectorFile, _ rows: MetadataRows) throws(MemoryError) {
    switch filter {
    case .all(let parts), .any(let parts): for part in parts { try update(part, file, rows) }
    case .not(let part): try update(part, file, rows)
    case .key(let key, let test):
      let key = test.column(key)
      try update(Array(key.utf8), file, rows, rows.values(key))
    case .text(let text):
      let column = Self.column(text: text)
      if columns[column] != nil { try update(column, file, rows, rows.containing(text)) }
    }
  }

  /// - Parameter query: yields `seq` above the one at its last question mark and, of a key, the value.
  private func update(_ name: [UInt8], _ file: VectorFile, _ rows: MetadataRows, _ query: SQL) throws(MemoryError) {
    // Taken out while it grows, so that it is not copied.
    var column = columns.removeValue(forKey: name) ?? Column()
    column.use = uses
    if column.upTo < rows.last {
      try rows.database.each(query.text, query.values + [.int(column.upTo)]) { (row) throws(MemoryError) in
        if let slot = file.slot(of: row.int(0)) { column.append(row, Int32(slot)) }
        return true
      }
      column.upTo = rows.last
    }
    columns[name] = column
  }

  /// Makes room, but keeps what the present filter names.
  private func dropUnused() {
    var bytes = columns.values.reduce(0) { $0 + $1.bytes }
    while bytes > Self.capacity, let oldest = columns.filter({ $0.value.use < uses }).min(by: { $0.value.use < $1.value.use }) {
      bytes -= oldest.value.bytes
      columns[oldest.key] = nil
    }
  }

  // MARK: Filters

  /// For each slot 1 if it passes, else 0.
  ///
  /// - Parameter unknown: what counts for a text that has no column.
  private func passing(_ filter: Filter, _ count: Int, unknown: UInt8) -> [UInt8] {
    func fold(_ parts: [Filter], _ empty: UInt8, _ join: (inout UInt8, UInt8) -> Void) -> [UInt8] {
      guard var bits = parts.first.map({ passing($0, count, unknown: unknown) }) else { return [UInt8](repeating: empty, count: count) }
      for part in parts.dropFirst() {
        let others = passing(part, count, unknown: unknown)
        for slot in bits.indices { join(&bits[slot], others[slot]) }
      }
      return bits
    }
    switch filter {
    case .all(let parts): return fold(parts, 1) { $0 &= $1 }
    case .any(let parts): return fold(parts, 0) { $0 |= $1 }
    case .not(let part): return passing(part, count, unknown: 1 - unknown).map { 1 - $0 }
    case .key(let key, let test): return columns[Array(test.column(key).utf8)]!.passing(test, count)
    case .text(let text):
      return columns[Self.column(text: text)]?.passing(nil, count) ?? [UInt8](repeating: unknown, count: count)
    }
  }
}

/// What the columns of a `MetadataIndex` are read from: the tables of one collection.
struct MetadataRows {
  let database: SQLiteDatabase
  /// The collection's number.
  let number: Int64
  /// No document has a `seq` above it.
  let last: Int64

  /// The values of a key.
  func values(_ key: String) -> SQL {
    SQL("SELECT document, value FROM metadata_\(number) WHERE key = ? AND document > ?", [.text(key)])
  }

  /// The documents whose text contains this, each with one value that is the same for all.
  func containing(_ text: String) -> SQL {
    SQL("SELECT seq, '' FROM documents_\(number) WHERE instr(text, ?) > 0 AND seq > ?", [.text(text)])
  }
}

extension MetadataIndex {
  /// The values of one key, in the order in which they came.
  private struct Column {
    /// What has a `seq` above it is not in it yet.
    var upTo: Int64 = 0
    var use = 0
    private var numbers: [Double] = []
    /// What whole numbers beyond 2^53 are more or less than their doubles; empty if there are none such.
    private var remainders: [Double] = []
    private var numbersAt = Places()
    /// Texts and booleans, each by its number in `spellings`.
    private var words: [Int32] = []
    private var wordsAt = Places()
    private var spellings: [[UInt8]] = []
    private var numbersOfSpellings: [[UInt8]: Int32] = [:]
    private var spelled = 0

    var bytes: Int { 12 * numbers.count + 8 * remainders.count + 8 * words.count + 2 * spelled + 128 * spellings.count }

    /// The value is in the column 1.
    mutating func append(_ row: SQLiteDatabase.Row, _ slot: Int32) {
      switch row.type(1) {
      case SQLITE_INTEGER: append(Number(row.int(1)), slot)
      case SQLITE_FLOAT: append(Number(double: row.double(1), remainder: 0), slot)
      case SQLITE_BLOB: append(Self.spelling(row.withBlob(1) { $0.first == 1 }), slot)
      default: append(row.withBlob(1) { Array($0) }, slot)
      }
    }

    private mutating func append(_ number: Number, _ slot: Int32) {
      numbersAt.append(slot)
      numbers.append(number.double)
      if remainders.isEmpty, number.remainder == 0 { return }
      remainders += [Double](repeating: 0, count: numbers.count - 1 - remainders.count) + [number.remainder]
    }

    private mutating func append(_ spelling: [UInt8], _ slot: Int32) {
      let number = numbersOfSpellings[spelling] ?? Int32(spellings.count)
      if Int(number) == spellings.count {
        numbersOfSpellings[spelling] = number
        spellings.append(spelling)
        spelled += spelling.count
      }
      wordsAt.append(slot)
      words.append(number)
    }

    /// No text has such a byte.
    private static func spelling(_ value: Bool) -> [UInt8] { [0xff, value ? 1 : 0] }
    private static func isText(_ spelling: [UInt8]) -> Bool { spelling.first != 0xff }

    private static func spelling(_ value: JSON) -> [UInt8]? {
      switch value {
      case .string(let text): Array(text.utf8)
      case .bool(let value): spelling(value)
      default: nil
      }
    }

    /// For each slot 1 if it has a value that passes.
    ///
    /// - Parameter test: nil: any.
    func passing(_ test: Filter.Test?, _ count: Int) -> [UInt8] {
      var bits = [UInt8](repeating: 0, count: count)
      bits.withUnsafeMutableBufferPointer { bits in
        switch test {
        case nil: wordsAt.mark(words, bits) { _ in true }
        case .equals(let value), .listContains(let value): mark(equal: value, bits)
        case .oneOf(let values): for value in values { mark(equal: value, bits) }
        case .above(let value, let orEqual): mark(from: value, orEqual, isBelow: false, bits)
        case .below(let value, let orEqual): mark(from: value, orEqual, isBelow: true, bits)
        }
      }
      return bits
    }

    private func mark(equal value: JSON, _ bits: UnsafeMutableBufferPointer<UInt8>) {
      if let number = Number(value) {
        mark(bits, number) {
          $0 == $1
        } exactly: {
          $0 == $1
        }
      } else if let number = Self.spelling(value).flatMap({ numbersOfSpellings[$0] }) {
        wordsAt.mark(words, bits) { $0 == number }
      }
    }

    private func mark(from value: JSON, _ orEqual: Bool, isBelow: Bool, _ bits: UnsafeMutableBufferPointer<UInt8>) {
      if let number = Number(value) {
        switch (isBelow, orEqual) {
        case (true, true):
          mark(bits, number) {
            $0 <= $1
          } exactly: {
            $0 <= $1
          }
        case (true, false):
          mark(bits, number) {
            $0 < $1
          } exactly: {
            $0 < $1
          }
        case (false, true):
          mark(bits, number) {
            $0 >= $1
          } exactly: {
            $0 >= $1
          }
        case (false, false):
          mark(bits, number) {
            $0 > $1
          } exactly: {
            $0 > $1
          }
        }
      } else if case .string(let text) = value {
        let bound = Array(text.utf8)
        let passing = spellings.map { spelling in
          guard Self.isText(spelling) else { return false }
          if spelling == bound { return orEqual }
          return spelling.lexicographicallyPrecedes(bound) == isBelow
        }
        wordsAt.mark(words, bits) { passing[Int($0)] }
      }
    }

    /// - Parameters:
    ///   - passes: a number of the column and the bound, as doubles: enough where neither has a remainder.
    ///   - exactly: the same of any two numbers.
    @inline(__always)
    private func mark(
      _ bits: UnsafeMutableBufferPointer<UInt8>, _ bound: Number, _ passes: (Double, Double) -> Bool, exactly: (Number, Number) -> Bool
    ) {
      let double = bound.double
      if remainders.isEmpty, bound.remainder == 0 { return numbersAt.mark(numbers, bits) { passes($0, double) } }
      let all = numbers.indices.map { Number(double: numbers[$0], remainder: remainders.isEmpty ? 0 : remainders[$0]) }
      numbersAt.mark(all, bits) { exactly($0, bound) }
    }
  }

  /// Which slots a column's values belong to: value by value; a list has several for one slot.
  private struct Places {
    private var slots: [Int32] = []
    /// The value with the number n belongs to slot n, as it is where no document was removed and all have the key.
    private var isEverySlot = true

    mutating func append(_ slot: Int32) {
      isEverySlot = isEverySlot && Int(slot) == slots.count
      slots.append(slot)
    }

    /// Sets the slots of the values that pass to 1.
    @inline(__always)
    func mark<Value>(_ values: [Value], _ bits: UnsafeMutableBufferPointer<UInt8>, _ passes: (Value) -> Bool) {
      values.withUnsafeBufferPointer { values in
        if isEverySlot {
          for number in values.indices { bits[number] |= passes(values[number]) ? 1 : 0 }
        } else {
          slots.withUnsafeBufferPointer { slots in
            for number in values.indices { bits[Int(slots[number])] |= passes(values[number]) ? 1 : 0 }
          }
        }
      }
    }
  }

  /// A whole number of 64 bits or a double, exactly: their sum.
  private struct Number: Comparable {
    var double: Double
    /// What is left beside the nearest double; at most 512, so exact.
    var remainder: Double

    init(double: Double, remainder: Double) { (self.double, self.remainder) = (double, remainder) }

    init(_ value: Int64) {
      double = Double(value)
      remainder = Double(Int128(value) - Int128(double))
    }

    /// Nil for what is no number.
    init?(_ value: JSON) {
      switch value {
      case .int(let value): self.init(Int64(value))
      case .double(let value) where value.isFinite: self.init(double: value, remainder: 0)
      default: return nil
      }
    }

    static func < (a: Number, b: Number) -> Bool { (a.double, a.remainder) < (b.double, b.remainder) }
  }
}
