// A persona that does everything right but for one thing, which "fault" of its configuration names, or else FAULT.
#define _GNU_SOURCE
#define ABOUT_NAME "FRAGILE"
#define ABOUT_NEEDS "needs = bus/1 timer/1\n"
#define ABOUT_MORE "wants = llm/1\nstate = 2 reads 1\nmethod.wait = answers a little later\nmethod.count = how many there were\n"
#include "fixture.h"
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>
ABOUT;

#ifndef FAULT
#define FAULT "none"
#endif
static char chosen[32] = FAULT;
static int fault(const char *name) { return strcmp(chosen, name) == 0; }
static void choose(persona_text config) {
  const char *key = memmem(config.bytes, config.count, "\"fault\":\"", 9);
  const char *end = key ? memchr(key + 9, '"', config.count - (size_t)(key + 9 - config.bytes)) : NULL;
  if (end && (size_t)(end - key - 9) < sizeof chosen) snprintf(chosen, sizeof chosen, "%.*s", (int)(end - key - 9), key + 9);
}
static int instances, lives;

typedef struct fragile {
  persona base;
  const persona_llm_v1 *llm;
  const char *kept;
  uint64_t waiting;
  int open;
  int started;
} fragile;

typedef struct wait {
  fragile *self;
  uint64_t token;
} wait;

static void ended(void *context, uint64_t request, persona_status status, persona_text result) {
  (void)request;
  wait *wait = context;
  fragile *self = wait->self;
  const persona_bus_v1 *bus = self->base.bus;
  uint64_t token = fault("mixes_up") ? self->waiting : wait->token;
  self->open--;
  if (status == PERSONA_E_CANCELLED && fault("cancelled")) abort();
  if (status == PERSONA_E_RETIRED && fault("retired")) abort();
  if (status < 0 && fault("unanswered_error")) return free(wait);
  if (fault("expects_null") && status >= 0 && result.count > 0 && result.bytes[result.count - 1] != '}') abort();
  if (status < 0) bus->fail(self->base.host, token, status, text("it could not wait"));
  else bus->reply(self->base.host, token, text("{\"waited\":true}"));
  if (fault("mixes_up")) self->waiting = 0;
  free(wait);
}

static void *explain_elsewhere(void *context) {
  const persona_host *host = ((persona *)context)->host;
  host->explain(host, text("said by somebody else"));
  return NULL;
}
static void *stay(void *context) {
  for (;;) pause();
  return context;
}

static int depth_of(persona_text json) {
  int depth = 0, deepest = 0;
  for (size_t i = 0; i < json.count; i++) {
    if (json.bytes[i] == '[' || json.bytes[i] == '{') depth++;
    if (json.bytes[i] == ']' || json.bytes[i] == '}') depth--;
    if (depth > deepest) deepest = depth;
  }
  return deepest;
}

static persona_status begin_wait(fragile *self, const persona_gram_v1 *gram) {
  const persona_host *host = self->base.host;
  wait *made = calloc(1, sizeof *made);
  if (!made) return failed(&self->base, "no memory");
  made->self = self;
  self->waiting = made->token = gram->token;
  uint64_t request;
  persona_status status =
      fault("expects_null") || fault("cancelled")
          ? self->base.bus->ask(host, gram->token, text("BRICK"), text("talk"), text("{}"), 0, NULL, ended, made, &request)
          : self->base.timer->after(host, 10, ended, made, &request);
  if (status < 0) free(made);
  if (status < 0 && !fault("refused_later")) return failed(&self->base, "it cannot wait now");
  if (status >= 0) self->open++;
  return PERSONA_LATER;
}

static persona_status receive_gram(persona *base, const persona_gram_v1 *gram) {
  fragile *self = (void *)base;
  if (fault("deep_json") && depth_of(gram->payload) > 40) abort();
  if (fault("huge_text") && gram->payload.count > 60000) abort();
  if (fault("published") && !(gram->flags & PERSONA_GRAM_WANTS_REPLY)) abort();
  if (fault("unterminated") && strlen(gram->payload.bytes) == 12345) return PERSONA_OK;
  if (fault("keeps_text")) {
    if (self->kept && *(volatile const char *)self->kept == 1) abort();
    self->kept = gram->payload.bytes;
  }
  if (fault("no_json")) return base->bus->reply(base->host, gram->token, text("{oops"));
  if (fault("own_method") && is(gram->method, "wait")) {
    base->host->explain(base->host, text("what is that?"));
    return PERSONA_E_UNKNOWN_METHOD;
  }
  if (is(gram->method, "wait")) return begin_wait(self, gram);
  if (is(gram->method, "count")) return receive(base, gram);
  if (fault("unknown_method") && !is(gram->method, "talk")) abort();
  if (fault("exits") && !is(gram->method, "talk")) exit(3);
  if (fault("foreign_explain")) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, explain_elsewhere, base) == 0) pthread_join(thread, NULL);
  }
  if (fault("no_explain")) return PERSONA_E_UNKNOWN_METHOD;
  if (fault("replies_and_fails")) base->bus->reply(base->host, gram->token, text("null"));
  base->host->explain(base->host, text("it knows wait and count"));
  return PERSONA_E_UNKNOWN_METHOD;
}

