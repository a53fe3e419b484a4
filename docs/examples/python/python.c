/*
 * python.c: a persona whose code is a Python script.
 *
 * The Makefile puts the script into the library, so that to the kernel it is a persona like any other: its about text is read
 * from the file, a script with a mistake is refused in rehearsal with its line, a save makes a new generation, and rollback and
 * shadows work. All personas in Python share one interpreter; each instance has a namespace of its own (kernel.py, then the
 * script). The interpreter lock is taken in each call from the kernel, so they also share one processor.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include "persona.h"
#include "about.h" /* PERSONA_ABOUT(…), of the script's first lines; SCRIPT_NAME */

/* The two texts, each ending in a zero. */
__asm__(".section .rodata\n"
        "bat_script: .incbin \"" SCRIPT_NAME "\"\n .byte 0\n"
        "bat_kernel: .incbin \"" KERNEL_PY "\"\n .byte 0\n"
        ".text\n");
extern const char bat_script[] __attribute__((visibility("hidden")));
extern const char bat_kernel[] __attribute__((visibility("hidden")));

struct persona {
  const persona_host *host;
  const persona_bus_v1 *bus;
  const persona_llm_v1 *llm;
  const persona_state_v1 *state;
  const persona_log_v1 *log;
  const persona_config_v1 *config;
  PyObject *names; /* the script's globals */
};

static persona_text text_of(PyObject *string) {
  Py_ssize_t count = 0;
  const char *bytes = PyUnicode_AsUTF8AndSize(string, &count);
  if (!bytes) PyErr_Clear();
  return (persona_text){bytes, bytes ? (size_t)count : 0};
}

static PyObject *string_of(persona_text text) {
  return PyUnicode_DecodeUTF8(text.bytes ? text.bytes : "", (Py_ssize_t)text.count, "replace");
}

/* ── What kernel.py calls: the first argument is the instance ── */

static persona *instance(PyObject *capsule) { return PyCapsule_GetPointer(capsule, "persona"); }

static PyObject *c_reply(PyObject *module, PyObject *arguments) {
  (void)module;
  PyObject *self, *json;
  unsigned long long token;
  if (!PyArg_ParseTuple(arguments, "OKU", &self, &token, &json)) return NULL;
  persona *p = instance(self);
  return PyLong_FromLong(p->bus->reply(p->host, token, text_of(json)));
}

static PyObject *c_fail(PyObject *module, PyObject *arguments) {
  (void)module;
  PyObject *self, *why;
  unsigned long long token;
  int status;
  if (!PyArg_ParseTuple(arguments, "OKiU", &self, &token, &status, &why)) return NULL;
  persona *p = instance(self);
  return PyLong_FromLong(p->bus->fail(p->host, token, status, text_of(why)));
}

static PyObject *c_stream(PyObject *module, PyObject *arguments) {
  (void)module;
  PyObject *self, *piece;
  unsigned long long token;
  if (!PyArg_ParseTuple(arguments, "OKU", &self, &token, &piece)) return NULL;
  persona *p = instance(self);
  return PyLong_FromLong(p->bus->stream(p->host, token, text_of(piece)));
}

static PyObject *c_send(PyObject *module, PyObject *arguments) {
  (void)module;
  PyObject *self, *target, *method, *json;
  unsigned long long cause;
  if (!PyArg_ParseTuple(arguments, "OKUUU", &self, &cause, &target, &method, &json)) return NULL;
  persona *p = instance(self);
  return PyLong_FromLong(p->bus->send(p->host, cause, text_of(target), text_of(method), text_of(json)));
}

static PyObject *c_log(PyObject *module, PyObject *arguments) {
  (void)module;
  PyObject *self, *line;
  int level;
  if (!PyArg_ParseTuple(arguments, "OiU", &self, &level, &line)) return NULL;
  persona *p = instance(self);
  if (p->log) p->log->write(p->host, level, text_of(line));
  Py_RETURN_NONE;
}

