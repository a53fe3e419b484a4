// What the fixtures share: the smallest persona that works, to be spoilt in one place each.
// A fixture sets ABOUT_NAME, may set ABOUT_MORE and ABOUT_NEEDS, and ends in FIXTURE(create, vtable).
#pragma once
#include <persona.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef VERSION
#define VERSION "1"
#endif
#ifdef NAME
#undef ABOUT_NAME
#define ABOUT_NAME NAME
#endif
#ifndef ABOUT_MORE
#define ABOUT_MORE ""
#endif
#ifndef ABOUT_NEEDS
#define ABOUT_NEEDS "needs = bus/1\n"
#endif
#define ABOUT PERSONA_ABOUT("bat-persona 1\nname = " ABOUT_NAME "\nversion = " VERSION "\n" ABOUT_NEEDS ABOUT_MORE)

struct persona {
  const persona_host *host;
  const persona_bus_v1 *bus;
  const persona_timer_v1 *timer;
  long count; // grams received
  long note;  // whatever the fixture counts besides
};

#define UNUSED __attribute__((unused))

UNUSED static persona_text text(const char *string) { return (persona_text){string, strlen(string)}; }

UNUSED static int is(persona_text text, const char *string) {
  return text.count == strlen(string) && memcmp(text.bytes, string, text.count) == 0;
}

UNUSED static persona_status failed(persona *self, const char *why) {
  self->host->explain(self->host, text(why));
  return PERSONA_E_FAILED;
}

// Replies with {"KEY":NUMBER,"version":"…"}.
UNUSED static persona_status reply_number(persona *self, uint64_t token, const char *key, long number) {
  char json[128];
  snprintf(json, sizeof json, "{\"%s\":%ld,\"version\":\"%s\"}", key, number, VERSION);
  return self->bus->reply(self->host, token, text(json));
}

UNUSED static persona_status create(const persona_host *host, persona_text config, persona **self) {
  (void)config;
  persona *made = calloc(1, sizeof *made);
  if (!made) return PERSONA_E_FAILED;
  made->host = host;
  made->bus = host->service(host, "bus/1");
  made->timer = host->service(host, "timer/1");
  *self = made;
  return PERSONA_OK;
}

UNUSED static void destroy(persona *self) { free(self); }

// Answers everything with the number of grams received.
UNUSED static persona_status receive(persona *self, const persona_gram_v1 *gram) {
  return reply_number(self, gram->token, "count", ++self->count);
}

// The number is the state.
UNUSED static persona_status save(persona *self, const persona_sink *into) {
  char digits[32];
  return into->write(into->context, digits, (size_t)snprintf(digits, sizeof digits, "%ld", self->count));
}
UNUSED static persona_status load(persona *self, uint32_t schema, persona_text state) {
  (void)schema;
  char digits[32] = {0}, *end;
  if (state.count == 0 || state.count >= sizeof digits) return PERSONA_E_STATE;
  memcpy(digits, state.bytes, state.count);
  self->count = strtol(digits, &end, 10);
  return *end ? PERSONA_E_STATE : PERSONA_OK;
}

#define ENTRY(create_function, table, magic_number, major)                                                       \
  static const persona_entry entry = {                                                                           \
      .magic = magic_number, .size = sizeof(persona_entry), .abi_major = major, .abi_minor = PERSONA_ABI_MINOR,  \
      .about = persona_about, .vtable = &table, .create = create_function};                                      \
  const persona_entry *persona_entry_v1(void) { return &entry; }
#define FIXTURE(create_function, table) ENTRY(create_function, table, PERSONA_MAGIC, PERSONA_ABI_MAJOR)
