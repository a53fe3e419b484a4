// A persona that uses what persona.h 1.1 added.
//
//   work       a plan, the piece "own ", a part by BABS, a status; replies null
//   step       shows the payload as a step; replies {"status":…,"version":…}
//   through    asks PEER for `work` through the asker, as "Voice"; replies with what part() was given, as a string
//   relay      asks PEER for `through` through the asker, as "Relay"; the same
//   wait       waits for an end that never comes, and counts when it is cancelled
//   cancelled  {"cancelled":…,"version":…}
//   declare    declares the payload; replies {"status":…,"version":…}
//   think      asks the model for "hi" with the speaker MODEL, and streams it on
#define ABOUT_NAME "STEPS"
#define ABOUT_MORE "wants = llm/1\nmethod.work = Works\n"
#include "fixture.h"

#ifndef PEER
#define PEER "NOBODY"
#endif

ABOUT;

typedef struct pending {
  persona *self;
  uint64_t token;
  size_t count;
  char heard[1024];
} pending;

static void heard(void *context, uint64_t request, persona_text part) {
  (void)request;
  pending *pending = context;
  size_t room = sizeof pending->heard - pending->count;
  size_t count = part.count < room ? part.count : room;
  memcpy(pending->heard + pending->count, part.bytes, count);
  pending->count += count;
}

static void ended(void *context, uint64_t request, persona_status status, persona_text result) {
  (void)request;
  pending *pending = context;
  persona *self = pending->self;
  char json[sizeof pending->heard + 8];
  int count = snprintf(json, sizeof json, "\"%.*s\"", (int)pending->count, pending->heard);
  if (status < 0) self->bus->fail(self->host, pending->token, status, result);
  else self->bus->reply(self->host, pending->token, (persona_text){json, (size_t)count});
  free(pending);
}

static persona_status receive_gram(persona *self, const persona_gram_v1 *gram) {
  const persona_bus_v1 *bus = self->bus;
  const persona_host *host = self->host;
  const persona_llm_v1 *llm = host->service(host, "llm/1");
  uint64_t request;
  if (!PERSONA_HAS(bus, ask_through)) return failed(self, "this kernel is older than persona.h 1.1");
  if (is(gram->method, "work")) {
    bus->progress(host, gram->token, text("{\"kind\":\"plan\",\"steps\":[\"one\",\"two\"]}"));
    bus->stream(host, gram->token, text("own "));
    bus->progress(host, gram->token, text("{\"kind\":\"part\",\"speaker\":\"BABS\",\"text\":\"hers \",\"mood\":\"calm\"}"));
    bus->stream(host, gram->token, text("again"));
    bus->progress(host, gram->token, text("{\"kind\":\"status\",\"text\":\"done\"}"));
    return PERSONA_OK;
  }
  if (is(gram->method, "step")) {
    persona_status status = bus->progress(host, gram->token, gram->payload);
    return reply_number(self, gram->token, "status", status);
  }
  if (is(gram->method, "declare")) return reply_number(self, gram->token, "status", bus->declare(host, gram->payload));
  if (is(gram->method, "cancelled")) return reply_number(self, gram->token, "cancelled", self->note);
  if (is(gram->method, "wait")) return PERSONA_LATER;

  pending *waiting = calloc(1, sizeof *waiting);
  if (!waiting) return PERSONA_E_FAILED;
  waiting->self = self;
  waiting->token = gram->token;
  persona_status status = PERSONA_E_UNKNOWN_METHOD;
  if (is(gram->method, "through"))
    status = bus->ask_through(host, gram->token, text("Voice"), text(PEER), text("work"), text("null"), 0, heard, ended, waiting, &request);
  if (is(gram->method, "relay"))
    status = bus->ask_through(host, gram->token, text("Relay"), text(PEER), text("through"), text("null"), 0, heard, ended, waiting, &request);
  if (is(gram->method, "think") && llm)
    status = llm->chat(host, gram->token, text("{\"text\":\"hi\",\"speaker\":\"MODEL\"}"), gram->token, heard, ended, waiting, &request);
  if (status < 0) free(waiting);
  return status < 0 ? status : PERSONA_LATER;
}

static void cancelled(persona *self, uint64_t token) {
  (void)token;
  self->note++;
}

static const persona_vtable vtable = {
    .size = sizeof(persona_vtable), .destroy = destroy, .receive = receive_gram, .cancelled = cancelled};
FIXTURE(create, vtable)
