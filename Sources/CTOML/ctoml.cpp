#include <setjmp.h>

// toml++ 3.3 asserts what some texts break ("[#]"), and an assertion that fails would end the kernel. Here it ends the parse.
static thread_local jmp_buf *assertion;
#define TOML_ASSERT(condition) \
  do { \
    if (!(condition)) longjmp(*assertion, 1); \
  } while (false)
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include "ctoml.h"

#include <toml++/toml.h>

#include <algorithm>
#include <memory>
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

// Parses, and returns false where an assertion of toml++ fails. What has been made until then is left behind: nobody can say what of it is
// whole. The text's length bounds that.
bool parse(std::string_view text, toml::parse_result *&result) {
  jmp_buf here;
  assertion = &here;
  if (setjmp(here) != 0) return false;
  result = new toml::parse_result{toml::parse(text)};
  return true;
}

bool fails(std::string_view text) {
  toml::parse_result *result = nullptr;
  if (!parse(text, result)) return true;
  delete result;
  return false;
}

// The line at which the parser fails, from 1. It reads from front to back, so it fails with every text that ends behind that line, and with
// none that ends before it.
uint32_t failing_line(std::string_view text) {
  std::vector<size_t> ends;
  for (size_t i = 0; i < text.size(); i++)
    if (text[i] == '\n' || i + 1 == text.size()) ends.push_back(i + 1);
  size_t low = 0, high = ends.empty() ? 0 : ends.size() - 1;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (fails(text.substr(0, ends[middle]))) high = middle; else low = middle + 1;
  }
  return static_cast<uint32_t>(low + 1);
}

// Keys of many parts, and brackets in brackets. The parser's tables are freed by recursion, also when the text is wrong further down, so
// the text must be looked at before: a level takes a kilobyte of stack. Strings and comments are passed over as the parser does; where it
// would stop because of an error, it does not matter what is found behind that.
class Shape {
 public:
  static constexpr size_t most = 16;

  explicit Shape(std::string_view text) : text(text) {}

  // What is too deep; nullptr: nothing.
  const char *refusal(ctoml_event &event) {
    size_t dots = 0, brackets = 0;
    while (at < text.size()) {
      const char *why = nullptr;
      switch (text[at]) {
        case '#': skip_to("\n"); continue;
        case '"': case '\'': skip_string(); continue;
        case '\n': line++; line_start = at + 1; dots = 0; break;
        case '=': case ',': dots = 0; break;
        case '[': case '{': dots = 0; if (++brackets > most) why = "brackets stand in each other more than 16 deep"; break;
        case ']': case '}': dots = 0; if (brackets > 0) brackets--; break;
        case '.': if (++dots >= most) why = "a key has more than 16 parts"; break;
        default: break;
      }
      if (why) {
        event.line = line;
        event.column = static_cast<uint32_t>(std::count_if(text.begin() + line_start, text.begin() + at, starts_code_point) + 1);
        return why;
      }
      at++;
    }
    return nullptr;
  }

 private:
  std::string_view text;
  size_t at = 0, line_start = 0;
  uint32_t line = 1;

  static bool starts_code_point(char byte) { return (byte & 0xc0) != 0x80; }

  void skip_to(std::string_view end) { at = std::min(text.find(end, at), text.size()); }

  void skip_string() {
    char quote = text[at];
    bool is_long = text.substr(at, 3) == std::string(3, quote);
    at += is_long ? 3 : 1;
    while (at < text.size()) {
      char byte = text[at];
      if (byte == '\n') {
        if (!is_long) return;
        line++;
        line_start = at + 1;
      }
      if (byte == '\\' && quote == '"') {
        at++;
        if (at < text.size() && text[at] == '\n') continue;
      } else if (byte == quote && (!is_long || text.substr(at, 3) == std::string(3, quote))) {
        at += is_long ? 3 : 1;
        // A long string may end in up to two quotes of its own.
        for (int own = 0; is_long && own < 2 && at < text.size() && text[at] == quote; own++) at++;
        return;
      }
      at++;
    }
  }
};

}  // namespace

extern "C" bool ctoml_parse(const char *bytes, size_t count, void *context, ctoml_visit visit) {
  Walk walk{context, visit};
  std::string_view text{bytes, count};
  auto refuse = [&](ctoml_event event, std::string_view why) {
    event.kind = ctoml_error;
    walk.report(event, why);
    return false;
  };
  ctoml_event place{};
  if (const char *why = Shape{text}.refusal(place)) return refuse(place, why);
  toml::parse_result *parsed = nullptr;
  if (!parse(text, parsed)) {
    place.line = failing_line(text);
    place.column = 1;
    return refuse(place, "this line is not TOML");
  }
  std::unique_ptr<toml::parse_result> result{parsed};
  if (!*result) return refuse(Walk::at(result->error().source()), result->error().description());
  walk.value(result->table(), Walk::at(result->table().source()));
  return true;
}
