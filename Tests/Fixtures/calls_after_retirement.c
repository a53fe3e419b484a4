// A thread of its own goes on calling the kernel after destroy(). If the kernel does not say that the generation is
// retired, the thread aborts the process: no test can miss that.
#define _DEFAULT_SOURCE
#define ABOUT_NAME "GHOST"
#include "fixture.h"
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>
ABOUT;

// Never freed: the thread outlives the instance.
typedef struct haunting {
  const persona_host *host;
  const persona_bus_v1 *bus;
  atomic_int destroyed;
} haunting;

// The instance's haunting; the header's struct has no room for it.
typedef struct ghost {
  persona base;
  haunting *haunting;
} ghost;

static void nothing(void *context) { (void)context; }
static void ended(void *context, uint64_t request, persona_status status, persona_text result) {
  (void)context, (void)request, (void)status, (void)result;
}

static void *haunt(void *context) {
  haunting *haunting = context;
  // destroy() is the last call, but not yet the retirement: a few rounds may still be heard.
  for (int after = 0; after < 2000; usleep(500)) {
    uint64_t request = 0;
    if (atomic_load(&haunting->destroyed)) after++;
    persona_status sent = haunting->bus->send(haunting->host, 0, text("#ghost"), text("boo"), text("null"));
    persona_status posted = haunting->host->post(haunting->host, nothing, NULL);
    persona_status asked = haunting->bus->ask(haunting->host, 0, text(ABOUT_NAME), text("boo"), text("null"), 100, NULL, ended, NULL, &request);
    haunting->host->cancel(haunting->host, request);
    if (after > 1000 && (sent != PERSONA_E_RETIRED || posted != PERSONA_E_RETIRED || asked != PERSONA_E_RETIRED)) abort();
  }
  return NULL;
}

static persona_status create_ghost(const persona_host *host, persona_text config, persona **self) {
  (void)config;
  ghost *made = calloc(1, sizeof *made);
  haunting *haunting = calloc(1, sizeof *haunting);
  if (!made || !haunting) return PERSONA_E_FAILED;
  made->base.host = haunting->host = host;
  made->base.bus = haunting->bus = host->service(host, "bus/1");
  made->haunting = haunting;
  *self = &made->base;
  return PERSONA_OK;
}
static persona_status start(persona *self) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, haunt, ((ghost *)self)->haunting) != 0) return failed(self, "no thread could be made");
  pthread_detach(thread);
  return PERSONA_OK;
}
static persona_status receive_gram(persona *self, const persona_gram_v1 *gram) {
  return gram->flags & PERSONA_GRAM_WANTS_REPLY && !is(gram->method, "boo") ? receive(self, gram) : PERSONA_OK;
}
static void destroy_ghost(persona *self) {
  atomic_store(&((ghost *)self)->haunting->destroyed, 1);
  free(self);
}
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy_ghost, .receive = receive_gram, .start = start};
FIXTURE(create_ghost, vtable)
