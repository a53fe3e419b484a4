// Its entry is not a persona_entry.
#define ABOUT_NAME "IMPOSTOR"
#include "fixture.h"
ABOUT;
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive};
ENTRY(create, vtable, 0x4b4c4f46u, PERSONA_ABI_MAJOR)
