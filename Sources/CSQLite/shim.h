// SQLite, and what its macros and variadic functions look like to Swift.
#pragma once
#include <sqlite3.h>

// The bytes are copied. `text` may be any pointer when `count` is 0, but not NULL, which would be bound as NULL.
static inline int bat_sqlite_bind_text(sqlite3_stmt *statement, int index, const void *text, long long count) {
  return sqlite3_bind_text64(statement, index, (const char *)text, (sqlite3_uint64)count, SQLITE_TRANSIENT, SQLITE_UTF8);
}
static inline int bat_sqlite_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, long long count) {
  return sqlite3_bind_blob64(statement, index, bytes, (sqlite3_uint64)count, SQLITE_TRANSIENT);
}
