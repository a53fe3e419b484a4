#include "guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// A list that only grows, since the signal's handler may be walking along it; places are used again.
struct bat_guard {
  _Atomic(uintptr_t) start; // 0: nobody uses this place.
  _Atomic(size_t) size;
  atomic_int broken, taken;
  struct bat_guard *next;
};

static _Atomic(bat_guard *) first;
static pthread_mutex_t installing = PTHREAD_MUTEX_INITIALIZER;
// Whoever had the signal before.
static struct sigaction previous;

static void fault(int number, siginfo_t *info, void *context) {
  uintptr_t at = (uintptr_t)info->si_addr;
  for (bat_guard *guard = atomic_load(&first); guard; guard = guard->next) {
    uintptr_t start = atomic_load(&guard->start);
    size_t size = atomic_load(&guard->size);
    if (!start || at < start || at - start >= size) continue;
    // What was cut off is zeros from here on, and whoever reads it looks at `broken` afterwards.
    uintptr_t page = at & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
    void *zeros = mmap((void *)page, start + size - page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (zeros == MAP_FAILED) break;
    atomic_store(&guard->broken, 1);
    return;
  }
  if (previous.sa_flags & SA_SIGINFO) {
    previous.sa_sigaction(number, info, context);
  } else if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
    // The access is tried again, and then ends the process.
    signal(SIGBUS, SIG_DFL);
  } else {
    previous.sa_handler(number);
  }
}

// Again for each guard: somebody may have taken the signal since.
void bat_guard_install(void) {
  struct sigaction now, ours;
  memset(&ours, 0, sizeof ours);
  ours.sa_sigaction = fault;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
  pthread_mutex_lock(&installing);
  if (!sigaction(SIGBUS, NULL, &now) && (!(now.sa_flags & SA_SIGINFO) || now.sa_sigaction != fault)) {
    previous = now;
    sigaction(SIGBUS, &ours, NULL);
  }
  pthread_mutex_unlock(&installing);
}

bat_guard *bat_guard_begin(void *start, size_t size) {
  bat_guard *guard = atomic_load(&first);
  for (int none = 0; guard && !atomic_compare_exchange_strong(&guard->taken, &none, 1); none = 0) guard = guard->next;
  if (!guard) {
    guard = calloc(1, sizeof *guard);
    if (!guard) return NULL;
    atomic_store(&guard->taken, 1);
    bat_guard *head = atomic_load(&first);
    do guard->next = head;
    while (!atomic_compare_exchange_weak(&first, &head, guard));
  }
  atomic_store(&guard->broken, 0);
  atomic_store(&guard->size, size);
  atomic_store(&guard->start, (uintptr_t)start);
  bat_guard_install();
  return guard;
}

int bat_guard_is_broken(const bat_guard *guard) { return atomic_load(&((bat_guard *)guard)->broken); }

void bat_guard_end(bat_guard *guard) {
  atomic_store(&guard->start, 0);
  atomic_store(&guard->taken, 0);
}
