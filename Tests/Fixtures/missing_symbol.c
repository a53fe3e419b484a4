// A library that forgot to export its entry.
#define ABOUT_NAME "NOBODY"
#include "fixture.h"
ABOUT;
int persona_entry_v2(void) { return 2; }