/* Collects what the kernel writes. */
static int32_t append(void *context, const void *bytes, size_t count) {
  PyObject **into = context;
  PyObject *piece = PyBytes_FromStringAndSize(bytes, (Py_ssize_t)count);
  PyBytes_ConcatAndDel(into, piece);
  return *into ? PERSONA_OK : PERSONA_E_FAILED;
}

static PyObject *collected(persona_status status, PyObject *bytes) {
  if (status < 0 || !bytes) {
    Py_XDECREF(bytes);
    PyErr_Clear();
    Py_RETURN_NONE;
  }
  PyObject *text = PyUnicode_DecodeUTF8(PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes), "replace");
  Py_DECREF(bytes);
  return text;
}

static PyObject *c_get(PyObject *module, PyObject *arguments) {
  (void)module;
  PyObject *self, *key;
  if (!PyArg_ParseTuple(arguments, "OU", &self, &key)) return NULL;
  persona *p = instance(self);
  PyObject *bytes = PyBytes_FromStringAndSize(NULL, 0);
  persona_sink sink = {&bytes, append};
  persona_status status = p->state ? p->state->get(p->host, text_of(key), &sink) : PERSONA_E_NOT_FOUND;
  return collected(status, bytes);
}

static PyObject *c_put(PyObject *module, PyObject *arguments) {
  (void)module;
  PyObject *self, *key, *value;
  if (!PyArg_ParseTuple(arguments, "OUU", &self, &key, &value)) return NULL;
  persona *p = instance(self);
  persona_status status = p->state ? p->state->put(p->host, text_of(key), text_of(value)) : PERSONA_E_FAILED;
  if (status < 0) return PyErr_Format(PyExc_RuntimeError, "the kernel does not keep the value (status %d)", status);
  Py_RETURN_NONE;
}

static PyObject *c_config(PyObject *module, PyObject *arguments) {
  (void)module;
  PyObject *self;
  if (!PyArg_ParseTuple(arguments, "O", &self)) return NULL;
  persona *p = instance(self);
  PyObject *bytes = PyBytes_FromStringAndSize(NULL, 0);
  persona_sink sink = {&bytes, append};
  persona_status status = p->config ? p->config->get(p->host, &sink) : PERSONA_E_NOT_FOUND;
  return collected(status, bytes);
}

/* The end of a request: the task that waits for it goes on. On the lane. */
static void ended(void *context, uint64_t request, persona_status status, persona_text result) {
  (void)request;
  PyGILState_STATE lock = PyGILState_Ensure();
  PyObject *task = context;
  PyObject *text = string_of(result);
  PyObject *done = PyObject_CallMethod(task, "step", "((iO))", status, text);
  if (!done) PyErr_WriteUnraisable(task);
  Py_XDECREF(done);
  Py_XDECREF(text);
  Py_DECREF(task);
  PyGILState_Release(lock);
}

static PyObject *c_request(PyObject *module, PyObject *arguments) {
  (void)module;
  PyObject *self, *task, *a, *b, *c;
  const char *kind;
  unsigned long long cause, stream_to;
  if (!PyArg_ParseTuple(arguments, "OKOsUUUK", &self, &cause, &task, &kind, &a, &b, &c, &stream_to)) return NULL;
  persona *p = instance(self);
  uint64_t request;
  persona_status status = PERSONA_E_FAILED;
  Py_INCREF(task);
  if (kind[0] == 'a')
    status = p->bus->ask(p->host, cause, text_of(a), text_of(b), text_of(c), 0, NULL, ended, task, &request);
  else if (p->llm)
    status = p->llm->chat(p->host, cause, text_of(a), stream_to, NULL, ended, task, &request);
  if (status < 0) Py_DECREF(task);
  return PyLong_FromLong(status);
}

static PyMethodDef functions[] = {
    {"reply", c_reply, METH_VARARGS, NULL},   {"fail", c_fail, METH_VARARGS, NULL},       {"stream", c_stream, METH_VARARGS, NULL},
    {"send", c_send, METH_VARARGS, NULL},     {"log", c_log, METH_VARARGS, NULL},         {"get", c_get, METH_VARARGS, NULL},
    {"put", c_put, METH_VARARGS, NULL},       {"config", c_config, METH_VARARGS, NULL},   {"request", c_request, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL}};

