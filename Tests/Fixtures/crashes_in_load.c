// load() follows a wild pointer, whatever the state. For the rehearsal only.
#define ABOUT_NAME "CRASHER"
#define ABOUT_MORE "state = 1\n"
#include "fixture.h"
#include <signal.h>
ABOUT;

static persona_status crash(persona *self, uint32_t schema, persona_text state) {
  (void)self, (void)schema, (void)state;
  raise(SIGSEGV);
  return PERSONA_OK;
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive, .save = save, .load = crash};
FIXTURE(create, vtable)
