// Does with the memory what it is asked: the method is the operation, the payload its arguments. "told" replies with
// citations of its own; "list" and "plain" reply with an array and with a string.
#define ABOUT_NAME "REMEMBERS"
#define ABOUT_NEEDS "needs = bus/1 rag/1\n"
#include "fixture.h"
ABOUT;

struct errand {
  persona *self;
  uint64_t token;
  const char *reply; // NULL: the memory's own words
};

static void done(void *context, uint64_t request, persona_status status, persona_text result) {
  (void)request;
  struct errand *errand = context;
  persona *self = errand->self;
  if (status < 0)
    self->bus->fail(self->host, errand->token, status, result);
  else
    self->bus->reply(self->host, errand->token, errand->reply ? text(errand->reply) : result);
  free(errand);
}

static persona_status receive_gram(persona *self, const persona_gram_v1 *gram) {
  const persona_rag_v1 *rag = self->host->service(self->host, "rag/1");
  struct errand *errand = malloc(sizeof *errand);
  *errand = (struct errand){self, gram->token, NULL};
  persona_text operation = gram->method;
  if (is(gram->method, "told")) errand->reply = "{\"citations\":[\"mine\"]}";
  if (is(gram->method, "list")) errand->reply = "[1]";
  if (is(gram->method, "bare")) errand->reply = "{}";
  if (errand->reply) operation = text("query");
  uint64_t request;
  persona_status status = rag->perform(self->host, gram->token, operation, gram->payload, done, errand, &request);
  if (status < 0) {
    free(errand);
    return status;
  }
  return PERSONA_LATER;
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive_gram};
FIXTURE(create, vtable)
