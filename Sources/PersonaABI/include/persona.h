/*
 * persona.h: the whole contract between the B.A.T. kernel and a persona.
 *
 * A persona is a shared library. It exports one function, persona_entry_v1(), and it includes this
 * file and nothing else of ours. Build one from a single C file with
 *
 *     cc -shared -fPIC -Wl,-z,nodelete -I Sources/PersonaABI/include -o libECHO.so echo.c
 *
 * The idea
 *   The kernel owns everything that must outlive code: sockets, mailboxes, conversation histories,
 *   key-value state, timers, requests in flight. A persona is code. So its code can be replaced
 *   between two messages and nobody who is connected notices.
 *
 * Words
 *   gram        one message: source, target, method, payload. A payload is UTF-8 JSON.
 *   token       the number by which the kernel knows a gram that was handed to you.
 *   lane        the one thread on which the kernel calls an instance. Calls never overlap.
 *   generation  one instance of one version of your library. A reload makes the next one.
 *   service     a table of functions that the kernel offers, asked for by name: "bus/1", "llm/1", "rag/1",
 *               "state/1", "timer/1", "log/1", "config/1". One that is not there is NULL.
 *
 * Threads. Every function below carries one of these tags.
 *   [lane]  the kernel calls it on the instance's lane; or: you may call it only on the lane.
 *   [any]   you may call it on any thread, for as long as your instance is not destroyed; after
 *           that, too, it is safe while the process lives: it returns PERSONA_E_RETIRED.
 *
 * Ownership. A pointer that is passed in is borrowed until the call returns: copy what you keep.
 *   Output goes into a sink that the callee writes to. Nobody frees the other's memory.
 *
 * Names. A target, a method, a topic, a thread and an operation are UTF-8 of at most 256 bytes, a speaker 64, a key of
 *   state/1 4096; anything else is PERSONA_E_INVALID. A text for people is cut at 64 KiB.
 *
 * Errors. A negative status, and a text for people: say with host->explain() what happened, where,
 *   and what to do, and then return the status. Nothing else may cross: no C++ or Swift exception,
 *   no longjmp, no exit().
 *
 * Requests. A function with a `uint64_t *request` starts something that ends later. If it returns
 *   PERSONA_OK, its `done` is called exactly once, on the lane, never inside the starting call. If
 *   it returns an error, `done` is never called. host->cancel() may be called any number of times;
 *   a cancelled request still ends, with PERSONA_E_CANCELLED or with the result that was faster.
 *
 * The life of an instance, each call on its lane:
 *
 *     create ─▶ load? ─▶ start ─▶ ( receive | cancelled | config_changed | health | save | done | job )* ─▶ stop ─▶ destroy
 *
 *   Until the kernel has switched to this generation it is a candidate: what it sends, asks, sets
 *   or publishes in create, load and start is held, carried out after the switch, and dropped
 *   if the switch fails. After the switch to its successor a generation drains: it gets no new
 *   grams, may finish the ones it has, and then its timers and subscriptions are taken away, stop
 *   and destroy are called, and it is retired. Its code stays mapped for ever.
 *   Before all this the kernel rehearses create, load, start, save, stop and destroy in a child
 *   process, where no request ever ends, and lets a second instance load what the first has saved. A
 *   crash or a hang there costs nothing.
 *
 * Compatibility. The major version changes when an old persona could not run any more; the kernel
 *   then refuses it and names both numbers. The minor version changes when functions are appended
 *   to a table: ask PERSONA_HAS(table, field) before you call one that is newer than minor 0.
 *   Your own tables may be shorter or longer than the kernel's: it reads what both of you know.
 *   Structs without a size (texts, sinks, grams) never change: a new layout has a new name.
 *   Minor 1 added bus->progress, bus->declare, bus->ask_through, the key "speaker" of llm->chat and
 *   vtable->cancelled.
 */
#ifndef PERSONA_H
#define PERSONA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if !defined(__clang__) && !defined(_Nullable)
#define _Nullable
#define _Nonnull
#endif

