// Nothing in its file says who it is.
#define ABOUT_NAME "ANONYMOUS"
#include "fixture.h"
static const char persona_about[] = "name = ANONYMOUS\n";
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive};
FIXTURE(create, vtable)
