// See loop.h. In a file of its own, since _GNU_SOURCE changes types that Swift's Glibc module has already seen.
#define _GNU_SOURCE
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int bat_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }
int bat_epoll_ctl(int epoll, int operation, int descriptor, uint32_t events, uint64_t tag) {
  struct epoll_event event = { .events = events, .data.u64 = tag };
  return epoll_ctl(epoll, operation, descriptor, &event);
}
uint64_t bat_event_tag(const struct epoll_event *event) { return event->data.u64; }
int bat_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int bat_accept(int listener) { return accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC); }
ssize_t bat_receive(int descriptor, void *bytes, size_t count) { return recv(descriptor, bytes, count, MSG_DONTWAIT); }
ssize_t bat_send(int descriptor, const void *bytes, size_t count) {
  return send(descriptor, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
}
ssize_t bat_send_vector(int descriptor, struct iovec *pieces, size_t count) {
  struct msghdr message = { .msg_iov = pieces, .msg_iovlen = count };
  return sendmsg(descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}
// The process at the other end of a Unix socket. 0, or -1 and errno.
int bat_peer(int descriptor, int32_t *pid, uint32_t *uid) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size)) return -1;
  *pid = peer.pid;
  *uid = peer.uid;
  return 0;
}
// A stream socket that is bound (listening = 1) or connected (0) to a path of at most 107 bytes. -1 and errno.
int bat_unix_socket(const char *path, int listening) {
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  if (strlen(path) >= sizeof address.sun_path) { errno = ENAMETOOLONG; return -1; }
  strcpy(address.sun_path, path);
  int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  int failed = listening ? (fchmod(descriptor, 0600), bind(descriptor, (struct sockaddr *)&address, sizeof address))
                         : connect(descriptor, (struct sockaddr *)&address, sizeof address);
  if (!failed && listening) failed = chmod(path, 0600) || listen(descriptor, 4096) || fcntl(descriptor, F_SETFL, O_NONBLOCK);
  if (failed) { int error = errno; close(descriptor); errno = error; return -1; }
  return descriptor;
}
int bat_errno(void) { return errno; }
// Signals that are read from a descriptor instead of interrupting; blocks them for the calling thread.
int bat_signalfd(const int *signals, int count) {
  sigset_t set;
  sigemptyset(&set);
  for (int i = 0; i < count; i++) sigaddset(&set, signals[i]);
  if (pthread_sigmask(SIG_BLOCK, &set, 0)) return -1;
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}
int bat_next_signal(int descriptor) {
  struct signalfd_siginfo info;
  return read(descriptor, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}
void bat_raise_descriptor_limit(void) {
  struct rlimit limit;
  if (!getrlimit(RLIMIT_NOFILE, &limit)) { limit.rlim_cur = limit.rlim_max; setrlimit(RLIMIT_NOFILE, &limit); }
}
void bat_name_thread(const char *name) { prctl(PR_SET_NAME, name); }
void bat_die_with_parent(void) { prctl(PR_SET_PDEATHSIG, SIGKILL); }
extern char **environ;
char **bat_environment(void) { return environ; }
int bat_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }
int bat_spawn_setsid(void) { return POSIX_SPAWN_SETSID; }
int bat_spawn_chdir(posix_spawn_file_actions_t *actions, const char *folder) {
  return posix_spawn_file_actions_addchdir_np(actions, folder);
}
int bat_spawn_close_from(posix_spawn_file_actions_t *actions, int first) {
  return posix_spawn_file_actions_addclosefrom_np(actions, first);
}
void bat_block_asynchronous_signals(void) {
  sigset_t set;
  sigfillset(&set);
  const int raised[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS };
  for (size_t i = 0; i < sizeof raised / sizeof *raised; i++) sigdelset(&set, raised[i]);
  pthread_sigmask(SIG_BLOCK, &set, 0);
}

// Descriptors that a forked child closes. Bytes, so that each is written alone; the pages of high numbers are never touched.
static unsigned char owned[1 << 20];
static int owned_end;

static void close_owned(void) {
  for (int descriptor = 0; descriptor < owned_end; descriptor++)
    if (owned[descriptor]) close(descriptor);
}
static void watch_forks(void) { pthread_atfork(0, 0, close_owned); }

int bat_lost(int *found, int limit) {
  int count = 0;
  int end = __atomic_load_n(&owned_end, __ATOMIC_RELAXED);
  for (int descriptor = 0; descriptor < end && descriptor < 256 && count < limit; descriptor++)
    if (owned[descriptor] && fcntl(descriptor, F_GETFD) < 0 && errno == EBADF) {
      owned[descriptor] = 0;
      found[count++] = descriptor;
    }
  return count;
}

void bat_own(int descriptor, int on) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch_forks);
  if (descriptor < 0 || descriptor >= (int)sizeof owned) return;
  owned[descriptor] = on != 0;
  int end = __atomic_load_n(&owned_end, __ATOMIC_RELAXED);
  while (on && descriptor >= end && !__atomic_compare_exchange_n(&owned_end, &end, descriptor + 1, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
}
