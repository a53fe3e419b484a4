// What the event loop needs of Linux that Swift's Glibc module does not show.
#pragma once
#include <stddef.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <sys/uio.h>

// All return -1 and set errno (read it with bat_errno) where they fail.
int bat_epoll_create(void);
int bat_epoll_ctl(int epoll, int operation, int descriptor, uint32_t events, uint64_t tag);
uint64_t bat_event_tag(const struct epoll_event *event);
int bat_eventfd(void);
int bat_errno(void);

int bat_accept(int listener);
ssize_t bat_receive(int descriptor, void *bytes, size_t count);
ssize_t bat_send(int descriptor, const void *bytes, size_t count);
ssize_t bat_send_vector(int descriptor, struct iovec *pieces, size_t count);
// The process at the other end of a Unix socket.
int bat_peer(int descriptor, int32_t *pid, uint32_t *uid);
// A stream socket that is bound and listening (listening = 1; mode 0600, not blocking) or connected (0) to a path of at most 107 bytes.
int bat_unix_socket(const char *path, int listening);

// A descriptor that signals are read from instead of interrupting; blocks them for the calling thread.
int bat_signalfd(const int *signals, int count);
// The next signal, or 0.
int bat_next_signal(int descriptor);
void bat_raise_descriptor_limit(void);
void bat_name_thread(const char *name);
// This process is killed when the one that started it ends.
void bat_die_with_parent(void);
// A pipe whose ends are closed on exec.
int bat_pipe(int ends[2]);
char **bat_environment(void);
// What <spawn.h> has beyond POSIX: a session of its own, where it begins, and that it gets no descriptor from a number on.
int bat_spawn_setsid(void);
int bat_spawn_chdir(posix_spawn_file_actions_t *actions, const char *folder);
int bat_spawn_close_from(posix_spawn_file_actions_t *actions, int first);
// Blocks every signal for the calling thread but those that its own code raises (a bad access, a trap, abort).
void bat_block_asynchronous_signals(void);
// From now on (on = 1) a child that is forked closes the descriptor: it must not keep what belongs to this process alone. Programs that
// are started get none anyway.
void bat_own(int descriptor, int on);
// Which of the first 256 owned descriptors somebody else has closed; they are not owned any more then. How many of them `found` holds.
int bat_lost(int *found, int limit);