#define PERSONA_MAGIC 0x50544142u /* "BATP" in memory */
#define PERSONA_ABI_MAJOR 1
#define PERSONA_ABI_MINOR 1

/* True if the table, as the other side built it, is large enough to hold the field. */
#define PERSONA_HAS(table, field) \
  ((table) && (table)->size >= offsetof(__typeof__(*(table)), field) + sizeof((table)->field))

/* ── Texts, sinks, statuses ─────────────────────────────────────────────────────────────────── */

/* A run of UTF-8 bytes, not terminated by a zero. Borrowed: see Ownership. `bytes` may be NULL
 * when `count` is 0. */
typedef struct persona_text {
  const char *_Nullable bytes;
  size_t count; /* in bytes */
} persona_text;

/* Where the kernel wants a result to be written: call write() as often as you like, in pieces of
 * any size. It copies. A negative status means that the result has grown over its limit: return it.
 * [lane], and only inside the call that the sink was passed to. */
typedef struct persona_sink {
  void *_Nullable context;
  int32_t (*_Nonnull write)(void *_Nullable context, const void *_Nullable bytes, size_t count);
} persona_sink;

/* 0 or more: it went well. Less: an error, and the kernel has or wants a text for it. */
typedef int32_t persona_status;
enum {
  PERSONA_OK = 0,
  PERSONA_LATER = 1,               /* receive only: the reply comes later, by token */

  PERSONA_E_FAILED = -1,           /* it did not work; the text says why */
  PERSONA_E_INVALID = -2,          /* an argument or a payload is not what the function takes */
  PERSONA_E_RETIRED = -3,          /* this generation has been replaced, or the kernel is stopping */
  PERSONA_E_CANCELLED = -4,        /* the request was cancelled, by you or by whoever asked */
  PERSONA_E_DEADLINE = -5,         /* the time that was allowed is over */
  PERSONA_E_UNKNOWN_TARGET = -6,   /* nobody of that name is here */
  PERSONA_E_QUEUE_FULL = -7,       /* the receiver, or the kernel with what is yours, is not keeping up: it was not taken */
  PERSONA_E_HOP_LIMIT = -8,        /* the message went through too many hands: a loop, most likely */
  PERSONA_E_TOO_LONG = -9,         /* over the frame limit, or over a sink's limit */
  PERSONA_E_UNKNOWN_METHOD = -10,  /* the receiver has no such method */
  PERSONA_E_STATE = -11,           /* load: this state cannot be read (newer schema, or damaged) */
  PERSONA_E_NOT_FOUND = -12,       /* no such key, token or request */
  PERSONA_E_DENIED = -13,          /* it belongs to somebody else who has not shared it */

  PERSONA_E_LLM_UNREACHABLE = -20, /* no model server answers at the address */
  PERSONA_E_LLM_NO_MODEL = -21,    /* the server has no model of that name */
  PERSONA_E_LLM_REFUSED = -22,     /* the server answered with an error status */
  PERSONA_E_LLM_CUT_OFF = -23,     /* the answer broke off in the middle */
  PERSONA_E_LLM_GARBLED = -24,     /* the answer is not what the protocol says */
  PERSONA_E_LLM_TOO_LONG = -25,    /* the question alone does not fit the model's window */
  PERSONA_E_LLM_INVALID = -26,     /* the answer does not have the form that was asked for, also not when told so */
  PERSONA_E_LLM_BUDGET = -27       /* tokens_per_question or tokens_per_day of personas.toml; says when there are more */
};

/* ── Grams ──────────────────────────────────────────────────────────────────────────────────── */

enum {
  PERSONA_GRAM_WANTS_REPLY = 1,  /* somebody waits for the answer to this very gram */
  PERSONA_GRAM_WANTS_STREAM = 2, /* and would like to see it grow: bus->stream() has an effect */
  PERSONA_GRAM_PUBLISHED = 4     /* it came by a topic or a broadcast; nobody waits */
};

