// It asks for more than the kernel can do, until it is refused, and tells how much was taken and with which status:
//
//   sent    {"taken":…,"status":…}  what it sent to a topic in start, where everything is held until the switch
//   posted  the same of jobs that it posts from receive, while none of them can run
//   timed   the same of timers
#define ABOUT_NAME "FLOOD"
#define ABOUT_NEEDS "needs = bus/1 timer/1\n"
#include "fixture.h"
ABOUT;

static long sent;
static persona_status sent_status;

static persona_status start(persona *self) {
  for (sent = 0; sent < 200000; sent++) {
    sent_status = self->bus->send(self->host, 0, text("#nobody"), text("m"), text("null"));
    if (sent_status < 0) break;
  }
  return PERSONA_OK;
}

static void nothing(void *context) { (void)context; }
static void ended(void *context, uint64_t request, persona_status status, persona_text result) {
  (void)context, (void)request, (void)status, (void)result;
}

static persona_status tell(persona *self, uint64_t token, long taken, persona_status status) {
  char json[96];
  snprintf(json, sizeof json, "{\"taken\":%ld,\"status\":%d}", taken, status);
  return self->bus->reply(self->host, token, text(json));
}

static persona_status receive_gram(persona *self, const persona_gram_v1 *gram) {
  persona_status status = PERSONA_OK;
  long taken = 0;
  if (is(gram->method, "sent")) return tell(self, gram->token, sent, sent_status);
  if (is(gram->method, "posted"))
    for (; taken < 200000 && (status = self->host->post(self->host, nothing, NULL)) >= 0; taken++) {}
  if (is(gram->method, "timed")) {
    uint64_t request;
    for (; taken < 200000 && (status = self->timer->after(self->host, 3600000, ended, NULL, &request)) >= 0; taken++) {}
  }
  return tell(self, gram->token, taken, status);
}

static const persona_vtable vtable = {
    .size = sizeof(persona_vtable), .destroy = destroy, .receive = receive_gram, .start = start};
FIXTURE(create, vtable)
