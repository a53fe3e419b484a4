// It answers "yes" to everything, and crashes when the payload is "boom"; built with -DANSWER="no" it says no.
// "learn" puts the payload into state/1 and sends it to #learnt; "tell" answers first, and then sends it there.
#define ABOUT_NAME "WORDS"
#define ABOUT_NEEDS "needs = bus/1 state/1\n"
#include "fixture.h"
ABOUT;
#ifndef ANSWER
#define ANSWER "yes"
#endif

static persona_status receive_gram(persona *self, const persona_gram_v1 *gram) {
  const persona_state_v1 *state = self->host->service(self->host, "state/1");
  if (is(gram->payload, "\"boom\"")) abort();
  if (is(gram->method, "learn")) {
    self->bus->send(self->host, gram->token, text("#learnt"), text("news"), gram->payload);
    return state->put(self->host, text("learnt"), gram->payload);
  }
  persona_status status = self->bus->reply(self->host, gram->token, text("{\"content\":\"" ANSWER "\"}"));
  if (is(gram->method, "tell")) self->bus->send(self->host, gram->token, text("#learnt"), text("told"), gram->payload);
  return status;
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive_gram};
FIXTURE(create, vtable)
