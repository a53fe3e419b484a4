// The entry contradicts persona.h or the file; FAULT says where.
#define ABOUT_NAME "CARELESS"
#include "fixture.h"
ABOUT;
static persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive};
static persona_entry entry = {.magic = PERSONA_MAGIC, .size = sizeof(persona_entry), .abi_major = PERSONA_ABI_MAJOR,
                              .about = persona_about, .vtable = &vtable, .create = create};

const persona_entry *persona_entry_v1(void) {
  const char *fault = FAULT;
  if (!strcmp(fault, "null_entry")) return NULL;
  if (!strcmp(fault, "null_vtable")) entry.vtable = NULL;
  if (!strcmp(fault, "null_create")) entry.create = NULL;
  if (!strcmp(fault, "null_about")) entry.about = NULL;
  if (!strcmp(fault, "other_about")) entry.about = "bat-persona 1\nname = SOMEBODY\nversion";
  if (!strcmp(fault, "small_entry")) entry.size = 16;
  if (!strcmp(fault, "no_receive")) vtable.receive = NULL;
  if (!strcmp(fault, "no_destroy")) vtable.destroy = NULL;
  if (!strcmp(fault, "small_vtable")) vtable.size = 16;
  return &entry;
}
