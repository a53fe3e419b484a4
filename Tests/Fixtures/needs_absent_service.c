// It cannot work without a service that no kernel has.
#define ABOUT_NAME "DREAMER"
#define ABOUT_NEEDS "needs = bus/1 teleport/1\n"
#include "fixture.h"
ABOUT;
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive};
FIXTURE(create, vtable)
