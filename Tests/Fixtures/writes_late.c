// It goes on with a gram after it has saved.
//
//   note    asks HUMAN; after the answer it adds 100 to its state, puts "late" into state/1, and replies
//   look    {"count":…,"late":1} where the number is its state and "late" stands in state/1, else "late":0
#define ABOUT_NAME "LATE"
#define ABOUT_MORE "state = 1\nwants = state/1\n"
#include "fixture.h"
ABOUT;

typedef struct {
  persona *self;
  uint64_t token;
} pending;

static void answer_came(void *context, uint64_t request, persona_status status, persona_text result) {
  (void)request, (void)result;
  pending *pending = context;
  persona *self = pending->self;
  const persona_state_v1 *state = self->host->service(self->host, "state/1");
  if (status >= 0) {
    self->count += 100;
    state->put(self->host, text("late"), text("1"));
    reply_number(self, pending->token, "count", self->count);
  }
  free(pending);
}

static int32_t ignore(void *context, const void *bytes, size_t count) {
  (void)context, (void)bytes, (void)count;
  return PERSONA_OK;
}

static persona_status receive_gram(persona *self, const persona_gram_v1 *gram) {
  if (is(gram->method, "note")) {
    uint64_t request;
    pending *made = malloc(sizeof *made);
    *made = (pending){self, gram->token};
    persona_status status =
        self->bus->ask(self->host, gram->token, text("HUMAN"), text("go"), text("null"), 0, NULL, answer_came, made, &request);
    if (status < 0) free(made);
    return status < 0 ? status : PERSONA_LATER;
  }
  const persona_state_v1 *state = self->host->service(self->host, "state/1");
  persona_sink sink = {NULL, ignore};
  char json[96];
  snprintf(json, sizeof json, "{\"count\":%ld,\"late\":%d}", self->count, state->get(self->host, text("late"), &sink) >= 0);
  return self->bus->reply(self->host, gram->token, text(json));
}

static const persona_vtable vtable = {
    .size = sizeof(persona_vtable), .destroy = destroy, .receive = receive_gram, .save = save, .load = load};
FIXTURE(create, vtable)
