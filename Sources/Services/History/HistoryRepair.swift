/// Brings the numbers in llm.sqlite to what they can be, before anybody adds to them: a file is as foreign as a server.
///
/// What was said is never removed. What is lost are counts that no kernel can have written; they begin anew.
struct HistoryRepair {
  /// Far above everything that is counted, so that whatever is counted on from there stays a whole number.
  private static let largest = SQLiteDatabase.largestCount
  /// The last millisecond of the year 9999.
  private static let lastMoment: Int64 = 253_402_300_799_999

  private let database: SQLiteDatabase
  /// What was mended, for the log.
  private var told: [String] = []

  /// - Returns: what was mended, one line each.
  static func mend(_ database: SQLiteDatabase) throws(MemoryError) -> [String] {
    var repair = HistoryRepair(database: database)
    try repair.identifiers()
    try repair.turnNumbers()
    try repair.counts()
    try repair.spending()
    return repair.told
  }

  private static func isOdd(_ column: String, from least: Int64 = 0, to most: Int64) -> String {
    "(typeof(\(column)) <> 'integer' OR \(column) NOT BETWEEN \(least) AND \(most))"
  }

  private mutating func run(_ sql: String, _ what: String) throws(MemoryError) {
    try database.run(sql, keep: false)
    if database.changes > 0 { told.append("\(database.path) held \(what) that cannot be, \(database.changes) times: they begin anew") }
  }

  private mutating func identifiers() throws(MemoryError) {
    let odd = try database.all("SELECT id FROM thread WHERE \(Self.isOdd("id", from: 1, to: Self.largest))", keep: false) { $0.int(0) }
    try database.transaction { () throws(MemoryError) in
      for id in odd {
        let free =
          try database.first("SELECT coalesce(max(id), 0) + 1 FROM thread WHERE id < \(Self.largest)", keep: false) { $0.int(0) } ?? 1
        try database.run("UPDATE thread SET id = ? WHERE id = ?", [.int(free), .int(id)], keep: false)
        try database.run("UPDATE turn SET thread = ? WHERE thread = ?", [.int(free), .int(id)], keep: false)
      }
    }
    let highest = "(SELECT coalesce(max(id), 0) FROM thread)"
    try run(
      "UPDATE sqlite_sequence SET seq = \(highest) WHERE name = 'thread' AND \(Self.isOdd("seq", to: Self.largest - 1))",
      "identifiers of conversations")
  }

  /// Turns keep their order.
  private mutating func turnNumbers() throws(MemoryError) {
    let threads = try database.all("SELECT DISTINCT thread FROM turn WHERE \(Self.isOdd("number", from: 1, to: Self.largest))", keep: false)
    {
      $0.int(0)
    }
    guard !threads.isEmpty else { return }
    try database.transaction { () throws(MemoryError) in
      for thread in threads {
        let turns = try database.all("SELECT id FROM turn WHERE thread = ? ORDER BY number, id", [.int(thread)]) { $0.int(0) }
        // No two turns may have one number in between.
        for base in [Int64.min / 2, 1] {
          for (index, turn) in turns.enumerated() {
            try database.run("UPDATE turn SET number = ? WHERE id = ?", [.int(base + Int64(index)), .int(turn)])
          }
        }
      }
    }
    told.append("\(database.path) held numbers of turns that cannot be, in \(threads.count) conversations: their turns are numbered anew")
  }

  private mutating func counts() throws(MemoryError) {
    let turns = "(SELECT coalesce(max(number), 0) FROM turn WHERE turn.thread = thread.id)"
    for (column, values) in [("summarised", "summary = NULL, summarised = 0"), ("left_out", "left_out = 0, left_out_window = 0")] {
      let isOdd = "\(Self.isOdd(column, to: Self.largest)) OR \(column) > \(turns)"
      try run("UPDATE thread SET \(values) WHERE \(isOdd)", "counts of turns")
    }
    try run("UPDATE thread SET left_out_window = 0 WHERE \(Self.isOdd("left_out_window", to: Self.largest))", "sizes of windows")
    try run(
      "UPDATE thread SET bytes_per_token = 3.5 WHERE typeof(bytes_per_token) NOT IN ('real', 'integer') OR bytes_per_token NOT BETWEEN 1 AND 8",
      "lengths of tokens")
    for column in ["began", "used"] {
      try run("UPDATE thread SET \(column) = 0 WHERE \(Self.isOdd(column, to: Self.lastMoment))", "moments")
    }
  }

  private mutating func spending() throws(MemoryError) {
    try run("DELETE FROM spent WHERE \(Self.isOdd("tokens", to: Int64(Budget.most)))", "sums of tokens that were spent on a day")
  }
}
