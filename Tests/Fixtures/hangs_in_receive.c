// receive() never returns for the method "hang"; others are answered.
#define ABOUT_NAME "STARER"
#define ABOUT_MORE "state = 1\nmethod.hang = never comes back\n"
#include "fixture.h"
#include <unistd.h>
ABOUT;

static persona_status receive_or_hang(persona *self, const persona_gram_v1 *gram) {
  while (is(gram->method, "hang")) pause();
  return receive(self, gram);
}
static const persona_vtable vtable = {
    .size = sizeof(persona_vtable), .destroy = destroy, .receive = receive_or_hang, .save = save, .load = load};
FIXTURE(create, vtable)
