import CSQLite
import Glibc

/// A value that goes into SQL at a question mark.
enum SQLValue {
  case null
  case int(Int64)
  case double(Double)
  case text(String)
  case blob([UInt8])
  /// The bytes of these floats, as the machine has them: little-endian on all that we run on.
  case floats([Float])

  init(_ text: String?) { self = text.map { .text($0) } ?? .null }
}

extension SQLValue: Equatable {
  /// Texts are equal as they are to SQLite, byte for byte; to Swift "é" is also an "e" and an accent.
  static func == (a: SQLValue, b: SQLValue) -> Bool {
    switch (a, b) {
    case (.null, .null): true
    case (.int(let a), .int(let b)): a == b
    case (.double(let a), .double(let b)): a == b
    case (.text(let a), .text(let b)): a.utf8.elementsEqual(b.utf8)
    case (.blob(let a), .blob(let b)): a == b
    case (.floats(let a), .floats(let b)): a == b
    default: false
    }
  }
}

/// Which file is at a path, whatever its name.
private struct FileIdentity: Equatable {
  private let device, inode: UInt64

  /// Nil if there is none.
  init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
  }
}

/// One connection to an SQLite file. For one thread.
final class SQLiteDatabase {
  /// Far above everything that is counted, and far below where sums overflow.
  static let largestCount: Int64 = 1 << 53

  let path: String
  private let handle: OpaquePointer
  /// Which file it was that was opened; nil for one in memory.
  private var opened: FileIdentity?
  /// Statements that come again.
  private var kept: [String: OpaquePointer] = [:]

  /// Opens or makes the file.
  init(_ path: String) throws(MemoryError) {
    self.path = path
    var handle: OpaquePointer?
    let code = sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
    guard code == SQLITE_OK, let handle else {
      let reason = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "no memory"
      sqlite3_close_v2(handle)
      throw Self.error(code, reason, path)
    }
    self.handle = handle
    opened = path == ":memory:" ? nil : FileIdentity(path)
    sqlite3_busy_timeout(handle, 10_000)
  }

  /// Opens or makes a file that is the user's alone and loses nothing that was committed: WAL, every commit on the disk before
  /// it returns, and zeros where something was deleted.
  ///
  /// - Parameters:
  ///   - version: of the schema; kept as `user_version`. A file of a newer one is refused.
  ///   - settings: pragmas that come before all others.
  ///   - schema: makes the tables of an empty file, all or none.
  ///   - upgrade: brings the tables of an older version to this one, all or none.
  convenience init(
    durable path: String, version: Int, settings: [String] = [], schema: [String],
    upgrade: (SQLiteDatabase, _ from: Int) throws(MemoryError) -> Void
  ) throws(MemoryError) {
    // SQLite's companions of the file get its mode.
    if path != ":memory:" { try PrivateFile.make(path) }
    try self.init(path)
    for setting in settings + ["journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"] {
      try run("PRAGMA \(setting)", keep: false)
    }
    func found() throws(MemoryError) -> Int { try first("PRAGMA user_version", keep: false) { Int($0.int(0)) } ?? 0 }
    let written = try found()
    if written > version {
      throw MemoryError(.damaged, "\(path) was written by a newer version (\(written); this one knows \(version)): update this one")
    }
    if written < 0 { throw MemoryError(.damaged, "\(path) is no file of ours: its version is \(written)") }
    guard written < version else { return }
    try transaction { () throws(MemoryError) in
      // Another process may have done it while we waited.
      let written = try found()
      if written == version { return }
      if written == 0 { for sql in schema { try run(sql, keep: false) } } else { try upgrade(self, written) }
      try run("PRAGMA user_version = \(version)", keep: false)
    }
  }

  /// Copies the log of writes into the file and empties it, so that what was deleted is in neither.
  ///
  /// - Returns: false if another process reads the file, and the log must stay.
  func emptyLog() throws(MemoryError) -> Bool {
    try first("PRAGMA wal_checkpoint(TRUNCATE)", keep: false) { $0.int(0) == 1 } != true
  }

