// It promises an answer to every gram and gives none.
#define ABOUT_NAME "PROMISER"
#include "fixture.h"
ABOUT;

static persona_status promise(persona *self, const persona_gram_v1 *gram) {
  (void)gram;
  self->count++;
  return PERSONA_LATER;
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = promise};
FIXTURE(create, vtable)
