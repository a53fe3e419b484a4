// Declares the keys that it reads. Every method is answered with what create() or config_changed() was given last.
#define ABOUT_NAME "SETTINGS"
#ifndef KEYS
#define KEYS "config.delegates = strings, [], whom to ask\nconfig.plan = boolean, false, plan first\n"
#endif
#define ABOUT_MORE KEYS
#include "fixture.h"
ABOUT;

typedef struct settings {
  persona base;
  char *config;
  size_t count;
} settings;

static persona_status note(persona *self, persona_text config) {
  settings *settings = (void *)self;
  char *copy = malloc(config.count + 1);
  if (!copy) return PERSONA_E_FAILED;
  memcpy(copy, config.bytes, config.count);
  free(settings->config);
  settings->config = copy;
  settings->count = config.count;
  return PERSONA_OK;
}

static persona_status create_settings(const persona_host *host, persona_text config, persona **self) {
  settings *made = calloc(1, sizeof *made);
  if (!made) return PERSONA_E_FAILED;
  made->base.host = host;
  made->base.bus = host->service(host, "bus/1");
  *self = &made->base;
  return note(*self, config);
}

static void destroy_settings(persona *self) {
  free(((settings *)(void *)self)->config);
  free(self);
}

static persona_status receive_settings(persona *self, const persona_gram_v1 *gram) {
  settings *settings = (void *)self;
  return self->bus->reply(self->host, gram->token, (persona_text){settings->config, settings->count});
}

static const persona_vtable vtable = {
    .size = sizeof vtable, .destroy = destroy_settings, .receive = receive_settings, .config_changed = note};
FIXTURE(create_settings, vtable)
