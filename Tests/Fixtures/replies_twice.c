// It replies to each gram twice. The method "status" is answered with what the kernel said to the second reply of the gram before.
#define ABOUT_NAME "STUTTERER"
#include "fixture.h"
ABOUT;

static persona_status reply_twice(persona *self, const persona_gram_v1 *gram) {
  if (is(gram->method, "status")) return reply_number(self, gram->token, "second", self->note);
  persona_status status = reply_number(self, gram->token, "reply", 1);
  self->note = reply_number(self, gram->token, "reply", 2);
  return status;
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = reply_twice};
FIXTURE(create, vtable)
