// A persona that was compiled before persona.h 1.1: echo.c, with the header of that time.
#include "persona-1.0.h"
#include "echo.c"
