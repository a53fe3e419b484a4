// libxml2: its parser of HTML, and its table of named characters.
#pragma once
#include <libxml/HTMLparser.h>
