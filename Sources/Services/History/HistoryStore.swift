// llm.sqlite, in the data folder. SQLite in WAL mode, synchronous FULL, secure_delete. Version 2 (1 had no `spent`):
//
//     thread(id, persona, name, summary, summarised, left_out, left_out_window, bytes_per_token, began, used)
//                   one conversation. `id` is never used twice, so that a question which began before a `forget` finds its
//                   thread gone. summary: of the first `summarised` turns, or NULL. left_out: so many of the first turns
//                   did not fit a window of left_out_window tokens, and do not go along any more until there is a larger
//                   one. bytes_per_token: what was learnt of the model's tokens. began, used: milliseconds since 1970
//     turn(thread, number, messages, provider, model, finish, prompt_tokens, completion_tokens, at)
//                   what was asked and answered, numbered from 1. messages: JSON, [{"role","content"},…]
//     spent(day, persona, tokens)
//                   the tokens of one day; `persona` is never empty. Days are the user's own: "2026-11-23"

import FoundationEssentials
import Kernel
import Protocol

/// Conversations and budgets of all personas, in one SQLite file. For one thread.
final class HistoryStore {
  private static let version = 2
  private let database: SQLiteDatabase
  /// Told of what could not be read and was passed over, or was mended.
  private let note: (String) -> Void

  /// Opens or makes the file. nil: in memory, for as long as this lives.
  init(folder: String?, note: @escaping (String) -> Void = { _ in }) throws(MemoryError) {
    self.note = note
    if let folder { try PrivateFile.makeFolder(folder) }
    database = try SQLiteDatabase(
      durable: folder.map { $0 + "/llm.sqlite" } ?? ":memory:", version: Self.version, schema: Self.schema + [Self.spentTable]
    ) { (database, _) throws(MemoryError) in try database.run(Self.spentTable, keep: false) }
    for line in try HistoryRepair.mend(database) { note(line) }
  }

  private static let schema = [
    """
    CREATE TABLE thread(id INTEGER PRIMARY KEY AUTOINCREMENT, persona TEXT NOT NULL, name TEXT NOT NULL, summary TEXT,
      summarised INTEGER NOT NULL DEFAULT 0, left_out INTEGER NOT NULL DEFAULT 0, left_out_window INTEGER NOT NULL DEFAULT 0,
      bytes_per_token REAL NOT NULL, began INTEGER NOT NULL, used INTEGER NOT NULL, UNIQUE (persona, name))
    """,
    """
    CREATE TABLE turn(id INTEGER PRIMARY KEY, thread INTEGER NOT NULL, number INTEGER NOT NULL, messages TEXT NOT NULL, provider TEXT,
      model TEXT, finish TEXT, prompt_tokens INTEGER, completion_tokens INTEGER, at INTEGER NOT NULL, UNIQUE (thread, number))
    """,
  ]

  private static let spentTable =
    "CREATE TABLE IF NOT EXISTS spent(day TEXT NOT NULL, persona TEXT NOT NULL, tokens INTEGER NOT NULL, PRIMARY KEY (day, persona)) WITHOUT ROWID"

  // MARK: Questions

  /// The conversation, begun if there is none. Of its turns no more are read than may fit the window, the newest first.
  func open(_ key: ThreadKey, window: Int, estimate: TokenEstimate, now: Int64) throws(MemoryError) -> Conversation {
    func find() throws(MemoryError) -> (conversation: Conversation, leftOut: Int)? {
      try database.first(
        "SELECT id, summary, summarised, left_out, left_out_window, bytes_per_token FROM thread WHERE persona = ? AND name = ?",
        [.text(key.persona), .text(key.thread)]
      ) { row in
        var conversation = Conversation(thread: row.int(0), estimate: TokenEstimate(bytesPerToken: row.double(5)))
        if let text = row.optionalText(1) { conversation.summary = .init(text: text, turns: row.count(2)) }
        return (conversation, row.count(4) < window ? 0 : row.count(3))
      }
    }
    guard let found = try find() else {
      try database.run(
        "INSERT INTO thread(persona, name, bytes_per_token, began, used) VALUES (?, ?, ?, ?, ?)",
        [.text(key.persona), .text(key.thread), .double(estimate.bytesPerToken), .int(now), .int(now)])
      return Conversation(thread: database.lastInsertedRow, estimate: estimate)
    }
    var conversation = found.conversation
    var tokens = 0
    var oldest: Int?
    var newest: [Turn] = []
    try database.each(
      "SELECT number, messages FROM turn WHERE thread = ? AND number > ? ORDER BY number DESC",
      [.int(conversation.thread ?? 0), .int(Int64(found.leftOut))]
    ) { (row) throws(MemoryError) in
      oldest = max(1, row.count(0))
      guard let turn = self.turn(row.text(1)) else { return true }
      newest.append(turn)
      tokens += conversation.estimate.tokens(turn)
      // The one that is too much is read, too: so whoever fills the window sees that it does not hold all.
      return tokens <= window
    }
    conversation.turns = newest.reversed()
    conversation.dropped = oldest.map { $0 - 1 } ?? found.leftOut
    return conversation
  }