/* ── What the kernel calls ── */

/* Several libraries of this kind may begin at once: the lock is one for the process, not one for each. */
static void begin_python(void) {
  char name[64];
  snprintf(name, sizeof name, "/bat-python-%ld", (long)getpid());
  sem_t *lock = sem_open(name, O_CREAT, 0600, 1);
  if (lock != SEM_FAILED) sem_wait(lock);
  if (!Py_IsInitialized()) {
    /* Extension modules look for Python's symbols in the global scope, in which a persona's own libraries are not. */
    Dl_info where;
    if (dladdr((void *)Py_IsInitialized, &where)) dlopen(where.dli_fname, RTLD_NOW | RTLD_GLOBAL);
    Py_InitializeEx(0);
    PyEval_SaveThread();
  }
  if (lock != SEM_FAILED) {
    sem_post(lock);
    sem_close(lock);
    sem_unlink(name);
  }
}

/* Tells the kernel the exception at hand: "oracle.py:3: SyntaxError: invalid syntax". */
static persona_status tell(persona *self, persona_status status) {
  PyObject *kind, *value, *trace;
  PyErr_Fetch(&kind, &value, &trace);
  PyErr_NormalizeException(&kind, &value, &trace);
  char why[512];
  const char *name = kind ? ((PyTypeObject *)kind)->tp_name : "error";
  long line = 0;
  PyObject *number = value ? PyObject_GetAttrString(value, "lineno") : NULL;
  if (number && PyLong_Check(number)) line = PyLong_AsLong(number);
  Py_XDECREF(number);
  for (PyObject *at = trace; at && at != Py_None; at = (PyObject *)((PyTracebackObject *)at)->tb_next) line = ((PyTracebackObject *)at)->tb_lineno;
  PyErr_Clear();
  PyObject *words = value ? PyObject_GetAttrString(value, "msg") : NULL;
  if (!words) {
    PyErr_Clear();
    words = PyObject_Str(value ? value : Py_None);
  }
  const char *said = words ? PyUnicode_AsUTF8(words) : NULL;
  snprintf(why, sizeof why, "%s:%ld: %s: %s", SCRIPT_NAME, line, name, said ? said : "");
  Py_XDECREF(words);
  Py_XDECREF(kind);
  Py_XDECREF(value);
  Py_XDECREF(trace);
  PyErr_Clear();
  self->host->explain(self->host, (persona_text){why, strlen(why)});
  return status;
}

static int run(PyObject *names, const char *code, const char *file) {
  PyObject *compiled = Py_CompileString(code, file, Py_file_input);
  PyObject *done = compiled ? PyEval_EvalCode(compiled, names, names) : NULL;
  Py_XDECREF(compiled);
  Py_XDECREF(done);
  return done != NULL;
}

static void destroy(persona *self) {
  PyGILState_STATE lock = PyGILState_Ensure();
  if (self->names) PyDict_Clear(self->names);
  Py_XDECREF(self->names);
  PyGILState_Release(lock);
  free(self);
}

static persona_status create(const persona_host *host, persona_text config, persona **made) {
  (void)config;
  begin_python();
  persona *self = calloc(1, sizeof *self);
  if (!self) return PERSONA_E_FAILED;
  self->host = host;
  self->bus = host->service(host, "bus/1");
  self->llm = host->service(host, "llm/1");
  self->state = host->service(host, "state/1");
  self->log = host->service(host, "log/1");
  self->config = host->service(host, "config/1");
  PyGILState_STATE lock = PyGILState_Ensure();
  static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_c", NULL, -1, functions, NULL, NULL, NULL, NULL};
  self->names = PyDict_New();
  PyObject *c = PyModule_Create(&definition);
  PyDict_SetItemString(self->names, "__builtins__", PyEval_GetBuiltins());
  PyDict_SetItemString(self->names, "_c", c);
  Py_XDECREF(c);
  PyObject *name = PyUnicode_FromString("persona");
  PyDict_SetItemString(self->names, "__name__", name);
  Py_XDECREF(name);
  int ok = run(self->names, bat_kernel, "kernel.py") && run(self->names, bat_script, SCRIPT_NAME);
  if (ok && !PyDict_GetItemString(self->names, "receive")) {
    PyErr_SetString(PyExc_NameError, "there is no async def receive(gram, kernel)");
    ok = 0;
  }
  if (!ok) tell(self, PERSONA_E_FAILED);
  PyGILState_Release(lock);
  if (!ok) {
    destroy(self);
    return PERSONA_E_FAILED;
  }
  *made = self;
  return PERSONA_OK;
}

