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

// ── Readiness ──────────────────────────────────────────────────────────────────────────────────
// A descriptor is known to epoll by a tag of 64 bits, so that a stale event can be told from a new one.

enum {
  BAT_READABLE = 0x001,
  BAT_WRITABLE = 0x004,
  BAT_ERROR = 0x008,
  BAT_HANGUP = 0x010,
  BAT_PEER_CLOSED = 0x2000,
};
static const uint32_t BAT_EDGE_TRIGGERED = 1u << 31;

// The layout of struct epoll_event.
typedef struct bat_epoll_event {
  uint32_t events;
  uint64_t tag;
}
#if defined(__x86_64__)
__attribute__((packed))
#endif
bat_epoll_event;

int bat_epoll_create(void);
int bat_epoll_add(int epoll, int descriptor, uint32_t events, uint64_t tag);
int bat_epoll_modify(int epoll, int descriptor, uint32_t events, uint64_t tag);
int bat_epoll_remove(int epoll, int descriptor);
// Waits at most `milliseconds`; -1: for ever.
int bat_epoll_wait(int epoll, bat_epoll_event *into, int capacity, int milliseconds);

// ── Waking another thread ──────────────────────────────────────────────────────────────────────

int bat_eventfd(void);
// Async-signal-safe. That the counter is full already is no failure: the other thread will wake.
int bat_eventfd_signal(int descriptor);
// Takes the counter back to zero; false when it was zero.
bool bat_eventfd_drain(int descriptor);

// ── Unix sockets, close-on-exec and non-blocking ───────────────────────────────────────────────

int bat_socket(void);
int bat_socketpair(int descriptors[2]);
int bat_accept(int listener);
// Who was at the other end when it connected.
int bat_peer_credentials(int descriptor, pid_t *process, uid_t *user, gid_t *group);

// ── Files ──────────────────────────────────────────────────────────────────────────────────────

// open(2), close-on-exec.
int bat_open(const char *path, int flags, mode_t mode);
// A nameless file in memory, close-on-exec; the name is for /proc.
int bat_memfd(const char *name);
// Where the text is in the bytes, or NULL.
const void *bat_find(const void *bytes, size_t count, const void *text, size_t text_count);

// ── Watching folders ───────────────────────────────────────────────────────────────────────────

// inotify, close-on-exec and non-blocking.
int bat_inotify(void);
// Watches for names that come, go and are written, and for the end of the folder itself. One mask for every
// watch: a second watch of the same folder would replace the mask of the first.
int bat_inotify_watch(int inotify, const char *folder);
