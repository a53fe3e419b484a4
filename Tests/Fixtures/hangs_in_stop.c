// stop() never returns.
#define ABOUT_NAME "CLINGER"
#include "fixture.h"
#include <unistd.h>
ABOUT;

static void stop(persona *self) {
  (void)self;
  for (;;) pause();
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive, .stop = stop};
FIXTURE(create, vtable)
