/* SPDX-License-Identifier: Apache-2.0 */
/* native - what the files of the extension share: its five types and how they reach each other.
 *
 * All of it runs with the interpreter's lock held, unless a comment says otherwise. Functions that
 * return an object return a new reference, or NULL with an exception set. */
#pragma once
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "sonde/sonde.h"

#include <stdatomic.h>
#include <stdbool.h>

typedef struct {
    PyObject_HEAD struct sonde *sonde;
    PyObject *collectors;       /* A list of callables, or NULL. */
    uint64_t failed_collectors; /* By their place in the list: raised an exception before. */
    bool is_registered;         /* libsonde calls us for them once a second. */
    atomic_bool collects;       /* There are any: read without the interpreter's lock. */
    bool has_endpoint;          /* Attributes are worth writing down only for who sends them. */
} ProfilerObject;

/* Where one is in a trace, and what travels along: immutable. */
typedef struct {
    PyObject_HEAD struct sonde_context context;
    PyObject *trace_state; /* A str, or NULL. */
    PyObject *baggage;     /* Likewise. */
} ContextObject;

extern PyTypeObject ContextType;
extern PyTypeObject MiddlewareType;
extern PyTypeObject ProfilerType;
extern PyTypeObject RequestType;
extern PyTypeObject SpanType;
extern PyTypeObject TimerType;

/* profiler._decorate: (open, arguments, function) -> function, where open(*arguments) gives what
 * is entered around each call. Set by that module. */
extern PyObject *native_decorate;
/* propagation.extract: (headers) -> Context or None, where more than W3C's headers are to be read;
 * else NULL. */
extern PyObject *native_extract;

/* context.c */
extern PyObject *native_context_variable; /* The ContextVar that holds a Context, or None. */
bool native_context_init(PyObject *module);
/* The Context at work here: borrowed for as long as nobody sets another; NULL: none. */
ContextObject *native_context_now(void);
/* Keeps trace_state and baggage of the other, which may be NULL. */
ContextObject *native_context_new(const struct sonde_context *context, const ContextObject *other);
/* From a list of pairs of bytes, as ASGI has them; NULL without an exception: they say nothing. */
ContextObject *native_context_read(PyObject *headers);
/* Sets it, and returns what native_context_leave wants; NULL with an exception. */
PyObject *native_context_enter(ContextObject *context);
/* Takes the token. Elsewhere than it was entered nothing is put back, which is no error: a
 * generator that is closed by the garbage collector ends in someone else's context. */
void native_context_leave(PyObject *token);

/* timer.c */
PyObject *native_timer_new(ProfilerObject *profiler, PyObject *name, PyObject *metadata);

/* span.c */
PyObject *native_span_new(ProfilerObject *profiler, PyObject *arguments, PyObject *keywords);
/* Whether attributes of this profiler's spans go anywhere. */
bool native_is_sent(const ProfilerObject *profiler);
/* Notes a value of any type; false with an exception. */
bool native_note(struct sonde_span *span, const char *key, PyObject *value);
/* The exception that is set now fails the span, and stays set. */
void native_fail(struct sonde_span *span, bool is_sent);

/* llm.c */
/* Fields by name into call; texts are borrowed from the dict. False with an exception. */
bool native_llm_read(PyObject *fields, struct sonde_llm_call *call);
