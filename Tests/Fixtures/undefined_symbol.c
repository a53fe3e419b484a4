// It calls a function that no library has.
#define ABOUT_NAME "UNFINISHED"
#include "fixture.h"
ABOUT;
extern int a_function_that_nobody_wrote(void);

static persona_status start(persona *self) {
  (void)self;
  return a_function_that_nobody_wrote();
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive, .start = start};
FIXTURE(create, vtable)
