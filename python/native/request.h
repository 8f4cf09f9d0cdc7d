/* SPDX-License-Identifier: Apache-2.0 */
/* request - the two types of ASGI: the middleware that stands before an application, and each
 * request that passes through it. Picture: top of request.c. */
#pragma once
#include "native.h"

enum { PLACES = 1024 };

struct place {
    PyObject *route; /* Owned; NULL: free. */
    int method;
    struct sonde_operation *operation;
};

typedef struct {
    PyObject_HEAD vectorcallfunc call;
    PyObject *app;
    ProfilerObject *profiler;
    PyObject *name_of; /* (scope, application, root, method) -> (name, is it always that) */
    PyObject *other;   /* (scope, receive, send) -> awaitable: what is no HTTP request. */
    struct sonde_operation *unnamed;
    int places_used;
    struct place places[PLACES];
} MiddlewareObject;

typedef struct {
    PyObject_HEAD vectorcallfunc call;
    MiddlewareObject *middleware;
    PyObject *inner; /* The iterator of what the application returned; NULL when it is over. */
    PyObject *scope;
    PyObject *send;
    PyObject *application; /* scope["app"] as it came in, or NULL. */
    PyObject *root;        /* scope["root_path"] as it came in, or NULL. */
    PyObject *token;       /* Of the context that it works in, or NULL. */
    long status;           /* 0: has not answered yet. */
    bool is_begun;
    bool is_span;
    struct sonde_span span; /* Of which only the timer counts unless is_span. */
} RequestObject;

/* Names of the scope and of messages, as str. */
struct native_words {
    PyObject *type;
    PyObject *http;
    PyObject *status;
    PyObject *start;
    PyObject *app;
    PyObject *root_path;
    PyObject *route;
    PyObject *endpoint;
    PyObject *method;
    PyObject *headers;
    PyObject *path;
};

/* middleware.c */
extern struct native_words native_words; /* Made with the first middleware. */
/* Borrowed, or NULL; never an exception. */
PyObject *native_look(PyObject *dict, PyObject *key);
bool native_is_word(PyObject *value, PyObject *word);
/* Methods are numbers, so that none that a stranger invents becomes a name. */
int native_method_of(PyObject *scope);
const char *native_method_name(int method);
/* The operation of a request that is over; never NULL, never an exception. */
struct sonde_operation *native_name_of(RequestObject *self, int method);

/* request.c */
RequestObject *native_request_new(MiddlewareObject *middleware, PyObject *scope, PyObject *send);
