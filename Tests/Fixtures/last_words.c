// Its stop() takes MILLISECONDS and then tells "#last" good-bye; its destroy() makes the file that its configuration
// names ("file").
#define _GNU_SOURCE
#define ABOUT_NAME "MOURNER"
#include "fixture.h"
#include <fcntl.h>
#include <unistd.h>
ABOUT;
#ifndef MILLISECONDS
#define MILLISECONDS "200"
#endif

typedef struct mourner {
  persona base;
  char file[512];
} mourner;

static persona_status create_mourner(const persona_host *host, persona_text config, persona **self) {
  mourner *made = calloc(1, sizeof *made);
  if (!made) return PERSONA_E_FAILED;
  made->base.host = host;
  made->base.bus = host->service(host, "bus/1");
  const char *key = memmem(config.bytes, config.count, "\"file\":\"", 8);
  if (key) {
    key += 8;
    const char *end = memchr(key, '"', config.count - (size_t)(key - config.bytes));
    if (!end || (size_t)(end - key) >= sizeof made->file) return PERSONA_E_INVALID;
    memcpy(made->file, key, (size_t)(end - key));
  }
  *self = &made->base;
  return PERSONA_OK;
}
static void stop(persona *self) {
  usleep((useconds_t)strtoul(MILLISECONDS, NULL, 10) * 1000);
  self->bus->send(self->host, 0, text("#last"), text("goodbye"), text("{\"version\":\"" VERSION "\"}"));
}
static void destroy_mourner(persona *self) {
  mourner *mourner = (void *)self;
  if (mourner->file[0]) {
    int file = open(mourner->file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (file >= 0) close(file);
  }
  free(self);
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy_mourner, .receive = receive, .stop = stop};
FIXTURE(create_mourner, vtable)
