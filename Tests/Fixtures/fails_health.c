// It starts and answers, and says that it is not well.
#define ABOUT_NAME "PATIENT"
#define ABOUT_MORE "state = 1\n"
#include "fixture.h"
ABOUT;

static persona_status health(persona *self) { return failed(self, "its library card has run out"); }
static const persona_vtable vtable = {
    .size = sizeof(persona_vtable), .destroy = destroy, .receive = receive, .save = save, .load = load, .health = health};
FIXTURE(create, vtable)
