// create() aborts. For the rehearsal only.
#define ABOUT_NAME "CRASHER"
#include "fixture.h"
ABOUT;

static persona_status crash(const persona_host *host, persona_text config, persona **self) {
  (void)host, (void)config, (void)self;
  abort();
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive};
FIXTURE(crash, vtable)
