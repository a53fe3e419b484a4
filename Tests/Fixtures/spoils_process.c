// Changes what belongs to the whole process: the method says what. With IN_CREATE it does that in create().
#define _GNU_SOURCE
#define ABOUT_NAME "SPOILER"
#include "fixture.h"
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
ABOUT;

static void spoil(const char *what) {
  if (!strcmp(what, "chdir") && chdir("/proc/self")) return;
  if (!strcmp(what, "umask")) umask(0);
  if (!strcmp(what, "locale")) setlocale(LC_ALL, "C.UTF-8");
  if (!strcmp(what, "SIGCHLD")) signal(SIGCHLD, SIG_IGN);
  if (!strcmp(what, "SIGTERM")) signal(SIGTERM, SIG_IGN);
  if (!strcmp(what, "stdout")) close(1);
  if (!strcmp(what, "stderr")) close(2);
  if (!strcmp(what, "alarm")) alarm(3600);
}

static persona_status create_spoiler(const persona_host *host, persona_text config, persona **self) {
#ifdef IN_CREATE
  spoil(IN_CREATE);
#endif
  return create(host, config, self);
}

static persona_status receive_spoiler(persona *self, const persona_gram_v1 *gram) {
  char method[32] = {0};
  if (gram->method.count < sizeof method) memcpy(method, gram->method.bytes, gram->method.count);
  if (!strcmp(method, "fork")) {
    // A child that starts no program of its own and lives longer than the kernel.
    pid_t child = fork();
    if (child == 0) {
      for (;;) pause();
    }
    return reply_number(self, gram->token, "child", child);
  }
  if (!strcmp(method, "descriptors")) {
    // The kernel's own: an eventfd.
    char path[64], target[64];
    for (int descriptor = 3; descriptor < 64; descriptor++) {
      snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
      ssize_t count = readlink(path, target, sizeof target - 1);
      if (count > 0 && (target[count] = 0, strstr(target, "inotify"))) close(descriptor);
    }
  }
  if (!strcmp(method, "table")) {
    ((persona_bus_v1 *)(void *)self->bus)->reply = 0;
  }
  spoil(method);
  return receive(self, gram);
}

static const persona_vtable vtable = {.size = sizeof vtable, .destroy = destroy, .receive = receive_spoiler};
FIXTURE(create_spoiler, vtable)