/* One message, as it is handed to receive(). Borrowed: only `token` may be kept. */
typedef struct persona_gram_v1 {
  uint64_t token;       /* names it in reply, fail and stream, and as a `cause`; never 0 */
  persona_text source;  /* who sent it; stamped by the kernel, so it is true */
  persona_text method;  /* what is asked for */
  persona_text payload; /* JSON; "null" when the sender gave none */
  persona_text topic;   /* "#weather" when published there, "*" for a broadcast, else empty */
  persona_text trace;   /* an opaque string that follows a conversation through the bus, or empty */
  uint64_t deadline_ms; /* milliseconds left for an answer; 0: no limit */
  uint32_t flags;       /* PERSONA_GRAM_… */
  uint32_t hops;        /* through how many hands it went; the kernel stops it at the limit */
} persona_gram_v1;

/* The end of a request. `result` is the request's JSON result, or the error's text when status is
 * negative. Borrowed. [lane] */
typedef void (*persona_done)(void *_Nullable context, uint64_t request, persona_status status,
                             persona_text result);

/* A piece of a growing result, before its end. Borrowed. [lane] */
typedef void (*persona_part)(void *_Nullable context, uint64_t request, persona_text part);

/* Work that you want to be done on the lane. */
typedef void (*persona_job)(void *_Nullable context);

/* ── The host: what every instance is given ─────────────────────────────────────────────────── */

/* One instance's view of the kernel. It stays valid while the process lives. */
typedef struct persona_host {
  uint32_t size; /* of this table, in bytes */
  uint16_t abi_major, abi_minor;
  void *_Nonnull kernel; /* the kernel's own */

  /* The service of that name, or NULL if this kernel has none. The table stays valid for ever.
   * Unknown names are no error. [any] */
  const void *_Nullable (*_Nonnull service)(const struct persona_host *_Nonnull host,
                                            const char *_Nonnull name);

  /* Says in words why the status that you are about to return is negative. Copied. [lane] */
  void (*_Nonnull explain)(const struct persona_host *_Nonnull host, persona_text why);

  /* Runs job(context) on the lane, after what is queued there already, and never inside this call.
   * If it returns an error, the job will not run and `context` is still yours. [any] */
  persona_status (*_Nonnull post)(const struct persona_host *_Nonnull host, persona_job _Nonnull job,
                                  void *_Nullable context);

  /* Asks a request to end early. Unknown or ended requests are no error. [any] */
  void (*_Nonnull cancel)(const struct persona_host *_Nonnull host, uint64_t request);
} persona_host;

/* ── Services ───────────────────────────────────────────────────────────────────────────────── */
/* A `cause` is the token of the gram on whose behalf you act, or 0. With it, the kernel carries trace,
 * hops and deadline on, cancels your request when the one who asked has gone, and can stop loops.
 * What waits for the kernel on your behalf is bounded (65,536 calls, 64 MiB), and so are posted jobs and open
 * requests (65,536 each). Beyond that, every function that hands something over returns PERSONA_E_QUEUE_FULL, has
 * taken nothing, and calls nobody back: wait, and call again. */

