/* SPDX-License-Identifier: Apache-2.0 */
/* What stands before an application: it makes a Request of each HTTP request, hands on what is
 * none, and names what is over.
 *
 * A request is named at its end, for only then the scope tells which route took it. Names are found
 * by Python (asgi._name) once per route and method, then kept in `places`, a hash table from the
 * route to libsonde's operation. Routes are held there, so that none's address is given to another.
 * When the table is full Python is asked each time. */
#include "request.h"

#include <stddef.h>
#include <string.h>

enum { PLACES_USED_MAX = PLACES / 2 };

static const char *const methods[] = {"GET",  "POST",    "PUT",   "DELETE", "PATCH",
                                      "HEAD", "OPTIONS", "QUERY", "OTHER"};

enum { METHODS = sizeof(methods) / sizeof(methods[0]), METHOD_OTHER = METHODS - 1 };

struct native_words native_words;

static const struct {
    PyObject **place;
    const char *text;
} words[] = {
    {&native_words.type, "type"},     {&native_words.http, "http"},
    {&native_words.status, "status"}, {&native_words.start, "http.response.start"},
    {&native_words.app, "app"},       {&native_words.root_path, "root_path"},
    {&native_words.route, "route"},   {&native_words.endpoint, "endpoint"},
    {&native_words.method, "method"}, {&native_words.headers, "headers"},
    {&native_words.path, "path"},
};

static bool words_ready(void)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (*words[i].place == NULL)
            *words[i].place = PyUnicode_InternFromString(words[i].text);
        if (*words[i].place == NULL)
            return false;
    }
    return true;
}

PyObject *native_look(PyObject *dict, PyObject *key)
{
    PyObject *value = PyDict_GetItemWithError(dict, key);

    if (value == NULL)
        PyErr_Clear(); /* A key that cannot be compared is not there. */
    return value;
}

bool native_is_word(PyObject *value, PyObject *word)
{
    return value == word || (value != NULL && PyUnicode_Check(value) &&
                             PyUnicode_GET_LENGTH(value) == PyUnicode_GET_LENGTH(word) &&
                             PyUnicode_Compare(value, word) == 0);
}

const char *native_method_name(int method)
{
    return methods[method];
}

/* ---- Names. ---- */

int native_method_of(PyObject *scope)
{
    PyObject *method = native_look(scope, native_words.method);
    const char *text = method == NULL || !PyUnicode_Check(method) ? NULL : PyUnicode_AsUTF8(method);

    for (int i = 0; text != NULL && i < METHOD_OTHER; i++) {
        if (strcmp(text, methods[i]) == 0)
            return i;
    }
    PyErr_Clear(); /* A method that is no text is another. */
    return METHOD_OTHER;
}

/* The place of the route, or the free one where it would stand. */
static struct place *place_of(MiddlewareObject *middleware, PyObject *route, int method)
{
    size_t at = ((uintptr_t)route >> 4) * 31 + (size_t)method;

    for (;; at++) {
        struct place *place = &middleware->places[at % PLACES];
        if (place->route == NULL || (place->route == route && place->method == method))
            return place;
    }
}

static bool is_root_same(const RequestObject *self)
{
    PyObject *now = native_look(self->scope, native_words.root_path);

    if (now == self->root)
        return true;
    return now != NULL && self->root != NULL && PyUnicode_Check(now) &&
           PyUnicode_Check(self->root) && PyUnicode_Compare(now, self->root) == 0;
}

/* What Python says, kept when it says that this is so each time. */
static struct sonde_operation *ask_name(RequestObject *self, struct place *place, PyObject *route,
                                        int method)
{
    MiddlewareObject *middleware = self->middleware;
    struct sonde_operation *operation = NULL;
    PyObject *application = self->application == NULL ? middleware->app : self->application;
    PyObject *told = PyObject_CallFunction(middleware->name_of, "OOOs", self->scope, application,
                                           self->root == NULL ? Py_None : self->root,
                                           native_method_name(method));

    if (told != NULL && PyTuple_Check(told) && PyTuple_GET_SIZE(told) == 2 &&
        PyUnicode_Check(PyTuple_GET_ITEM(told, 0))) {
        const char *name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(told, 0));
        operation = name == NULL ? NULL : sonde_operation(middleware->profiler->sonde, name);
        if (operation != NULL && route != NULL && PyTuple_GET_ITEM(told, 1) == Py_True &&
            place->route == NULL && middleware->places_used < PLACES_USED_MAX) {
            Py_INCREF(route);
            *place = (struct place){route, method, operation};
            middleware->places_used++;
        }
    }
    PyErr_Clear(); /* Whatever a router of another kind does, the answer is not at stake. */
    Py_XDECREF(told);
    return operation == NULL ? middleware->unnamed : operation;
}

