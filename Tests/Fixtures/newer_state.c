// It writes and reads schema 9 and nothing else.
#define ABOUT_NAME "MODERNIST"
#define ABOUT_MORE "state = 9 reads 9\n"
#include "fixture.h"
ABOUT;
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive, .save = save, .load = load};
FIXTURE(create, vtable)
