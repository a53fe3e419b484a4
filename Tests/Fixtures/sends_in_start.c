// It tells "#started" of its version while it is still a candidate; with REFUSE it then does not start after all, so that
// nothing of it may be heard.
#define ABOUT_NAME "HERALD"
#include "fixture.h"
ABOUT;
#ifndef REFUSE
#define REFUSE ""
#endif

static persona_status start(persona *self) {
  persona_status status = self->bus->send(self->host, 0, text("#started"), text("started"), text("{\"version\":\"" VERSION "\"}"));
  if (status < 0) return status;
  return strlen(REFUSE) ? failed(self, "it has changed its mind") : PERSONA_OK;
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive, .start = start};
FIXTURE(create, vtable)
