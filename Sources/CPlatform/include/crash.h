// The last words of a process: one line for a crash, and one for an end that nobody has asked for.
//
// A crash (a bad access, a trap, abort) writes, on the descriptor that was given,
//
//     NAME: crashed: SIGSEGV (bad access) at 0x10 on thread "ROBIN-2", author ROBIN generation 2, code in libROBIN-2-0e88.so
//
// and then goes on to whoever handled the signal before, such as Swift's backtracer. An exit(), quick_exit() or _exit() that was not announced by
// bat_leave() writes "NAME: ended: exit(STATUS) was called on thread …". Everything in the handler is safe in a signal handler: it
// allocates nothing and takes no lock.
#pragma once

// From now on this process reports. Once, before other threads start. `name` stays the caller's and must live as long as the process.
void bat_report_crashes(const char *name, int descriptor);
// Whose code this thread runs, for both lines; at most 95 bytes are kept. Empty: nobody in particular.
void bat_set_author(const char *author);
// A stack of its own for this thread's signal handlers, so that an overflow of its stack can be told. NULL and errno: there is none.
void *bat_make_alternate_stack(void);
void bat_free_alternate_stack(void *stack);
// Ends the process at once, with no word and without handlers of exit(), which may wait for a lock that a library holds.
void bat_leave(int status) __attribute__((noreturn));
