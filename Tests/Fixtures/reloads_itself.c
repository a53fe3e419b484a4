// The method "reload" asks the kernel, from within receive(), to reload this very persona (forced), and replies with the
// kernel's answer. So the old generation has to drain with the answer to its own reload. Others count.
#define ABOUT_NAME "PHOENIX"
#define ABOUT_MORE "state = 1\n"
#include "fixture.h"
ABOUT;

typedef struct asked {
  persona *self;
  uint64_t token;
} asked;

static void reloaded(void *context, uint64_t request, persona_status status, persona_text result) {
  (void)request;
  asked *asked = context;
  const persona_bus_v1 *bus = asked->self->bus;
  if (status < 0) bus->fail(asked->self->host, asked->token, status, result);
  else bus->reply(asked->self->host, asked->token, result);
  free(asked);
}
static persona_status receive_gram(persona *self, const persona_gram_v1 *gram) {
  if (!is(gram->method, "reload")) return receive(self, gram);
  asked *asked = calloc(1, sizeof *asked);
  if (!asked) return PERSONA_E_FAILED;
  asked->self = self;
  asked->token = gram->token;
  uint64_t request;
  persona_status status = self->bus->ask(self->host, gram->token, text("KERNEL"), text("personas.reload"),
                                         text("{\"name\":\"" ABOUT_NAME "\",\"force\":true}"), 0, NULL, reloaded, asked, &request);
  if (status < 0) free(asked);
  return status < 0 ? status : PERSONA_LATER;
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive_gram, .save = save, .load = load};
FIXTURE(create, vtable)
