// What a persona may do wrong while it runs, each by a method of its own; Tests/field asks for it.
//
//   statuses   calls persona.h with what it does not take, and replies with the statuses: [status, …]
//   numbers    asks and timers with the largest deadlines; replies with the statuses
//   explain    fails with a text of as many MB as the payload says; `fail` does so by bus->fail
//   timers     starts a million timers, and replies with how many were taken
//   slow       takes 5 ms on the lane
//   close      closes the descriptors 3 to 63
//   exit, leave, null, overflow, abort, thread   end the process: exit(3), _exit(4), a bad access, a stack that overflows, abort(), a bad
//              access on a thread of its own
#define ABOUT_NAME "HOSTILE"
#define ABOUT_NEEDS "needs = bus/1 timer/1\nwants = llm/1 rag/1 state/1\n"
#include "fixture.h"
#include <pthread.h>
#include <unistd.h>
ABOUT;

static void nothing(void *context, uint64_t request, persona_status status, persona_text result) {}

typedef struct statuses {
  char json[1024];
  size_t count;
} statuses;
static void note(statuses *all, persona_status status) {
  all->count += snprintf(all->json + all->count, sizeof all->json - all->count, "%s%d", all->count ? "," : "[", status);
}
static persona_status reply_statuses(persona *self, uint64_t token, statuses *all) {
  all->json[all->count++] = ']';
  return self->bus->reply(self->host, token, (persona_text){all->json, all->count});
}

static persona_status try_names(persona *self, const persona_gram_v1 *gram) {
  static const char *const names[] = {"caf\xc3", "\xff", "\xed\xa0\x80", "a\xc0\x80"};
  static char longest[20 << 20];
  memset(longest, 'a', sizeof longest);
  const persona_state_v1 *state = self->host->service(self->host, "state/1");
  const persona_llm_v1 *llm = self->host->service(self->host, "llm/1");
  const persona_rag_v1 *rag = self->host->service(self->host, "rag/1");
  statuses all = {.count = 0};
  uint64_t request;
  persona_text null = text("null"), good = text("HOSTILE"), large = {longest, sizeof longest};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    persona_text bad = text(names[i]);
    note(&all, self->bus->send(self->host, 0, bad, good, null));
    note(&all, self->bus->send(self->host, 0, good, bad, null));
    note(&all, self->bus->ask(self->host, 0, bad, good, null, 0, NULL, nothing, NULL, &request));
    note(&all, self->bus->ask(self->host, 0, good, bad, null, 0, NULL, nothing, NULL, &request));
    note(&all, self->bus->ask_through(self->host, 0, bad, good, good, null, 0, NULL, nothing, NULL, &request));
    note(&all, self->bus->subscribe(self->host, bad));
    note(&all, state->put(self->host, bad, null));
    if (llm) note(&all, llm->forget(self->host, bad));
    if (rag) note(&all, rag->perform(self->host, 0, bad, null, nothing, NULL, &request));
  }
  note(&all, self->bus->send(self->host, 0, large, good, null));
  note(&all, self->bus->send(self->host, 0, good, large, null));
  note(&all, self->bus->subscribe(self->host, large));
  note(&all, state->put(self->host, large, null));
  if (llm) note(&all, llm->forget(self->host, large));
  return reply_statuses(self, gram->token, &all);
}

static persona_status try_numbers(persona *self, const persona_gram_v1 *gram) {
  static const uint64_t numbers[] = {UINT64_MAX, INT64_MAX, (uint64_t)1 << 63, (uint64_t)1 << 53};
  statuses all = {.count = 0};
  uint64_t request;
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    note(&all, self->bus->ask(self->host, gram->token, text("KERNEL"), text("ping"), text("{}"), numbers[i], NULL, nothing, NULL, &request));
    note(&all, self->bus->ask(self->host, 0, text("HOSTILE"), text("nothing"), text("{}"), numbers[i], NULL, nothing, NULL, &request));
    note(&all, self->timer->after(self->host, numbers[i], nothing, NULL, &request));
    note(&all, self->bus->fail(self->host, numbers[i], INT32_MIN, text("x")));
    note(&all, self->bus->stream(self->host, numbers[i], text("x")));
    self->host->cancel(self->host, numbers[i]);
  }
  return reply_statuses(self, gram->token, &all);
}

static persona_status fail_at_length(persona *self, const persona_gram_v1 *gram) {
  size_t count = (size_t)atol(gram->payload.bytes) << 20;
  char *why = malloc(count);
  if (!why) return PERSONA_E_FAILED;
  memset(why, '\x01', count);
  persona_text said = {why, count};
  persona_status status = PERSONA_E_FAILED;
  if (is(gram->method, "fail")) {
    status = self->bus->fail(self->host, gram->token, PERSONA_E_FAILED, said);
  } else {
    self->host->explain(self->host, said);
  }
  free(why);
  return status;
}

static persona_status start_timers(persona *self, const persona_gram_v1 *gram) {
  uint64_t request;
  long taken = 0;
  for (int i = 0; i < 1000000; i++) taken += self->timer->after(self->host, 600000, nothing, NULL, &request) == PERSONA_OK;
  return reply_number(self, gram->token, "taken", taken);
}

static volatile char *nowhere = (char *)16;
static int overflow(volatile char *before) {
  volatile char here[4096];
  here[0] = before ? before[0] : 1;
  return overflow(here) + here[0];
}
static void *crash(void *nothing) {
  *nowhere = 1;
  return NULL;
}

static persona_status receive_gram(persona *self, const persona_gram_v1 *gram) {
  if (is(gram->method, "statuses")) return try_names(self, gram);
  if (is(gram->method, "numbers")) return try_numbers(self, gram);
  if (is(gram->method, "explain") || is(gram->method, "fail")) return fail_at_length(self, gram);
  if (is(gram->method, "timers")) return start_timers(self, gram);
  if (is(gram->method, "slow")) usleep(5000);
  if (is(gram->method, "close")) for (int i = 3; i < 64; i++) close(i);
  if (is(gram->method, "exit")) exit(3);
  if (is(gram->method, "leave")) _exit(4);
  if (is(gram->method, "null")) *nowhere = 1;
  if (is(gram->method, "overflow")) self->count += overflow(NULL);
  if (is(gram->method, "abort")) abort();
  if (is(gram->method, "thread")) {
    pthread_t thread;
    if (!pthread_create(&thread, NULL, crash, NULL)) pthread_join(thread, NULL);
  }
  return reply_number(self, gram->token, "count", ++self->count);
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive_gram};
FIXTURE(create, vtable)
