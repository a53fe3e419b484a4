// The well-behaved one: replies with what it was told, its version, and how many grams it has seen (which is its state).
#include "fixture.h"

PERSONA_ABOUT("bat-persona 1\nname = " NAME "\nversion = " VERSION "\nsummary = Says what it hears\nstate = 1\n");

struct later {
  persona *self;
  uint64_t token;
};

static void replied(void *context, uint64_t request, persona_status status, persona_text result) {
  struct later *later = context;
  (void)request;
  const persona_bus_v1 *bus = later->self->bus;
  if (status < 0) bus->fail(later->self->host, later->token, status, result);
  else bus->reply(later->self->host, later->token, result.count ? result : text("{\"version\":\"" VERSION "\",\"later\":true}"));
  free(later);
}

static persona_status receive(persona *self, const persona_gram_v1 *gram) {
  struct later *later = 0;
  uint64_t request;
  if (is(gram->method, "later") || is(gram->method, "ask") || is(gram->method, "chat")) {
    later = malloc(sizeof *later);
    *later = (struct later){self, gram->token};
  }
  if (is(gram->method, "later")) {  // payload: milliseconds
    const persona_timer_v1 *timer = self->host->service(self->host, "timer/1");
    timer->after(self->host, strtoul(gram->payload.bytes, 0, 10), replied, later, &request);
    return PERSONA_LATER;
  }
  if (is(gram->method, "ask")) {  // payload: "NAME"
    persona_text target = {gram->payload.bytes + 1, gram->payload.count - 2};
    self->bus->ask(self->host, gram->token, target, text("ask"), gram->payload, 0, 0, replied, later, &request);
    return PERSONA_LATER;
  }
  if (is(gram->method, "chat")) {  // payload: the question
    const persona_llm_v1 *llm = self->host->service(self->host, "llm/1");
    if (llm->chat(self->host, gram->token, gram->payload, gram->token, 0, replied, later, &request) < 0) return PERSONA_E_INVALID;
    return PERSONA_LATER;
  }
  if (is(gram->method, "stream")) {
    self->bus->stream(self->host, gram->token, text("one "));
    self->bus->stream(self->host, gram->token, text("two "));
    self->bus->stream(self->host, gram->token, text("three"));
    self->bus->reply(self->host, gram->token, text("{\"content\":\"one two three\"}"));
    return PERSONA_OK;
  }
  if (is(gram->method, "refuse")) {
    self->host->explain(self->host, text("I refuse, as I was asked to; ask for something else"));
    return PERSONA_E_INVALID;
  }
  if (is(gram->method, "silent")) return PERSONA_OK;
  if (is(gram->method, "config")) {
    persona_text now = gram->payload;
    (void)now;
  }
  return echo(self, gram);
}

static persona_status save(persona *self, const persona_sink *into) {
  char out[32];
  int n = snprintf(out, sizeof out, "%lu", self->count);
  return into->write(into->context, out, n);
}
static persona_status load(persona *self, uint32_t schema, persona_text state) {
  (void)schema;
  char in[32] = {0};
  if (state.count >= sizeof in) return PERSONA_E_STATE;
  memcpy(in, state.bytes, state.count);
  self->count = strtoul(in, 0, 10);
  return PERSONA_OK;
}

ENTRY(.receive = receive, .save = save, .load = load)
