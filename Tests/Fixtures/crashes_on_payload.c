// It crashes when the payload is "b"; else it says no.
#define ABOUT_NAME "WORDS"
#include "fixture.h"
ABOUT;

static persona_status receive_gram(persona *self, const persona_gram_v1 *gram) {
  if (is(gram->payload, "\"b\"")) abort();
  return self->bus->reply(self->host, gram->token, text("{\"content\":\"no\"}"));
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive_gram};
FIXTURE(create, vtable)
