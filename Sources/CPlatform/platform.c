#define _GNU_SOURCE
#include "platform.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(sizeof(bat_epoll_event) == sizeof(struct epoll_event), "bat_epoll_event is struct epoll_event");
_Static_assert(offsetof(bat_epoll_event, tag) == offsetof(struct epoll_event, data), "bat_epoll_event is struct epoll_event");
_Static_assert(BAT_READABLE == EPOLLIN && BAT_WRITABLE == EPOLLOUT && BAT_ERROR == EPOLLERR, "the numbers of epoll");
_Static_assert(BAT_HANGUP == EPOLLHUP && BAT_PEER_CLOSED == EPOLLRDHUP, "the numbers of epoll");

int bat_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

static int control(int epoll, int operation, int descriptor, uint32_t events, uint64_t tag) {
  struct epoll_event event;
  memset(&event, 0, sizeof event);
  event.events = events;
  event.data.u64 = tag;
  return epoll_ctl(epoll, operation, descriptor, &event);
}
int bat_epoll_add(int epoll, int descriptor, uint32_t events, uint64_t tag) {
  return control(epoll, EPOLL_CTL_ADD, descriptor, events, tag);
}
int bat_epoll_modify(int epoll, int descriptor, uint32_t events, uint64_t tag) {
  return control(epoll, EPOLL_CTL_MOD, descriptor, events, tag);
}
int bat_epoll_remove(int epoll, int descriptor) { return control(epoll, EPOLL_CTL_DEL, descriptor, 0, 0); }
int bat_epoll_wait(int epoll, bat_epoll_event *into, int capacity, int milliseconds) {
  return epoll_wait(epoll, (struct epoll_event *)into, capacity, milliseconds);
}

int bat_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
int bat_eventfd_signal(int descriptor) {
  uint64_t one = 1;
  return write(descriptor, &one, sizeof one) == (ssize_t)sizeof one || errno == EAGAIN ? 0 : -1;
}
bool bat_eventfd_drain(int descriptor) {
  uint64_t count;
  return read(descriptor, &count, sizeof count) == (ssize_t)sizeof count;
}

int bat_socket(void) { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }
int bat_socketpair(int descriptors[2]) {
  return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, descriptors);
}
int bat_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); }
int bat_peer_credentials(int descriptor, pid_t *process, uid_t *user, gid_t *group) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return -1;
  *process = peer.pid;
  *user = peer.uid;
  *group = peer.gid;
  return 0;
}

int bat_open(const char *path, int flags, mode_t mode) { return open(path, flags | O_CLOEXEC, mode); }
int bat_memfd(const char *name) { return memfd_create(name, MFD_CLOEXEC); }
const void *bat_find(const void *bytes, size_t count, const void *text, size_t text_count) {
  return memmem(bytes, count, text, text_count);
}

int bat_inotify(void) { return inotify_init1(IN_CLOEXEC | IN_NONBLOCK); }
int bat_inotify_watch(int inotify, const char *folder) {
  return inotify_add_watch(inotify, folder, IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF |
                                                IN_MOVE_SELF | IN_ONLYDIR);
}
