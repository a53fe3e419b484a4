// It sends itself a note while it is still a candidate. "notes" tells how many came.
#define ABOUT_NAME "DIARIST"
#include "fixture.h"
ABOUT;

static persona_status start(persona *self) { return self->bus->send(self->host, 0, text(ABOUT_NAME), text("note"), text("null")); }
static persona_status receive_gram(persona *self, const persona_gram_v1 *gram) {
  if (is(gram->method, "note")) self->note++;
  return is(gram->method, "notes") ? reply_number(self, gram->token, "notes", self->note) : PERSONA_OK;
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive_gram, .start = start};
FIXTURE(create, vtable)
