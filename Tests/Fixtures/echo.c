// A persona that behaves: it uses every service in the way that persona.h describes.
//
//   echo     {"echo":<payload>,"version":…,"count":grams seen}
//   count    {"count":…,"version":…}
//   later    after as many milliseconds as the payload says, the same as echo
//   ask      asks the target that the payload names (a string) to `echo` null, and replies with its answer
//   stream   the pieces "one ", "two ", "three", then {"text":"one two three"}
//   flood    streams pieces of 64 kB until the kernel says that the gram has ended
//   slow     sleeps on the lane for as many milliseconds as the payload says, then the same as echo
//   fail     an error with a text
//   publish  sends the payload to "#echo"
//   remember, recall  put the payload into state/1, get it back
//   config   what config/1 says
//   flags    {"flags":…,"hops":…} of the gram
//   think    asks the model for an answer to the payload (a string; after PREFACE), and streams it on
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#define ABOUT_NAME "ECHO"
#ifndef STATE
#define STATE "1"
#endif
#define ABOUT_MORE "summary = Says what it hears\nstate = " STATE "\nwants = state/1 log/1 config/1 llm/1\n"
#define ABOUT_NEEDS "needs = bus/1 timer/1\n"
#include "fixture.h"
#include <unistd.h>

ABOUT;

// Bytes that grow; also what a sink writes to.
typedef struct buffer {
  char *bytes;
  size_t count;
} buffer;

static int32_t append(void *context, const void *bytes, size_t count) {
  buffer *into = context;
  char *grown = realloc(into->bytes, into->count + count + 1);
  if (!grown) return PERSONA_E_TOO_LONG;
  into->bytes = grown;
  if (count) memcpy(grown + into->count, bytes, count);
  into->count += count;
  grown[into->count] = 0;
  return PERSONA_OK;
}
static void append_string(buffer *into, const char *string) { append(into, string, strlen(string)); }

static persona_status reply_buffer(persona *self, uint64_t token, buffer *json) {
  persona_status status = self->bus->reply(self->host, token, (persona_text){json->bytes, json->count});
  free(json->bytes);
  return status;
}

static persona_status reply_echo(persona *self, uint64_t token, persona_text payload) {
  buffer json = {0};
  char tail[96];
  append_string(&json, "{\"echo\":");
  append(&json, payload.bytes, payload.count);
  snprintf(tail, sizeof tail, ",\"version\":\"%s\",\"count\":%ld}", VERSION, self->count);
  append_string(&json, tail);
  return reply_buffer(self, token, &json);
}

// A gram that is answered when a request has ended.
typedef struct pending {
  persona *self;
  uint64_t token;
  buffer payload;
} pending;

static pending *keep(persona *self, const persona_gram_v1 *gram) {
  pending *made = calloc(1, sizeof *made);
  if (!made) return NULL;
  made->self = self;
  made->token = gram->token;
  append(&made->payload, gram->payload.bytes, gram->payload.count);
  return made;
}
static void drop(pending *pending) {
  free(pending->payload.bytes);
  free(pending);
}

static void timer_ended(void *context, uint64_t request, persona_status status, persona_text result) {
  (void)request;
  pending *pending = context;
  persona *self = pending->self;
  if (status < 0) self->bus->fail(self->host, pending->token, status, result);
  else reply_echo(self, pending->token, (persona_text){pending->payload.bytes, pending->payload.count});
  drop(pending);
}

static void answer_came(void *context, uint64_t request, persona_status status, persona_text result) {
  (void)request;
  pending *pending = context;
  persona *self = pending->self;
  if (status < 0) self->bus->fail(self->host, pending->token, status, result);
  else self->bus->reply(self->host, pending->token, result);
  drop(pending);
}

static unsigned long milliseconds(persona_text payload) {
  char digits[16] = {0};
  memcpy(digits, payload.bytes, payload.count < 15 ? payload.count : 15);
  return strtoul(digits, NULL, 10);
}

