// What Swift's Glibc module does not show of Linux: GNU extensions, macros, packed structs, variadic functions.
// Every function returns what the call under it returns, with errno as it was set.
//
// The bodies are in platform.c, because _GNU_SOURCE changes the layout of structs that Swift's Glibc module has
// seen without it, and clang refuses two layouts of one type.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// ── Files ──────────────────────────────────────────────────────────────────────────────────────

// A nameless file in memory, close-on-exec; the name is for /proc.
int bat_memfd(const char *name);
// Where the text is in the bytes, or NULL.
const void *bat_find(const void *bytes, size_t count, const void *text, size_t text_count);

// ── Memory ─────────────────────────────────────────────────────────────────────────────────────

// The bytes that malloc has given out and not taken back, in this whole process.
size_t bat_allocated(void);
// From now on each large block is a mapping of its own, which goes back to the system when it is freed. By itself the C library takes the
// size of blocks that were freed for usual, and keeps so much in the arena of each thread.
void bat_return_large_blocks(void);
// Gives memory that nobody uses back to the system.
void bat_trim(void);

// ── Watching folders ───────────────────────────────────────────────────────────────────────────

// inotify, close-on-exec and non-blocking.
int bat_inotify(void);
// Watches for names that come, go and are written, and for the end of the folder itself. One mask for every
// watch: a second watch of the same folder would replace the mask of the first.
int bat_inotify_watch(int inotify, const char *folder);
