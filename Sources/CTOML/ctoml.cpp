#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include "ctoml.h"

#include <toml++/toml.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Walk {
  void *context;
  ctoml_visit visit;

  void report(ctoml_event event, std::string_view text = {}) const {
    event.text = text.data();
    event.text_count = text.size();
    visit(context, &event);
  }

  void value(const toml::node &node, ctoml_event event) const {
    if (auto *table = node.as_table()) {
      event.kind = ctoml_begin_table;
      report(event);
      entries(*table);
      end();
    } else if (auto *array = node.as_array()) {
      event.kind = ctoml_begin_array;
      report(event);
      for (auto &element : *array) value(element, at(element.source()));
      end();
    } else if (auto *string = node.as_string()) {
      event.kind = ctoml_string;
      report(event, string->get());
    } else if (auto *integer = node.as_integer()) {
      event.kind = ctoml_integer;
      event.integer = integer->get();
      report(event);
    } else if (auto *number = node.as_floating_point()) {
      event.kind = ctoml_float;
      event.number = number->get();
      report(event);
    } else if (auto *boolean = node.as_boolean()) {
      event.kind = ctoml_boolean;
      event.integer = boolean->get();
      report(event);
    } else {
      std::ostringstream text;
      if (auto *date = node.as_date()) text << date->get();
      if (auto *time = node.as_time()) text << time->get();
      if (auto *both = node.as_date_time()) text << both->get();
      event.kind = ctoml_date;
      report(event, text.str());
    }
  }

  // toml++ sorts its keys by name; the order of the text is what people meant.
  void entries(const toml::table &table) const {
    std::vector<std::pair<const toml::key *, const toml::node *>> sorted;
    for (auto &&[key, node] : table) sorted.emplace_back(&key, &node);
    std::sort(sorted.begin(), sorted.end(), [](auto &a, auto &b) {
      return a.first->source().begin < b.first->source().begin;
    });
    for (auto &[key, node] : sorted) {
      auto event = at(key->source());
      event.key = key->str().data();
      event.key_count = key->str().size();
      value(*node, event);
    }
  }

  static ctoml_event at(const toml::source_region &source) {
    ctoml_event event{};
    event.line = source.begin.line;
    event.column = source.begin.column;
    return event;
  }

  void end() const {
    ctoml_event event{};
    event.kind = ctoml_end;
    report(event);
  }
};

}  // namespace

extern "C" bool ctoml_parse(const char *text, size_t count, void *context, ctoml_visit visit) {
  Walk walk{context, visit};
  toml::parse_result result = toml::parse(std::string_view{text, count});
  if (result) {
    walk.value(result.table(), Walk::at(result.table().source()));
    return true;
  }
  auto event = Walk::at(result.error().source());
  event.kind = ctoml_error;
  walk.report(event, result.error().description());
  return false;
}
