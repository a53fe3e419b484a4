// Mapped files that somebody may shorten. To touch a page behind a file's new end raises SIGBUS, which would end the process; with a
// guard such pages are zeros, and the guard says so.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct bat_guard bat_guard;

// Takes the signal, in front of whoever has it now. Again is no error. A process that watches what libraries do to its signals calls this
// before it begins to.
void bat_guard_install(void);

// Guards these bytes, which begin at a page, until `bat_guard_end`. Any thread. NULL: no memory; then they are not guarded.
bat_guard *bat_guard_begin(void *start, size_t size);
// Whether something of it was not there when it was touched.
int bat_guard_is_broken(const bat_guard *guard);
// Before the bytes are unmapped.
void bat_guard_end(bat_guard *guard);
