// It subscribes to "#weather" in start, and counts what is published there. "count" tells, "leave" unsubscribes.
#define ABOUT_NAME "LISTENER"
#define ABOUT_MORE "state = 1\n"
#include "fixture.h"
ABOUT;

static persona_status start(persona *self) { return self->bus->subscribe(self->host, text("#weather")); }
static persona_status receive_gram(persona *self, const persona_gram_v1 *gram) {
  if (is(gram->topic, "#weather")) {
    self->count++;
    return PERSONA_OK;
  }
  if (is(gram->method, "leave")) return self->bus->unsubscribe(self->host, text("#weather"));
  return reply_number(self, gram->token, "count", self->count);
}
static const persona_vtable vtable = {
    .size = sizeof(persona_vtable), .destroy = destroy, .receive = receive_gram, .start = start, .save = save, .load = load};
FIXTURE(create, vtable)
