#define _GNU_SOURCE
#include "platform.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <unistd.h>

int bat_memfd(const char *name) { return memfd_create(name, MFD_CLOEXEC); }
const void *bat_find(const void *bytes, size_t count, const void *text, size_t text_count) {
  return memmem(bytes, count, text, text_count);
}

size_t bat_allocated(void) {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}
void bat_return_large_blocks(void) {
  // Above what a connection's queue grows to and gives back many times a second, and below a library.
  mallopt(M_MMAP_THRESHOLD, 512 << 10);
  mallopt(M_TRIM_THRESHOLD, 4 << 20);
}
void bat_trim(void) { malloc_trim(0); }

int bat_inotify(void) { return inotify_init1(IN_CLOEXEC | IN_NONBLOCK); }
int bat_inotify_watch(int inotify, const char *folder) {
  return inotify_add_watch(inotify, folder, IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF |
                                                IN_MOVE_SELF | IN_ONLYDIR);
}
