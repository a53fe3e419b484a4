// Two personas claim one library. A third text, which only begins as one does, is none.
#define ABOUT_NAME "JANUS"
#include "fixture.h"
ABOUT;
const char another[] = "bat-persona 1\nname = SUNAJ\nversion = 1\n";
const char beginning[] = "bat-persona 1\n";
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive};
FIXTURE(create, vtable)