/* "bus/1": messages. All [any]. */
typedef struct persona_bus_v1 {
  uint32_t size;

  /* Answers a gram, once, and ends its token. `payload` empty: it is done, and there is nothing to
   * say. A generation that drains may still reply. PERSONA_E_NOT_FOUND: the token has ended (it was
   * answered, or the asker has gone or has run out of time). */
  persona_status (*_Nonnull reply)(const persona_host *_Nonnull host, uint64_t token, persona_text payload);

  /* Ends a gram's token with an error instead; `why` is shown to the one who asked. */
  persona_status (*_Nonnull fail)(const persona_host *_Nonnull host, uint64_t token, persona_status status,
                                  persona_text why);

  /* Sends a piece of plain text (not JSON) ahead of the reply, to an asker who wants to see it
   * grow; nothing happens for one who does not. Pieces may be merged. The reply holds the whole. */
  persona_status (*_Nonnull stream)(const persona_host *_Nonnull host, uint64_t token, persona_text piece);

  /* Sends a gram for which no answer is wanted. `target` is a name, "*" for everybody else, or
   * "#topic" for its subscribers. That nobody has the name is logged. */
  persona_status (*_Nonnull send)(const persona_host *_Nonnull host, uint64_t cause, persona_text target,
                                  persona_text method, persona_text payload);

  /* Asks, and gets exactly one done: the payload of the reply, or an error. `deadline_ms` 0 takes
   * what is left of the cause's deadline, or the kernel's default. `part` (may be NULL) gets the
   * pieces that the other streams. */
  persona_status (*_Nonnull ask)(const persona_host *_Nonnull host, uint64_t cause, persona_text target,
                                 persona_text method, persona_text payload, uint64_t deadline_ms,
                                 persona_part _Nullable part, persona_done _Nonnull done,
                                 void *_Nullable context, uint64_t *_Nonnull request);

  /* From now on (for a candidate: from the switch on) grams sent to "#topic" come to receive().
   * Subscriptions belong to the generation: subscribe in start(). */
  persona_status (*_Nonnull subscribe)(const persona_host *_Nonnull host, persona_text topic);
  persona_status (*_Nonnull unsubscribe)(const persona_host *_Nonnull host, persona_text topic);

  /* ── Since minor 1 ── */

  /* Shows one step of the work on a gram, ahead of the reply, to an asker who wants to see the answer
   * grow; nothing happens for one who does not. `step` is a JSON object (else PERSONA_E_INVALID) of at
   * most 64 KiB (else PERSONA_E_TOO_LONG). Its "kind" says what else is in it:
   *   "plan"    "text", or "steps": an array of what is going to be done
   *   "part"    "text": a piece of the answer as stream() sends it, "speaker": whose words they are.
   *             So several voices can be shown under one answer. No speaker: your own words
   *   "status"  "text": what is being done now; it takes the place of the status before
   *   "tool"    "name": what is called, "text": with what, or what came of it
   *   "note"    "text": what the asker should know, and what is not part of the answer
   * Other keys and kinds are passed on as they are; whoever does not know them ignores them. Steps and
   * pieces arrive in the order of the calls. */
  persona_status (*_Nonnull progress)(const persona_host *_Nonnull host, uint64_t token, persona_text step);

  /* Declares the methods that you can be asked for beside those of the about text: an array of
   * {"name","summary","takes","gives"}, with JSON schemas as objects in the last two, which may be left
   * out. The limits are those of the about text; on PERSONA_E_INVALID the log says what is wrong. Tools,
   * clients and personas.show see them like the others; one of the same name takes the other's place.
   * Each call replaces what was declared before; "[]" declares nothing. They belong to the generation;
   * those of a candidate count from the switch on. */
  persona_status (*_Nonnull declare)(const persona_host *_Nonnull host, persona_text methods);

  /* Asks like ask(), and shows what the other streams to the one who asked for `cause`, as it comes: each
   * piece of text as a "part" by `speaker`, and each step as it is, with `speaker` in it if it names none.
   * `part` (may be NULL) gets the pieces of text too. The reply comes to done alone. */
  persona_status (*_Nonnull ask_through)(const persona_host *_Nonnull host, uint64_t cause, persona_text speaker,
                                         persona_text target, persona_text method, persona_text payload,
                                         uint64_t deadline_ms, persona_part _Nullable part,
                                         persona_done _Nonnull done, void *_Nullable context,
                                         uint64_t *_Nonnull request);
} persona_bus_v1;

