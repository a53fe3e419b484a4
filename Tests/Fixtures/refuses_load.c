// load() says no, and why.
#define ABOUT_NAME "PURIST"
#define ABOUT_MORE "state = 1\n"
#include "fixture.h"
ABOUT;

static persona_status refuse(persona *self, uint32_t schema, persona_text state) {
  (void)schema, (void)state;
  return failed(self, "it does not like that state");
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive, .save = save, .load = refuse};
FIXTURE(create, vtable)
