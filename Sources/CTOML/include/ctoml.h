// toml++ behind one function: TOML text in, a walk through its values in the order of the text out.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ctoml_kind {
  ctoml_begin_table,
  ctoml_begin_array,
  ctoml_end, // of the table or array that was begun last
  ctoml_string,
  ctoml_integer,
  ctoml_float,
  ctoml_boolean,
  ctoml_date, // a date, a time, or both; `text` is its TOML form
  ctoml_error // the text is not TOML; `text` says why. It is the only event then
} ctoml_kind;

// One step of the walk. Pointers are borrowed until the call returns.
typedef struct ctoml_event {
  ctoml_kind kind;
  const char *key; // NULL for the document itself and for the elements of an array
  size_t key_count;
  uint32_t line, column; // of the key, or of the value where there is no key; from 1; columns in code points
  const char *text;
  size_t text_count;
  int64_t integer; // also a boolean's 0 or 1
  double number;
} ctoml_event;

typedef void (*ctoml_visit)(void *context, const ctoml_event *event);

// Parses the whole text, and calls `visit` for the document's table and everything in it, or once for the error.
// Returns whether the text is TOML. Keeps nothing, throws nothing, and needs no lock.
bool ctoml_parse(const char *text, size_t count, void *context, ctoml_visit visit);

#ifdef __cplusplus
}
#endif