/* "llm/1": the language model. [any] */
typedef struct persona_llm_v1 {
  uint32_t size;

  /* Asks the model. `question` is a JSON object:
   *   "text"      what to say to it now
   *   "thread"    the conversation; the kernel keeps its history, for this persona and over restarts.
   *               Default "main"
   *   "remember"  false: neither read nor extend the history. Default true
   *   "system"    the system prompt. Default: `prompt` of personas.toml
   *   "messages"  [{"role","content"}…] to use instead of the history
   *   "provider"  a name of personas.toml, in the place of the persona's
   *   "model", "temperature", "max_tokens", "seed", "stop" (strings), "format" ("json" or a schema)
   *   "tools"     ["BABS.observe", "ALFRED.*"]: methods of other personas, as their about texts describe them, which
   *               the model may call. The kernel asks them on behalf of `cause`, at most 8 at once, and gives the
   *               model their replies or errors; "tool_rounds" (default 4) times, then it must answer
   *   "speaker"   since minor 1: the pieces that go to `stream_to` are parts by this speaker, as bus->progress() describes them
   * `stream_to` is a token: the pieces also go straight to the one who asked for that gram; or 0.
   * `part` may be NULL. The result is a JSON object: "text", "provider" and "model" (that answered,
   * which may be a fallback; then "fallback_from" is who was to), "finish" ("stop" or "length"), "prompt_tokens", "completion_tokens",
   * "json" (the answer, where "format" asked for JSON or a schema: it is checked here, and the model is told
   * once what is wrong; no piece is handed out before), "forgotten_turns" (that did not fit the window), "summarised_turns" (for so many of them a summary went
   * along), "tool_calls" ([{"tool","arguments","result" or "error" {"code","message"},"ms"}], if there were
   * any), "history_failed" (true: the conversation could not be read or kept; the answer is good). */
  persona_status (*_Nonnull chat)(const persona_host *_Nonnull host, uint64_t cause, persona_text question,
                                  uint64_t stream_to, persona_part _Nullable part, persona_done _Nonnull done,
                                  void *_Nullable context, uint64_t *_Nonnull request);

  /* Forgets one conversation of this persona. An unknown one is no error. */
  persona_status (*_Nonnull forget)(const persona_host *_Nonnull host, persona_text thread);
} persona_llm_v1;

/* "rag/1": the memory that all share: collections of documents, found by their words and their meaning. [any] */
typedef struct persona_rag_v1 {
  uint32_t size;

  /* Does one operation; `arguments` and the result are JSON objects, docs/MEMORY.md describes them:
   *   "query"   {"collection","text","limit"?,"where"?} gives {"passages":[{"id","text","score","source","place","metadata"}…]}
   *   "add", "upsert", "update" {"collection","documents":[{"id","text","metadata"}…]}
   *   "get", "delete", "count", "peek", "forget", and "create", "list", "drop" for collections
   * A persona sees its own collections and those that are shared with it. What a query made for the gram `cause`
   * finds is cited in the reply to that gram: the kernel adds "citations" to a reply that is an object and has none.
   * Without an embedding model words alone are searched. */
  persona_status (*_Nonnull perform)(const persona_host *_Nonnull host, uint64_t cause, persona_text operation,
                                     persona_text arguments, persona_done _Nonnull done, void *_Nullable context,
                                     uint64_t *_Nonnull request);
} persona_rag_v1;

/* "state/1": values that survive a reload without save and load. Kept for the persona's name, by the
 * kernel, for as long as it runs; also while the persona is unloaded. All [any]. */
typedef struct persona_state_v1 {
  uint32_t size;
  /* Writes the value to `into`; PERSONA_E_NOT_FOUND if there is none. */
  persona_status (*_Nonnull get)(const persona_host *_Nonnull host, persona_text key,
                                 const persona_sink *_Nonnull into);
  /* Sets a value; it is seen by the next get. Values of one persona together: at most 16 MiB, or
   * PERSONA_E_TOO_LONG and nothing is changed. A candidate's put is held until the switch. */
  persona_status (*_Nonnull put)(const persona_host *_Nonnull host, persona_text key, persona_text value);
  /* Removes a value. That there was none is no error. */
  persona_status (*_Nonnull remove)(const persona_host *_Nonnull host, persona_text key);
  /* Writes the keys that begin with `prefix`, sorted, as a JSON array. */
  persona_status (*_Nonnull keys)(const persona_host *_Nonnull host, persona_text prefix,
                                  const persona_sink *_Nonnull into);
} persona_state_v1;

