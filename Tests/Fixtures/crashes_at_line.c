// Reads through a pointer that leads nowhere, in a function whose line is known. In create(); with IN_RECEIVE for the method "crash".
#define ABOUT_NAME "CRASHER"
#define ABOUT_MORE "state = 1\n"
#include "fixture.h"
ABOUT;

static volatile int *nowhere;
__attribute__((noinline)) static int read_nowhere(void) {
  return *nowhere; // THE LINE
}

static persona_status create_crasher(const persona_host *host, persona_text config, persona **self) {
#ifndef IN_RECEIVE
  if (read_nowhere()) return PERSONA_E_FAILED;
#endif
  return create(host, config, self);
}

static persona_status receive_crasher(persona *self, const persona_gram_v1 *gram) {
  if (is(gram->method, "crash") && read_nowhere()) return PERSONA_E_FAILED;
  return receive(self, gram);
}

static const persona_vtable vtable = {.size = sizeof vtable, .destroy = destroy, .receive = receive_crasher};
FIXTURE(create_crasher, vtable)
