// create() says no, and why.
#define ABOUT_NAME "REFUSER"
#include "fixture.h"
ABOUT;

static persona_status refuse(const persona_host *host, persona_text config, persona **self) {
  (void)config, (void)self;
  host->explain(host, text("it has no key for the observatory; put one into its config"));
  return PERSONA_E_FAILED;
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive};
FIXTURE(refuse, vtable)