/* "timer/1": one-shot timers. [any] */
typedef struct persona_timer_v1 {
  uint32_t size;
  /* Calls done after that many milliseconds, with PERSONA_OK and an empty result. Late is possible,
   * early is not. The timer belongs to the generation and ends with it (PERSONA_E_RETIRED). */
  persona_status (*_Nonnull after)(const persona_host *_Nonnull host, uint64_t milliseconds,
                                   persona_done _Nonnull done, void *_Nullable context,
                                   uint64_t *_Nonnull request);
} persona_timer_v1;

enum { PERSONA_LOG_DEBUG = 0, PERSONA_LOG_INFO = 1, PERSONA_LOG_WARNING = 2, PERSONA_LOG_ERROR = 3 };

/* "log/1": the kernel's log. [any] */
typedef struct persona_log_v1 {
  uint32_t size;
  /* Writes one line under the persona's name. An unknown level is taken for an error. */
  void (*_Nonnull write)(const persona_host *_Nonnull host, int32_t level, persona_text line);
} persona_log_v1;

/* "config/1": the persona's own part of personas.toml. [any] */
typedef struct persona_config_v1 {
  uint32_t size;
  /* Writes it as the JSON object that create() was given, or as it is now, if it has changed. */
  persona_status (*_Nonnull get)(const persona_host *_Nonnull host, const persona_sink *_Nonnull into);
} persona_config_v1;

/* ── What you provide ───────────────────────────────────────────────────────────────────────── */

/* One instance; the struct is yours to define, the kernel only passes the pointer. */
typedef struct persona persona;

/* The functions of an instance. All are called on its lane, one at a time. They should return within
 * milliseconds: what takes longer is a request, or your own thread that comes back by post(). */
typedef struct persona_vtable {
  uint32_t size; /* sizeof(persona_vtable) as you were compiled */

  /* Frees the instance. No call follows. Your own threads must have ended. Required. */
  void (*_Nullable destroy)(persona *_Nonnull self);

  /* Handles one gram. PERSONA_OK: done (if you have not replied, the asker gets a reply of null);
   * PERSONA_LATER: you will end the token by reply() or fail(), and the kernel waits for that when
   * it drains you; an error: the asker gets it, with the text of explain(). Required. */
  persona_status (*_Nullable receive)(persona *_Nonnull self, const persona_gram_v1 *_Nonnull gram);

  /* Everything is ready; subscribe, set timers. An error, or no return within the limit, refuses
   * the load, and the generation before goes on. Optional. */
  persona_status (*_Nullable start)(persona *_Nonnull self);

  /* The last words before destroy: cancel your requests, end your threads. Optional. */
  void (*_Nullable stop)(persona *_Nonnull self);

  /* personas.toml has changed in this persona's part. An error is logged; you keep what you have. Optional. */
  persona_status (*_Nullable config_changed)(persona *_Nonnull self, persona_text config);

  /* Writes what the next generation must know, in the schema of your about text. It is called
   * between two grams, on the lane, also while grams wait that you have answered with PERSONA_LATER and
   * while requests are open: they stay yours, and you may still answer them. But nothing that you change
   * in your own memory after save() has returned reaches the next generation. Put what must not be lost
   * into state/1 at the moment that it happens. At most 64 MiB. Optional: no save, no state. */
  persona_status (*_Nullable save)(persona *_Nonnull self, const persona_sink *_Nonnull into);

  /* Reads what a generation wrote; `schema` is the number that it wrote it in, at least `reads` of
   * your about text. An error refuses the reload. Called before start, and only if there is a state. Optional. */
  persona_status (*_Nullable load)(persona *_Nonnull self, uint32_t schema, persona_text state);

  /* PERSONA_OK, or an error and explain(): asked now and then, and more often in a new generation's
   * trial, where an error brings the old one back. Optional. */
  persona_status (*_Nullable health)(persona *_Nonnull self);

  /* Tables of yours that a later kernel may ask for by name; NULL for names that you do not know. Optional. */
  const void *_Nullable (*_Nullable extension)(persona *_Nonnull self, const char *_Nonnull name);

  /* ── Since minor 1 ── */

  /* Nobody waits any more for the gram that receive() answered with PERSONA_LATER: the asker has gone, has
   * taken it back, or has run out of time, or your own time to drain is over. The token has ended, and what you
   * began on its behalf is being cancelled. Stop what you do for it. Called at most once for a token, after
   * receive() has returned. Optional. */
  void (*_Nullable cancelled)(persona *_Nonnull self, uint64_t token);
} persona_vtable;