  /// Keeps what was asked and answered. Nothing happens if the thread was forgotten meanwhile.
  ///
  /// - Parameter leftOut: so many of the first turns did not fit the window.
  func append(
    _ turn: Turn, _ facts: TurnFacts, to thread: Int64, leftOut: Int, window: Int, estimate: TokenEstimate, now: Int64
  ) throws(MemoryError) {
    try database.transaction { () throws(MemoryError) in
      try database.run(
        "UPDATE thread SET left_out = ?, left_out_window = ?, bytes_per_token = ?, used = ? WHERE id = ?",
        [.int(Int64(leftOut)), .int(Int64(window)), .double(estimate.bytesPerToken), .int(now), .int(thread)])
      guard database.changes > 0 else { return }
      try database.run(
        """
        INSERT INTO turn(thread, number, messages, provider, model, finish, prompt_tokens, completion_tokens, at)
        VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM turn WHERE thread = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        """,
        [
          .int(thread), .text(json(turn)), SQLValue(facts.provider), SQLValue(facts.model), SQLValue(facts.finish),
          facts.promptTokens.map { .int(Int64($0)) } ?? .null, facts.completionTokens.map { .int(Int64($0)) } ?? .null, .int(now),
        ])
    }
  }

  // MARK: Summaries

  /// What a thread has that is left out and not summarised: its summary as it is, and the turns from the one after it on.
  func unsummarised(_ thread: Int64) throws(MemoryError) -> (summary: Conversation.Summary?, turns: [Turn]) {
    let found = try database.first("SELECT summary, summarised, left_out FROM thread WHERE id = ?", [.int(thread)]) {
      (text: $0.optionalText(0), summarised: $0.count(1), leftOut: $0.count(2))
    }
    guard let found else { return (nil, []) }
    let turns = try database.all(
      "SELECT messages FROM turn WHERE thread = ? AND number > ? AND number <= ? ORDER BY number",
      [.int(thread), .int(Int64(found.summarised)), .int(Int64(found.leftOut))]
    ) { $0.text(0) }
    var read: [Turn] = []
    // One that cannot be read counts: the summary stands for so many.
    for messages in turns { read.append(turn(messages) ?? []) }
    return (found.text.map { .init(text: $0, turns: found.summarised) }, read)
  }

  /// Keeps a new summary in the place of the old one; of a thread that was forgotten there is none.
  func keep(_ summary: Conversation.Summary, of thread: Int64) throws(MemoryError) {
    try database.run(
      "UPDATE thread SET summary = ?, summarised = ? WHERE id = ?", [.text(summary.text), .int(Int64(summary.turns)), .int(thread)])
  }

  // MARK: Budgets

  /// What each persona has spent on a day.
  func spent(on day: String) throws(MemoryError) -> [String: Int] {
    let rows = try database.all("SELECT persona, tokens FROM spent WHERE day = ?", [.text(day)]) { ($0.text(0), $0.count(1)) }
    return Dictionary(rows) { first, _ in first }
  }

  func spend(_ tokens: Int, persona: String, day: String) throws(MemoryError) {
    try database.run(
      "INSERT INTO spent(day, persona, tokens) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET tokens = min(tokens + excluded.tokens, ?4)",
      [.text(day), .text(persona), .int(Int64(Budget.sum(tokens, 0))), .int(Int64(Budget.most))])
  }

  // MARK: Looking

  /// How many conversations have been kept.
  var count: Int {
    get throws(MemoryError) { try database.first("SELECT count(DISTINCT thread) FROM turn") { $0.count(0) } ?? 0 }
  }

  /// The conversations in which something was said, of one persona or of all, the one used last first.
  func threads(of persona: String?) throws(MemoryError) -> [ThreadEntry] {
    try database.all(
      """
      SELECT persona, name, count(number), sum(length(CAST(messages AS BLOB))), summarised, left_out, began, used
      FROM thread JOIN turn ON turn.thread = thread.id WHERE persona = coalesce(?, persona) GROUP BY thread.id ORDER BY used DESC, thread.id DESC
      """, [SQLValue(persona)]
    ) {
      ThreadEntry(
        key: ThreadKey(persona: $0.text(0), thread: $0.text(1)), turns: $0.count(2), bytes: $0.count(3), summarised: $0.count(4),
        leftOut: $0.count(5), began: $0.moment(6), used: $0.moment(7))
    }
  }