static persona_status receive_gram(persona *self, const persona_gram_v1 *gram) {
  const persona_state_v1 *state = self->host->service(self->host, "state/1");
  const persona_config_v1 *config = self->host->service(self->host, "config/1");
  const persona_llm_v1 *llm = self->host->service(self->host, "llm/1");
  uint64_t request;
  self->count++;

  if (is(gram->method, "count")) return reply_number(self, gram->token, "count", self->count);

  if (is(gram->method, "flags")) {
    char json[64];
    snprintf(json, sizeof json, "{\"flags\":%u,\"hops\":%u}", gram->flags, gram->hops);
    return self->bus->reply(self->host, gram->token, text(json));
  }
  if (is(gram->method, "later")) {
    pending *pending = keep(self, gram);
    persona_status status = self->timer->after(self->host, milliseconds(gram->payload), timer_ended, pending, &request);
    if (status < 0) drop(pending);
    return status < 0 ? status : PERSONA_LATER;
  }
  if (is(gram->method, "ask")) {
    if (gram->payload.count < 3 || gram->payload.bytes[0] != '"') return PERSONA_E_INVALID;
    persona_text target = {gram->payload.bytes + 1, gram->payload.count - 2};
    pending *pending = keep(self, gram);
    persona_status status =
        self->bus->ask(self->host, gram->token, target, text("echo"), text("null"), 0, NULL, answer_came, pending, &request);
    if (status < 0) drop(pending);
    return status < 0 ? status : PERSONA_LATER;
  }
  if (is(gram->method, "think") && llm) {
    pending *pending = keep(self, gram);
    buffer question = {0};
    append_string(&question, "{\"text\":");
#ifdef PREFACE
    append_string(&question, "\"" PREFACE);
    append(&question, gram->payload.bytes + 1, gram->payload.count - 1);
#else
    append(&question, gram->payload.bytes, gram->payload.count);
#endif
    append_string(&question, "}");
    persona_status status = llm->chat(self->host, gram->token, (persona_text){question.bytes, question.count}, gram->token, NULL,
                                      answer_came, pending, &request);
    free(question.bytes);
    if (status < 0) drop(pending);
    return status < 0 ? status : PERSONA_LATER;
  }
  if (is(gram->method, "stream")) {
    static const char *const pieces[] = {"one ", "two ", "three"};
    for (int i = 0; i < 3; i++) {
      persona_status status = self->bus->stream(self->host, gram->token, text(pieces[i]));
      if (status < 0) return status;
    }
    return self->bus->reply(self->host, gram->token, text("{\"text\":\"one two three\"}"));
  }
  if (is(gram->method, "flood")) {
    static char piece[1 << 16];
    memset(piece, 'f', sizeof piece);
    persona_status status = PERSONA_OK;
    for (int i = 0; i < 20000 && status >= 0; i++) {
      status = self->bus->stream(self->host, gram->token, (persona_text){piece, sizeof piece});
      usleep(500);
    }
    return PERSONA_LATER;
  }
  if (is(gram->method, "slow")) usleep((useconds_t)milliseconds(gram->payload) * 1000);
  if (is(gram->method, "slow") || is(gram->method, "echo")) return reply_echo(self, gram->token, gram->payload);
  if (is(gram->method, "fail")) return failed(self, "it failed, as it was asked to");
  if (is(gram->method, "publish")) return self->bus->send(self->host, gram->token, text("#echo"), text("published"), gram->payload);
  if (is(gram->method, "remember") && state) return state->put(self->host, text("remembered"), gram->payload);
  if ((is(gram->method, "recall") && state) || (is(gram->method, "config") && config)) {
    buffer value = {0};
    persona_sink sink = {&value, append};
    persona_status status = is(gram->method, "recall") ? state->get(self->host, text("remembered"), &sink) : config->get(self->host, &sink);
    if (status >= 0) return reply_buffer(self, gram->token, &value);
    free(value.bytes);
    return status;
  }
  return gram->flags & PERSONA_GRAM_PUBLISHED ? PERSONA_OK : PERSONA_E_UNKNOWN_METHOD;
}

static persona_status start(persona *self) {
  const persona_log_v1 *log = self->host->service(self->host, "log/1");
  if (log) log->write(self->host, PERSONA_LOG_DEBUG, text("started, version " VERSION));
  return PERSONA_OK;
}
static persona_status health(persona *self) {
  (void)self;
  return PERSONA_OK;
}

static const persona_vtable vtable = {
    .size = sizeof(persona_vtable), .destroy = destroy, .receive = receive_gram, .start = start, .save = save, .load = load, .health = health};
FIXTURE(create, vtable)