/* The entry: what persona_entry_v1() returns a pointer to. It must stay valid for ever. */
typedef struct persona_entry {
  uint32_t magic;                /* PERSONA_MAGIC */
  uint32_t size;                 /* sizeof(persona_entry) as you were compiled */
  uint16_t abi_major, abi_minor; /* PERSONA_ABI_MAJOR, PERSONA_ABI_MINOR */
  uint32_t reserved;             /* 0 */

  /* The about text, ending in a zero: the same bytes that stand in the file. */
  const char *_Nonnull about;
  const persona_vtable *_Nonnull vtable;

  /* Makes an instance and stores it to `self`. `config` is a JSON object: "name" (which may differ
   * from the about text's, when one library serves several personas), "summary", "prompt",
   * whatever else its part of personas.toml holds, and the defaults of the keys that the about text declares. [lane] */
  persona_status (*_Nonnull create)(const persona_host *_Nonnull host, persona_text config,
                                    persona *_Nullable *_Nonnull self);
} persona_entry;

/*
 * The about text stands in your library as one string constant, so that the kernel can read it from
 * the file without running a line of yours. It begins with the line "bat-persona 1", and goes on in
 * lines of "key = value":
 *
 *     name     the persona's id: a letter, then letters, digits, '-', '_', at most 64 (required)
 *     version  yours, for people, at most 64 bytes (required)
 *     summary  one line, at most 200 bytes
 *     talk     the method by which people talk to it, one word. Default: "talk"
 *     state    "N" or "N reads M": save() writes schema N, load() reads M to N. Default: no state
 *     needs    services without which it cannot work, separated by blanks; else it is refused
 *     wants    services that it uses when they are there
 *     config.K a key K of personas.toml that it reads: "type, default, one line". The type is string, integer, number,
 *              boolean, strings (an array of them), table or any; the default is JSON, or `none`, or `required`. As in
 *                  config.limit = integer, 5, how many it tells at a time
 *              create() and config/1 get a value of that type: the line in personas.toml, else the default. A line of
 *              another type, and one that is declared nowhere, is refused where the file is read
 *     config   "none": it reads no keys but those of every persona. With neither, every line of the file is let pass
 *     method.M what the method M does, one line: for people, and for models that are offered it as a tool
 *     takes.M  the JSON schema of M's payload, on one line
 *     gives.M  the JSON schema of M's reply, on one line
 *
 * At most 64 KiB; config.K stands as often as there are keys, method.M and its two companions as often as there are methods,
 * the others once. Unknown keys are ignored, so that the text can grow. In C:
 *
 *     PERSONA_ABOUT("bat-persona 1\n"
 *                   "name = ECHO\n"
 *                   "version = 1.0\n"
 *                   "summary = Says what it hears\n");
 *
 * defines `persona_about`, the pointer for persona_entry.about.
 */
#define PERSONA_ABOUT(text) static const char persona_about[] __attribute__((used)) = text

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
/* The one exported function. It is called once for each time that the library is opened, and must do
 * nothing but return the pointer. [any] */
const persona_entry *_Nonnull persona_entry_v1(void);

#ifdef __cplusplus
}
#endif
#endif