  /// What was said, oldest first: all, or the last turns of it. Nil: there is no such conversation.
  func read(_ key: ThreadKey, last: Int?) throws(MemoryError) -> (entry: ThreadEntry, summary: String?, turns: [KeptTurn])? {
    guard let entry = try threads(of: key.persona).first(where: { $0.key == key }) else { return nil }
    let thread = try database.first(
      "SELECT id, summary FROM thread WHERE persona = ? AND name = ?", [.text(key.persona), .text(key.thread)]
    ) { (id: $0.int(0), summary: $0.optionalText(1)) }
    var turns: [KeptTurn] = []
    try database.each(
      """
      SELECT number, messages, provider, model, finish, prompt_tokens, completion_tokens, at FROM turn
      WHERE thread = ? ORDER BY number DESC LIMIT ?
      """, [.int(thread?.id ?? 0), .int(Int64(last ?? -1))]
    ) { (row) throws(MemoryError) in
      let facts = TurnFacts(
        provider: row.optionalText(2), model: row.optionalText(3), finish: row.optionalText(4),
        promptTokens: row.isNull(5) ? nil : row.count(5), completionTokens: row.isNull(6) ? nil : row.count(6))
      guard let turn = self.turn(row.text(1)) else { return true }
      turns.append(KeptTurn(number: row.count(0), turn: turn, facts: facts, at: row.moment(7)))
      return true
    }
    return (entry, thread?.summary, turns.reversed())
  }

  // MARK: Forgetting

  /// Removes a conversation, or all of a persona's, and every trace of it from the files.
  /// - Returns: how many conversations with something in them there were, and how many turns.
  func forget(_ persona: String, thread: String?) throws(MemoryError) -> (threads: Int, turns: Int) {
    let selection = "SELECT id FROM thread WHERE persona = ?1 AND name = coalesce(?2, name)"
    let values: [SQLValue] = [.text(persona), SQLValue(thread)]
    let counts = try database.transaction { () throws(MemoryError) in
      let threads = try database.first("SELECT count(DISTINCT thread) FROM turn WHERE thread IN (\(selection))", values) { $0.count(0) }
      try database.run("DELETE FROM turn WHERE thread IN (\(selection))", values)
      let turns = database.changes
      try database.run("DELETE FROM thread WHERE persona = ?1 AND name = coalesce(?2, name)", values)
      return (threads ?? 0, turns)
    }
    try scrub()
    return counts
  }

  /// What was deleted is zeros in the file by now; the log of writes beside it still has it, until it is emptied.
  private func scrub() throws(MemoryError) {
    if !(try database.emptyLog()) {
      throw MemoryError(
        .storage,
        "it is forgotten, but another process reads \(database.path): end it, and forget once more, so that nothing of it stays in \(database.path)-wal"
      )
    }
  }

  /// Removes single questions (`History.askPrefix`) that nobody has used since then.
  ///
  /// - Returns: how many.
  func expireAsks(before: Int64) throws(MemoryError) -> Int {
    let selection = "SELECT id FROM thread WHERE substr(name, 1, ?1) = ?2 AND used < ?3"
    let values: [SQLValue] = [.int(Int64(History.askPrefix.count)), .text(History.askPrefix), .int(before)]
    let count = try database.transaction { () throws(MemoryError) in
      try database.run("DELETE FROM turn WHERE thread IN (\(selection))", values)
      try database.run("DELETE FROM thread WHERE substr(name, 1, ?1) = ?2 AND used < ?3", values)
      return database.changes
    }
    // Another process that reads the file keeps the log of writes for now; the next time empties it.
    if count > 0 { _ = try database.emptyLog() }
    return count
  }

  // MARK: Messages as JSON

  private func json(_ turn: Turn) -> String { String(decoding: PayloadCoding.bytes(of: turn), as: UTF8.self) }

  /// Nil: it cannot be read, and the conversation goes on without it.
  private func turn(_ json: String) -> Turn? {
    if let turn = try? JSONDecoder().decode(Turn.self, from: Data(json.utf8)) { return turn }
    note("\(database.path) holds a turn that cannot be read, and is passed over: \(excerpt(json.utf8))")
    return nil
  }
}

extension SQLiteDatabase.Row {
  /// Milliseconds since 1970, from then to the year 9999.
  fileprivate func moment(_ column: Int32) -> Int64 { min(max(int(column), 0), 253_402_300_799_000) }
}
