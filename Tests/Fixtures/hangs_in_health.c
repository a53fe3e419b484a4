// It starts and answers; health() never returns.
#define ABOUT_NAME "STATUE"
#define ABOUT_MORE "state = 1\n"
#include "fixture.h"
#include <unistd.h>
ABOUT;

static persona_status health(persona *self) {
  while (self) pause();
  return PERSONA_OK;
}
static const persona_vtable vtable = {
    .size = sizeof(persona_vtable), .destroy = destroy, .receive = receive, .save = save, .load = load, .health = health};
FIXTURE(create, vtable)
