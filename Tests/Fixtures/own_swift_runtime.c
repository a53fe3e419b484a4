// It looks as a Swift library does that was linked with -static-stdlib: metadata, but no libswiftCore.so.
#define ABOUT_NAME "HERMIT"
#include "fixture.h"
ABOUT;
__attribute__((section("swift5_types"), used)) static const int metadata = 0;
static const persona_vtable vtable = {.size = sizeof(persona_vtable), .destroy = destroy, .receive = receive};
FIXTURE(create, vtable)
