// It promises an answer to its first gram, forgets the token, and answers all others. So it never has drained.
#define ABOUT_NAME "FORGETTER"
#define ABOUT_MORE "state = 1\n"
#include "fixture.h"
ABOUT;

static persona_status forget_first(persona *self, const persona_gram_v1 *gram) {
  return self->note++ ? receive(self, gram) : PERSONA_LATER;
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = forget_first, .save = save, .load = load};
FIXTURE(create, vtable)
