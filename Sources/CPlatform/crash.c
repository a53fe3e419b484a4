// See crash.h.
#define _GNU_SOURCE
#include "crash.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS };
enum { signal_count = sizeof signals / sizeof *signals };

static const char *program;
static int output = -1;
// The process that reports: a child that a library has forked says nothing.
static pid_t reporter;
static struct sigaction before[signal_count];
static atomic_flag has_told = ATOMIC_FLAG_INIT;
static _Thread_local char author[96];

// ── A line, put together without malloc ──

typedef struct line {
  char bytes[512];
  size_t count;
} line;

static void add(line *line, const char *text) {
  for (; *text && line->count < sizeof line->bytes - 1; text++) line->bytes[line->count++] = (unsigned char)*text < 0x20 ? '?' : *text;
}

static void add_number(line *line, uint64_t number, unsigned base) {
  char digits[24];
  size_t at = sizeof digits - 1;
  digits[at] = 0;
  do digits[--at] = "0123456789abcdef"[number % base]; while ((number /= base) && at > 0);
  add(line, digits + at);
}

static void add_thread(line *line) {
  char name[17] = "";
  prctl(PR_GET_NAME, name);
  add(line, " on thread \"");
  add(line, name);
  add(line, "\"");
  if (author[0]) {
    add(line, ", author ");
    add(line, author);
  }
}

// The mapping in which an address lies, by /proc/self/maps: "start-end rwxp offset dev inode   path".
static void add_file(line *line, uintptr_t address) {
  int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (maps < 0) return;
  char chunk[1024], path[256];
  uintptr_t bounds[2] = { 0, 0 };
  int field = 0;
  size_t length = 0;
  for (ssize_t n; (n = read(maps, chunk, sizeof chunk)) > 0;) {
    for (ssize_t i = 0; i < n; i++) {
      char byte = chunk[i];
      if (byte == '\n') {
        if (address >= bounds[0] && address < bounds[1] && length > 0) {
          path[length] = 0;
          const char *slash = strrchr(path, '/');
          add(line, ", code in ");
          add(line, slash ? slash + 1 : path);
          close(maps);
          return;
        }
        bounds[0] = bounds[1] = 0;
        field = 0;
        length = 0;
      } else if (field < 2) {
        uintptr_t digit = byte >= '0' && byte <= '9' ? byte - '0' : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : 16;
        if (digit < 16) bounds[field] = bounds[field] << 4 | digit; else field++;
      } else if (byte == '/' || length > 0) {
        if (length < sizeof path - 1) path[length++] = byte;
      }
    }
  }
  close(maps);
}

static void say(line *line) {
  line->bytes[line->count++] = '\n';
  for (size_t sent = 0; sent < line->count;) {
    ssize_t n = write(output, line->bytes + sent, line->count - sent);
    if (n > 0) sent += n; else if (errno != EINTR) return;
  }
}

// ── Crashes ──

static const char *description(int signal) {
  switch (signal) {
    case SIGSEGV: return "SIGSEGV (bad access)";
    case SIGBUS: return "SIGBUS (a mapped file or device does not answer)";
    case SIGILL: return "SIGILL (a trap, or no instruction)";
    case SIGFPE: return "SIGFPE (bad arithmetic)";
    case SIGTRAP: return "SIGTRAP (a trap)";
    case SIGABRT: return "SIGABRT (it was given up)";
    default: return "SIGSYS (bad system call)";
  }
}

static uintptr_t counter(const void *context) {
#if defined(__x86_64__)
  return ((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
  return ((const ucontext_t *)context)->uc_mcontext.pc;
#else
  return 0;
#endif
}

static void crashed(int signal, siginfo_t *info, void *context) {
  int error = errno;
  if (getpid() == reporter && !atomic_flag_test_and_set(&has_told)) {
    line line = { .count = 0 };
    add(&line, program);
    add(&line, ": crashed: ");
    add(&line, description(signal));
    if (signal == SIGSEGV || signal == SIGBUS) {
      add(&line, " at 0x");
      add_number(&line, (uintptr_t)info->si_addr, 16);
    }
    add_thread(&line);
    add_file(&line, counter(context));
    say(&line);
  }
  // Whoever handled it before gets it: the instruction is run again, or what was sent is sent again.
  for (int i = 0; i < signal_count; i++) {
    if (signals[i] == signal) sigaction(signal, &before[i], 0);
  }
  if (info->si_code <= 0) raise(signal);
  errno = error;
}

// ── Ends ──

static void left(int status) {
  if (getpid() != reporter || atomic_flag_test_and_set(&has_told)) return;
  line line = { .count = 0 };
  add(&line, program);
  add(&line, ": ended: exit(");
  add_number(&line, (uint64_t)(status & 0xff), 10);
  add(&line, ") was called");
  add_thread(&line);
  add(&line, "; a persona never ends the process");
  say(&line);
}

static void exiting(int status, void *nothing) { left(status); }
static void exiting_quickly(void) { left(0); }

void bat_leave(int status) {
  for (;;) syscall(SYS_exit_group, status);
}

// In the place of libc's, also for the libraries of personas, since a program's own names come first.
void _exit(int status) {
  left(status);
  bat_leave(status);
}
void _Exit(int status) { _exit(status); }

// ── Beginning ──

void bat_set_author(const char *name) {
  size_t count = strnlen(name, sizeof author - 1);
  memcpy(author, name, count);
  author[count] = 0;
}

enum { alternate_size = 64 << 10 };

void *bat_make_alternate_stack(void) {
  stack_t present;
  // The Swift runtime has made one for the main thread.
  if (!sigaltstack(0, &present) && !(present.ss_flags & SS_DISABLE)) return 0;
  void *stack = mmap(0, alternate_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stack == MAP_FAILED) return 0;
  stack_t made = { .ss_sp = stack, .ss_size = alternate_size };
  if (!sigaltstack(&made, 0)) return stack;
  munmap(stack, alternate_size);
  return 0;
}

void bat_free_alternate_stack(void *stack) {
  if (!stack) return;
  stack_t none = { .ss_flags = SS_DISABLE };
  sigaltstack(&none, 0);
  munmap(stack, alternate_size);
}

void bat_report_crashes(const char *name, int descriptor) {
  program = name;
  output = descriptor;
  reporter = getpid();
  bat_make_alternate_stack();
  struct sigaction action = { .sa_sigaction = crashed, .sa_flags = SA_SIGINFO | SA_ONSTACK };
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < signal_count; i++) sigaction(signals[i], &action, &before[i]);
  on_exit(exiting, 0);
  at_quick_exit(exiting_quickly);
}
