// Its state has MEGABYTES (default 64), written in pieces of an odd size.
#define ABOUT_NAME "HOARDER"
#define ABOUT_MORE "state = 1\n"
#include "fixture.h"
ABOUT;
#ifndef MEGABYTES
#define MEGABYTES "64"
#endif

static persona_status save_all(persona *self, const persona_sink *into) {
  (void)self;
  static char piece[65521];
  memset(piece, '7', sizeof piece);
  size_t left = strtoul(MEGABYTES, NULL, 10) << 20;
  while (left > 0) {
    size_t count = left < sizeof piece ? left : sizeof piece;
    persona_status status = into->write(into->context, piece, count);
    if (status < 0) return status;
    left -= count;
  }
  return PERSONA_OK;
}
static persona_status load_all(persona *self, uint32_t schema, persona_text state) {
  (void)schema;
  self->note = (long)state.count;
  return state.count == strtoul(MEGABYTES, NULL, 10) << 20 ? PERSONA_OK : PERSONA_E_STATE;
}
static const persona_vtable vtable = {
    .size = sizeof(persona_vtable), .destroy = destroy, .receive = receive, .save = save_all, .load = load_all};
FIXTURE(create, vtable)
