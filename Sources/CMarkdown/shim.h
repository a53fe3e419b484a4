// md4c: the events of a Markdown document.
#pragma once
#include <md4c.h>
