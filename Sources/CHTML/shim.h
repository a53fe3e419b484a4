// libxml2: its parser of HTML, and its table of named characters. And iconv, by which a document in another encoding becomes UTF-8.
#pragma once
#include <iconv.h>
#include <libxml/HTMLparser.h>
