// create() says no as long as its configuration has no "key". "config" tells what config_changed() or create() was given last.
#define _GNU_SOURCE
#define ABOUT_NAME "JANITOR"
#include "fixture.h"
ABOUT;

typedef struct janitor {
  persona base;
  char *config;
  size_t count;
} janitor;

static persona_status note(persona *self, persona_text config) {
  janitor *janitor = (void *)self;
  char *copy = malloc(config.count + 1);
  if (!copy) return PERSONA_E_FAILED;
  memcpy(copy, config.bytes, config.count);
  free(janitor->config);
  janitor->config = copy;
  janitor->count = config.count;
  return PERSONA_OK;
}
static persona_status create_janitor(const persona_host *host, persona_text config, persona **self) {
  if (!memmem(config.bytes, config.count, "\"key\"", 5)) {
    host->explain(host, text("it has no key; give it one in personas.toml"));
    return PERSONA_E_INVALID;
  }
  janitor *made = calloc(1, sizeof *made);
  if (!made) return PERSONA_E_FAILED;
  made->base.host = host;
  made->base.bus = host->service(host, "bus/1");
  *self = &made->base;
  return note(&made->base, config);
}
static persona_status receive_gram(persona *self, const persona_gram_v1 *gram) {
  janitor *janitor = (void *)self;
  return self->bus->reply(self->host, gram->token, (persona_text){janitor->config, janitor->count});
}
static void destroy_janitor(persona *self) {
  free(((janitor *)(void *)self)->config);
  free(self);
}
static const persona_vtable vtable = {
    .size = sizeof(persona_vtable), .destroy = destroy_janitor, .receive = receive_gram, .config_changed = note};
FIXTURE(create_janitor, vtable)