struct sonde_operation *native_name_of(RequestObject *self, int method)
{
    PyObject *route = native_look(self->scope, native_words.route);
    bool is_known = false;
    struct place *place = NULL;

    if (route == NULL || route == Py_None)
        route = native_look(self->scope, native_words.endpoint);
    if (route != NULL && route != Py_None) {
        place = place_of(self->middleware, route, method);
        is_known = place->route != NULL && is_root_same(self);
    } else {
        route = NULL;
    }
    return is_known ? place->operation : ask_name(self, place, route, method);
}

/* ---- The type. ---- */

/* The iterator behind an awaitable. Takes the reference. */
static PyObject *iterator_of(PyObject *awaitable)
{
    if (PyCoro_CheckExact(awaitable))
        return awaitable;
    PyAsyncMethods *methods_async = Py_TYPE(awaitable)->tp_as_async;
    PyObject *iterator = NULL;
    if (methods_async == NULL || methods_async->am_await == NULL)
        PyErr_Format(PyExc_TypeError, "the application returned %s, which cannot be awaited",
                     Py_TYPE(awaitable)->tp_name);
    else
        iterator = methods_async->am_await(awaitable);
    Py_DECREF(awaitable);
    return iterator;
}

static PyObject *middleware_call(PyObject *callable, PyObject *const *arguments, size_t flags,
                                 PyObject *names)
{
    MiddlewareObject *self = (MiddlewareObject *)callable;

    if (PyVectorcall_NARGS(flags) != 3 || (names != NULL && PyTuple_GET_SIZE(names) > 0))
        return PyErr_Format(PyExc_TypeError, "an ASGI application takes scope, receive and send");
    PyObject *scope = arguments[0];
    if (!PyDict_Check(scope) ||
        !native_is_word(native_look(scope, native_words.type), native_words.http))
        return PyObject_Vectorcall(self->other, arguments, 3, NULL);
    RequestObject *request = native_request_new(self, scope, arguments[2]);
    if (request == NULL)
        return NULL;
    PyObject *inner_arguments[] = {NULL, scope, arguments[1], (PyObject *)request};
    PyObject *inner = PyObject_Vectorcall(self->app, inner_arguments + 1,
                                          3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    request->inner = inner == NULL ? NULL : iterator_of(inner);
    if (request->inner == NULL)
        Py_CLEAR(request);
    return (PyObject *)request;
}

static PyObject *middleware_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"app", "profiler", "name_of", "other", NULL};
    PyObject *app;
    PyObject *profiler;
    PyObject *name_of;
    PyObject *other;

    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO!OO:Middleware", names, &app,
                                     &ProfilerType, &profiler, &name_of, &other) ||
        !words_ready())
        return NULL;
    if (((ProfilerObject *)profiler)->sonde == NULL)
        return PyErr_Format(PyExc_RuntimeError, "the profiler was never opened");
    MiddlewareObject *self = (MiddlewareObject *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    Py_INCREF(app);
    Py_INCREF(profiler);
    Py_INCREF(name_of);
    Py_INCREF(other);
    self->call = middleware_call;
    self->app = app;
    self->profiler = (ProfilerObject *)profiler;
    self->name_of = name_of;
    self->other = other;
    self->unnamed = sonde_operation(self->profiler->sonde, "http.server.request");
    return (PyObject *)self;
}

static int middleware_traverse(MiddlewareObject *self, visitproc visit, void *arg)
{
    Py_VISIT(self->app);
    Py_VISIT(self->profiler);
    Py_VISIT(self->name_of);
    Py_VISIT(self->other);
    for (size_t i = 0; i < PLACES; i++)
        Py_VISIT(self->places[i].route);
    return 0;
}

static int middleware_clear(MiddlewareObject *self)
{
    for (size_t i = 0; i < PLACES; i++)
        Py_CLEAR(self->places[i].route);
    Py_CLEAR(self->app);
    Py_CLEAR(self->name_of);
    Py_CLEAR(self->other);
    return 0; /* The profiler stays: a request may be under way. */
}

static void middleware_dealloc(MiddlewareObject *self)
{
    PyObject_GC_UnTrack(self);
    (void)middleware_clear(self); /* Cannot fail. */
    Py_CLEAR(self->profiler);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

PyTypeObject MiddlewareType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "sonde._native.Middleware",
    .tp_doc = "Times each HTTP request of an ASGI application; hands on what is none.",
    .tp_basicsize = sizeof(MiddlewareObject),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(MiddlewareObject, call),
    .tp_call = PyVectorcall_Call,
    .tp_new = middleware_new,
    .tp_free = PyObject_GC_Del,
    .tp_dealloc = (destructor)middleware_dealloc,
    .tp_traverse = (traverseproc)middleware_traverse,
    .tp_clear = (inquiry)middleware_clear,
};