static persona_status receive(persona *self, const persona_gram_v1 *gram) {
  PyGILState_STATE lock = PyGILState_Ensure();
  PyObject *host = PyCapsule_New(self, "persona", NULL);
  PyObject *source = string_of(gram->source), *method = string_of(gram->method);
  PyObject *payload = string_of(gram->payload), *topic = string_of(gram->topic);
  PyObject *function = PyDict_GetItemString(self->names, "_receive");
  PyObject *done = PyObject_CallFunction(function, "OKOOOO", host, (unsigned long long)gram->token, source, method, payload, topic);
  persona_status status = done ? PERSONA_LATER : tell(self, PERSONA_E_FAILED);
  Py_XDECREF(done);
  Py_XDECREF(host);
  Py_XDECREF(source);
  Py_XDECREF(method);
  Py_XDECREF(payload);
  Py_XDECREF(topic);
  PyGILState_Release(lock);
  return status;
}

/* Calls _call(host, name, …); its result, or NULL after the kernel was told why. With the interpreter's lock. */
static PyObject *call(persona *self, const char *name, PyObject *state, uint32_t schema) {
  PyObject *host = PyCapsule_New(self, "persona", NULL);
  PyObject *function = PyDict_GetItemString(self->names, "_call");
  PyObject *result = state ? PyObject_CallFunction(function, "OsOI", host, name, state, schema) : PyObject_CallFunction(function, "Os", host, name);
  if (!result) tell(self, PERSONA_E_FAILED);
  Py_XDECREF(host);
  return result;
}

static persona_status plain(persona *self, const char *name) {
  PyGILState_STATE lock = PyGILState_Ensure();
  PyObject *result = call(self, name, NULL, 0);
  persona_status status = result ? PERSONA_OK : PERSONA_E_FAILED;
  Py_XDECREF(result);
  PyGILState_Release(lock);
  return status;
}

static persona_status start(persona *self) { return plain(self, "start"); }
static void stop(persona *self) { plain(self, "stop"); }
static persona_status health(persona *self) { return plain(self, "health"); }

static persona_status save(persona *self, const persona_sink *into) {
  PyGILState_STATE lock = PyGILState_Ensure();
  PyObject *result = call(self, "save", NULL, 0);
  persona_status status = PERSONA_E_FAILED;
  if (result) {
    persona_text text = result == Py_None ? (persona_text){"null", 4} : text_of(result);
    status = into->write(into->context, text.bytes, text.count);
  }
  Py_XDECREF(result);
  PyGILState_Release(lock);
  return status;
}

static persona_status load(persona *self, uint32_t schema, persona_text state) {
  PyGILState_STATE lock = PyGILState_Ensure();
  PyObject *text = string_of(state);
  PyObject *result = call(self, "load", text, schema);
  persona_status status = result ? PERSONA_OK : PERSONA_E_STATE;
  Py_XDECREF(result);
  Py_XDECREF(text);
  PyGILState_Release(lock);
  return status;
}

static const persona_vtable vtable = {.size = sizeof vtable, .destroy = destroy, .receive = receive, .start = start,
                                      .stop = stop, .save = save, .load = load, .health = health};
static const persona_entry entry = {.magic = PERSONA_MAGIC, .size = sizeof entry, .abi_major = PERSONA_ABI_MAJOR,
                                    .abi_minor = PERSONA_ABI_MINOR, .about = persona_about, .vtable = &vtable, .create = create};
const persona_entry *persona_entry_v1(void) { return &entry; }
