// What the fixtures share: an instance, an entry, small helpers. Each fixture is one file and one misbehaviour.
#pragma once
#include "persona.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef VERSION
#define VERSION "1"
#endif
#ifndef NAME
#define NAME "ECHO"
#endif

struct persona {
  const persona_host *host;
  const persona_bus_v1 *bus;
  unsigned long count;
};

static persona_text text(const char *string) { return (persona_text){string, strlen(string)}; }
static int is(persona_text a, const char *b) { return a.count == strlen(b) && !memcmp(a.bytes, b, a.count); }

static persona_status make(const persona_host *host, persona_text config, persona **self) {
  (void)config;
  *self = calloc(1, sizeof(persona));
  (*self)->host = host;
  (*self)->bus = host->service(host, "bus/1");
  return PERSONA_OK;
}
static void unmake(persona *self) { free(self); }

// Replies {"version":…,"count":…,"method":…,"payload":…}.
static persona_status echo(persona *self, const persona_gram_v1 *gram) {
  self->count++;
  size_t size = gram->payload.count + gram->method.count + 128;
  char *out = malloc(size);
  int n = snprintf(out, size, "{\"version\":\"%s\",\"count\":%lu,\"method\":\"%.*s\",\"payload\":%.*s}", VERSION, self->count,
                   (int)gram->method.count, gram->method.bytes, (int)gram->payload.count, gram->payload.bytes);
  if (!(gram->flags & PERSONA_GRAM_PUBLISHED)) self->bus->reply(self->host, gram->token, (persona_text){out, (size_t)n});
  free(out);
  return PERSONA_OK;
}

#define ENTRY(...)                                                                                                     \
  static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = unmake, __VA_ARGS__};               \
  static const persona_entry entry = {PERSONA_MAGIC, sizeof(persona_entry), PERSONA_ABI_MAJOR, PERSONA_ABI_MINOR, 0,   \
                                      persona_about, &vtable, make};                                                   \
  const persona_entry *persona_entry_v1(void) { return &entry; }
