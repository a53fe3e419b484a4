// Its about text is TEXT.
#define ABOUT_NAME "MUMBLER"
#include "fixture.h"
PERSONA_ABOUT(TEXT);
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive};
FIXTURE(create, vtable)
