// It saves what it cannot load.
#define ABOUT_NAME "SCRAWLER"
#define ABOUT_MORE "state = 1\n"
#include "fixture.h"
ABOUT;

static persona_status scrawl(persona *self, const persona_sink *into) {
  (void)self;
  return into->write(into->context, "\x01\xff illegible", 12);
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive, .save = scrawl, .load = load};
FIXTURE(create, vtable)
