// It starts a program in create that outlives it.
#define _DEFAULT_SOURCE
#define ABOUT_NAME "HELPED"
#include "fixture.h"
ABOUT;

static persona_status create_with_helper(const persona_host *host, persona_text config, persona **self) {
  if (system("sleep 20 > /dev/null 2>&1 &") != 0) return PERSONA_E_FAILED;
  return create(host, config, self);
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive};
FIXTURE(create_with_helper, vtable)
