// Built for another persona.h.
#define ABOUT_NAME "STRANGER"
#include "fixture.h"
ABOUT;
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive};
ENTRY(create, vtable, PERSONA_MAGIC, 99)
