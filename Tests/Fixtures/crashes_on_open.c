// It dies before anybody can ask it anything. For the rehearsal only.
#define ABOUT_NAME "STILLBORN"
#include "fixture.h"
ABOUT;
__attribute__((constructor)) static void crash(void) { abort(); }
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive};
FIXTURE(create, vtable)
