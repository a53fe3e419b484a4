// A persona for a later kernel: its vtable has functions that this kernel does not know, and which must not be called.
#define ABOUT_NAME "LATER"
#include "fixture.h"
ABOUT;
static const struct {
  persona_vtable known;
  uintptr_t not_a_function[4];
} vtable = {{.size = sizeof(persona_vtable) + 4 * sizeof(uintptr_t), .destroy = destroy, .receive = receive}, {1, 1, 1, 1}};
static const persona_entry entry = {.magic = PERSONA_MAGIC, .size = sizeof(persona_entry), .abi_major = PERSONA_ABI_MAJOR,
                                    .abi_minor = PERSONA_ABI_MINOR + 1, .about = persona_about, .vtable = &vtable.known, .create = create};
const persona_entry *persona_entry_v1(void) { return &entry; }
