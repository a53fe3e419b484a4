// start() never returns.
#define ABOUT_NAME "SLEEPER"
#include "fixture.h"
#include <unistd.h>
ABOUT;

static persona_status start(persona *self) {
  while (self) pause();
  return PERSONA_OK;
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive, .start = start};
FIXTURE(create, vtable)