static persona_status create_fragile(const persona_host *host, persona_text config, persona **self) {
  fragile *made = calloc(1, sizeof *made);
  choose(config);
  if (!made) return PERSONA_E_FAILED;
  made->base.host = host;
  made->base.bus = host->service(host, "bus/1");
  made->base.timer = host->service(host, "timer/1");
  made->llm = host->service(host, "llm/1");
  *self = &made->base;
  if (fault("later_kernel") && host->abi_minor > PERSONA_ABI_MINOR) abort();
  // As one that was built for a later persona.h does, and does not ask PERSONA_HAS.
  if (fault("beyond_tables") && ((const uint64_t *)(const void *)(made->base.bus + 1))[0] == 42) abort();
  if (++instances > 1 && fault("one_instance")) abort();
  if (++lives > 50 && fault("many_lives")) abort();
  return PERSONA_OK;
}
static void destroy_fragile(persona *self) {
  instances--;
  if (fault("leaks_memory") && !malloc(1000)) return;
  free(self);
}
static persona_status start(persona *base) {
  fragile *self = (void *)base;
  self->started = 1;
  if (fault("null_service")) return self->llm->forget(base->host, text("main"));
  if (fault("leaks_descriptors") && open("/dev/null", O_RDONLY) < 0) return failed(base, "no descriptor is left");
  if (fault("leaks_threads")) {
    pthread_t thread;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    if (pthread_create(&thread, &small, stay, NULL) != 0) return failed(base, "no thread can be made");
    pthread_detach(thread);
  }
  return PERSONA_OK;
}
static void stop(persona *self) {
  if (fault("unstarted") && !((fragile *)(void *)self)->started) abort();
}
static persona_status config_changed(persona *self, persona_text config) {
  (void)self;
  if (fault("config") && !memmem(config.bytes, config.count, "prompt", 6)) abort();
  return PERSONA_OK;
}
static persona_status health(persona *self) {
  return fault("ill_when_busy") && ((fragile *)(void *)self)->open > 0 ? failed(self, "it is busy") : PERSONA_OK;
}

static persona_status save_number(persona *self, const persona_sink *into) {
  char digits[48];
  long note = fault("saves_differently") ? self->note++ : 0;
  int count = snprintf(digits, sizeof digits, "number %ld %ld", self->count, note);
  persona_status status = into->write(into->context, digits, (size_t)count);
  return fault("swallows_sink") ? PERSONA_OK : status;
}
static persona_status load_number(persona *self, uint32_t schema, persona_text state) {
  char digits[48] = {0};
  long count, note;
  int end = 0;
  if (fault("empty_state") && state.count == 0) abort();
  for (size_t i = 0; i < state.count && fault("binary_state"); i++) if ((signed char)state.bytes[i] < 0) abort();
  if (fault("long_state") && state.count >= 1 << 20) abort();
  if (fault("older_state") && schema == 1) abort();
  if (fault("forgets")) return PERSONA_OK;
  memcpy(digits, state.bytes, state.count < sizeof digits - 1 ? state.count : 0);
  if (fault("hangs_on_damage")) while (strncmp(digits, "number", 6) != 0) pause();
  if (sscanf(digits, "number %ld %ld%n", &count, &note, &end) == 2 && digits[end] == 0) {
    self->count = count;
    return PERSONA_OK;
  }
  self->host->explain(self->host, text("this is not a number that it has saved"));
  return PERSONA_E_STATE;
}

static int table = 1;
static const void *extension(persona *self, const char *name) {
  (void)self, (void)name;
  return fault("any_extension") ? &table : NULL;
}

static const persona_vtable vtable = {
    .size = sizeof(persona_vtable), .destroy = destroy_fragile, .receive = receive_gram, .start = start, .stop = stop,
    .config_changed = config_changed, .save = save_number, .load = load_number, .health = health, .extension = extension};
FIXTURE(create_fragile, vtable)