  /// Gives pages that nobody uses back to the disk, a few at a time, so that the log of writes stays short. Only a file that was made with
  /// `auto_vacuum = INCREMENTAL` has pages to give.
  func shrink() throws(MemoryError) {
    func free() throws(MemoryError) -> Int { try first("PRAGMA freelist_count", keep: false) { $0.count(0) } ?? 0 }
    var before = Int.max
    while case let now = try free(), now > 0, now < before {
      before = now
      try run("PRAGMA incremental_vacuum(500)", keep: false)
      _ = try emptyLog()
    }
  }

  /// Throws if the file was removed, or another put in its place: what is written into it would be lost.
  private func checkIsInPlace() throws(MemoryError) {
    guard let opened, FileIdentity(path) != opened else { return }
    throw MemoryError(
      .storage,
      "\(path) has been removed or replaced while it was in use, so nothing is written any more: put it back, or restart the kernel to begin with what is there now"
    )
  }

  deinit {
    for statement in kept.values { sqlite3_finalize(statement) }
    sqlite3_close_v2(handle)
  }

  /// The row that a query is at. Columns count from 0.
  struct Row {
    fileprivate let statement: OpaquePointer

    /// As SQLite numbers them: SQLITE_INTEGER, SQLITE_FLOAT, SQLITE_TEXT, SQLITE_BLOB, SQLITE_NULL.
    func type(_ column: Int32) -> Int32 { sqlite3_column_type(statement, column) }
    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(statement, column) == SQLITE_NULL }
    /// Any number of 64 bits: not for arithmetic that can overflow.
    func int(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }
    /// A count, or a number that is counted up. A file can say anything: what is below 0 or above `largestCount` comes as the
    /// nearest number that is not.
    func count(_ column: Int32) -> Int { Int(min(max(int(column), 0), SQLiteDatabase.largestCount)) }
    func double(_ column: Int32) -> Double { sqlite3_column_double(statement, column) }
    func text(_ column: Int32) -> String {
      guard let bytes = sqlite3_column_text(statement, column) else { return "" }
      return String(decoding: UnsafeBufferPointer(start: bytes, count: Int(sqlite3_column_bytes(statement, column))), as: UTF8.self)
    }
    func optionalText(_ column: Int32) -> String? { isNull(column) ? nil : text(column) }
    /// Lends the bytes, with any alignment.
    func withBlob<R>(_ column: Int32, _ body: (UnsafeRawBufferPointer) -> R) -> R {
      let bytes = sqlite3_column_blob(statement, column)
      return body(UnsafeRawBufferPointer(start: bytes, count: Int(sqlite3_column_bytes(statement, column))))
    }
    /// Nil if the bytes are not of whole floats.
    func floats(_ column: Int32) -> [Float]? {
      withBlob(column) { raw in
        if raw.count % 4 != 0 { return nil }
        return [Float](unsafeUninitializedCapacity: raw.count / 4) { floats, count in
          count = raw.count / 4
          UnsafeMutableRawBufferPointer(floats).copyBytes(from: raw.prefix(count * 4))
        }
      }
    }
  }

  /// Runs one statement for each of its rows, until `row` returns false.
  ///
  /// - Parameter keep: whether the compiled statement is kept for the next time; not for SQL that is put together for once.
  func each(_ sql: String, _ values: [SQLValue] = [], keep: Bool = true, _ row: (Row) throws(MemoryError) -> Bool) throws(MemoryError) {
    let statement = try prepare(sql, keep: keep)
    defer {
      if keep {
        sqlite3_reset(statement)
        sqlite3_clear_bindings(statement)
      } else {
        sqlite3_finalize(statement)
      }
    }
    for (index, value) in values.enumerated() {
      let code = Self.bind(value, to: statement, at: Int32(index + 1))
      if code != SQLITE_OK { throw error(code) }
    }
    while true {
      let code = sqlite3_step(statement)
      if code == SQLITE_DONE { return }
      guard code == SQLITE_ROW else { throw error(code) }
      if !(try row(Row(statement: statement))) { return }
    }
  }

  /// Runs one statement that yields nothing that matters.
  func run(_ sql: String, _ values: [SQLValue] = [], keep: Bool = true) throws(MemoryError) {
    try each(sql, values, keep: keep) { (_) throws(MemoryError) in true }
  }

  /// The first row, made into a value; nil if there is none.
  func first<R>(_ sql: String, _ values: [SQLValue] = [], keep: Bool = true, _ row: (Row) -> R) throws(MemoryError) -> R? {
    var result: R?
    try each(sql, values, keep: keep) { (found) throws(MemoryError) in
      result = row(found)
      return false
    }
    return result
  }

  /// Every row, made into a value.
  func all<R>(_ sql: String, _ values: [SQLValue] = [], keep: Bool = true, _ row: (Row) -> R) throws(MemoryError) -> [R] {
    var result: [R] = []
    try each(sql, values, keep: keep) { (found) throws(MemoryError) in
      result.append(row(found))
      return true
    }
    return result
  }

  var lastInsertedRow: Int64 { sqlite3_last_insert_rowid(handle) }
  /// How many rows the last statement has changed.
  var changes: Int { Int(sqlite3_changes64(handle)) }
  var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

  /// Does all of the body or nothing.
  func transaction<R>(_ body: () throws(MemoryError) -> R) throws(MemoryError) -> R {
    try checkIsInPlace()
    try run("BEGIN IMMEDIATE")
    do {
      let result = try body()
      try run("COMMIT")
      return result
    } catch {
      // After some errors SQLite has rolled back by itself.
      if isInTransaction { try run("ROLLBACK") }
      throw error
    }
  }

  private func prepare(_ sql: String, keep: Bool) throws(MemoryError) -> OpaquePointer {
    if keep, let statement = kept[sql] { return statement }
    var statement: OpaquePointer?
    let code = sqlite3_prepare_v3(handle, sql, -1, keep ? UInt32(SQLITE_PREPARE_PERSISTENT) : 0, &statement, nil)
    guard code == SQLITE_OK, let statement else { throw error(code) }
    if keep { kept[sql] = statement }
    return statement
  }

  /// Forgets compiled statements, as those of a collection that is dropped.
  func forgetStatements(_ isMeant: (String) -> Bool) {
    for (sql, statement) in kept where isMeant(sql) {
      sqlite3_finalize(statement)
      kept[sql] = nil
    }
  }

  private static func bind(_ value: SQLValue, to statement: OpaquePointer, at index: Int32) -> Int32 {
    switch value {
    case .null: return sqlite3_bind_null(statement, index)
    case .int(let value): return sqlite3_bind_int64(statement, index, value)
    case .double(let value): return sqlite3_bind_double(statement, index, value)
    case .text(var text):
      return text.withUTF8 { bat_sqlite_bind_text(statement, index, UnsafeRawPointer($0.baseAddress) ?? empty, Int64($0.count)) }
    case .blob(let bytes): return bytes.withUnsafeBytes { bat_sqlite_bind_blob(statement, index, $0.baseAddress ?? empty, Int64($0.count)) }
    case .floats(let floats):
      return floats.withUnsafeBytes { bat_sqlite_bind_blob(statement, index, $0.baseAddress ?? empty, Int64($0.count)) }
    }
  }

  private func error(_ code: Int32) -> MemoryError {
    let reason = String(cString: sqlite3_errmsg(handle))
    // A full disk, or a user's share of it, that shows itself elsewhere than in a write.
    if code & 0xff == SQLITE_IOERR, [ENOSPC, EDQUOT].contains(sqlite3_system_errno(handle)) {
      return Self.error(SQLITE_FULL, reason, path)
    }
    return Self.error(code, reason, path)
  }

  private static func error(_ code: Int32, _ reason: String, _ path: String) -> MemoryError {
    switch code & 0xff {
    case SQLITE_CONSTRAINT: return MemoryError(.exists, reason)
    case SQLITE_NOTADB, SQLITE_CORRUPT:
      return MemoryError(.damaged, "\(path) is damaged: \(reason). Put a copy from before in its place, or move it away to begin anew")
    case SQLITE_BUSY: return MemoryError(.storage, "\(path) is open in another program (\(reason)): close it there")
    case SQLITE_FULL: return MemoryError(.diskFull, "\(path) cannot grow: \(reason). Make room on the disk")
    default: return MemoryError(.storage, "\(path): \(reason)")
    }
  }
}

/// What is bound where there are no bytes: any pointer but NULL, which would bind NULL.
nonisolated(unsafe) private let empty = UnsafeRawPointer(UnsafeMutablePointer<CChar>.allocate(capacity: 1))
