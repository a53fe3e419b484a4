// An old persona: its table ends after receive, and what follows in memory is not a function.
#define ABOUT_NAME "ELDER"
#include "fixture.h"
ABOUT;
static const struct {
  uint32_t size;
  void (*destroy)(persona *);
  persona_status (*receive)(persona *, const persona_gram_v1 *);
  uintptr_t not_a_function[7];
} vtable = {offsetof(persona_vtable, start), destroy, receive, {1, 1, 1, 1, 1, 1, 1}};
static persona_entry entry = {.magic = PERSONA_MAGIC, .size = sizeof(persona_entry), .abi_major = PERSONA_ABI_MAJOR,
                              .about = persona_about, .vtable = (const persona_vtable *)(const void *)&vtable, .create = create};
const persona_entry *persona_entry_v1(void) { return &entry; }
