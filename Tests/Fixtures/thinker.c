// A persona that asks the model what it is told to, and that can be a model's tool.
//
//   chat     asks the model with the payload as the question, as it is, and replies with the result
//   relay    asks PEER for `chat` with the payload, and replies with its answer
//   observe  {"saw":<payload>}
//   refuse   an error with a text
//   wait     never answers
#define ABOUT_NAME "THINKER"
#define ABOUT_MORE                                                                                                    \
  "wants = llm/1\n"                                                                                                   \
  "method.observe = Looks through the telescope\n"                                                                    \
  "takes.observe = {\"type\":\"object\",\"properties\":{\"z\":{\"type\":\"string\"},\"a\":{\"type\":\"integer\"}},\"required\":[\"z\"]}\n" \
  "gives.observe = {\"type\":\"object\"}\n"                                                                           \
  "method.refuse = Refuses\n"                                                                                         \
  "method.wait = Waits for ever\n"                                                                                    \
  "method.text = Takes a string, no object\n"                                                                         \
  "takes.text = {\"type\":\"string\"}\n"
#include "fixture.h"

#ifndef PEER
#define PEER "NOBODY"
#endif

ABOUT;

typedef struct pending {
  persona *self;
  uint64_t token;
} pending;

static void answer_came(void *context, uint64_t request, persona_status status, persona_text result) {
  (void)request;
  pending *pending = context;
  persona *self = pending->self;
  if (status < 0) self->bus->fail(self->host, pending->token, status, result);
  else self->bus->reply(self->host, pending->token, result);
  free(pending);
}

static persona_status receive_gram(persona *self, const persona_gram_v1 *gram) {
  const persona_llm_v1 *llm = self->host->service(self->host, "llm/1");
  if (is(gram->method, "observe")) {
    char json[512];
    snprintf(json, sizeof json, "{\"saw\":%.*s,\"hops\":%u}", (int)gram->payload.count, gram->payload.bytes, gram->hops);
    return self->bus->reply(self->host, gram->token, text(json));
  }
  if (is(gram->method, "refuse")) return failed(self, "the shutters are closed");
  if (is(gram->method, "wait")) return PERSONA_LATER;
  if (!is(gram->method, "chat") && !is(gram->method, "relay")) return PERSONA_E_UNKNOWN_METHOD;
  pending *waiting = calloc(1, sizeof *waiting);
  if (!waiting) return PERSONA_E_FAILED;
  *waiting = (pending){self, gram->token};
  uint64_t request;
  persona_status status = is(gram->method, "chat")
                              ? llm->chat(self->host, gram->token, gram->payload, gram->token, NULL, answer_came, waiting, &request)
                              : self->bus->ask(self->host, gram->token, text(PEER), text("chat"), gram->payload, 0, NULL, answer_came,
                                               waiting, &request);
  if (status < 0) free(waiting);
  return status < 0 ? status : PERSONA_LATER;
}

static persona_status start(persona *self) { return self->bus->subscribe(self->host, text("questions")); }

static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive_gram, .start = start};
FIXTURE(create, vtable)
