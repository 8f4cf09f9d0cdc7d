/* SPDX-License-Identifier: Apache-2.0 */
/* ASGI in C: what stands between a server and an application costs each request, so it is one
 * object that has three parts to play:
 *
 *     server:       await middleware(scope, receive, send)
 *                         │ makes a Request, which is
 *                         ├─ what the server awaits: it steps the application's coroutine
 *                         ├─ the `send` that the application gets: it looks for the status
 *                         └─ the timer, or the span when there is a daemon to send it to
 *
 * It gets its name when it is over: see middleware.c. */
#include "request.h"

#include <stddef.h>
#include <string.h>

enum { FREE_REQUESTS_MAX = 64, SERVER_ERROR = 500, PATH_BYTES_MAX = 256 };

#ifndef Py_GIL_DISABLED
static RequestObject *free_requests[FREE_REQUESTS_MAX];
static int free_request_count;
#endif

/* ---- The life of a request. ---- */

static void enter(RequestObject *self, ContextObject *context)
{
    self->token = native_context_enter(context);
    if (self->token == NULL)
        PyErr_Clear(); /* Then what it calls does not know where it comes from. */
}

static void begin(RequestObject *self)
{
    static const struct sonde_context nowhere;
    MiddlewareObject *middleware = self->middleware;
    PyObject *headers = native_look(self->scope, native_words.headers);
    ContextObject *parent = headers == NULL ? NULL : native_context_read(headers);

    self->is_begun = true;
    self->is_span = native_is_sent(middleware->profiler);
    if (!self->is_span) {
        if (parent != NULL)
            enter(self, parent);
        Py_XDECREF(parent);
        sonde_timer_begin(&self->span.timer, middleware->unnamed);
        return;
    }
    sonde_span_begin(&self->span, middleware->profiler->sonde,
                     sonde_operation_name(middleware->unnamed), SONDE_SERVER,
                     parent == NULL ? &nowhere : &parent->context);
    ContextObject *own = native_context_new(&self->span.context, parent);
    if (own != NULL)
        enter(self, own);
    PyErr_Clear(); /* Without memory for it there is none. */
    Py_XDECREF(own);
    Py_XDECREF(parent);
}

static void note_request(RequestObject *self, const struct sonde_operation *operation, int method)
{
    const char *template = strchr(sonde_operation_name(operation), ' ');
    PyObject *path = native_look(self->scope, native_words.path);
    const char *text = path == NULL || !PyUnicode_Check(path) ? NULL : PyUnicode_AsUTF8(path);
    char shown[PATH_BYTES_MAX];

    sonde_span_note(&self->span, "http.request.method", native_method_name(method));
    if (template != NULL)
        sonde_span_note(&self->span, "http.route", template + 1);
    if (text != NULL) {
        (void)snprintf(shown, sizeof(shown), "%s", text); /* Cut if need be. */
        sonde_span_note(&self->span, "url.path", shown);
    }
    PyErr_Clear(); /* A path that is no text is not told. */
    if (self->status != 0)
        sonde_span_note_integer(&self->span, "http.response.status_code", self->status);
}

/* Ends the timer; what exception is set stays so. */
static void finish(RequestObject *self, bool failed)
{
    PyObject *kind;
    PyObject *value;
    PyObject *trace;

    if (!self->is_begun || self->span.timer.operation == NULL) /* Disabled, or ended. */
        return;
    if (failed && self->is_span)
        native_fail(&self->span, true);
    PyErr_Fetch(&kind, &value, &trace);
    failed = failed || self->status == 0 || self->status >= SERVER_ERROR;
    int method = native_method_of(self->scope);
    struct sonde_operation *operation = native_name_of(self, method);
    self->span.timer.operation = operation;
    if (failed)
        sonde_timer_fail(&self->span.timer);
    if (self->is_span) {
        note_request(self, operation, method);
        (void)sonde_span_end(&self->span); /* The duration is kept there. */
    } else {
        (void)sonde_timer_end(&self->span.timer); /* Likewise. */
    }
    PyErr_Restore(kind, value, trace);
}

static int request_clear(RequestObject *self)
{
    Py_CLEAR(self->inner);
    Py_CLEAR(self->scope);
    Py_CLEAR(self->send);
    Py_CLEAR(self->application);
    Py_CLEAR(self->root);
    Py_CLEAR(self->token);
    Py_CLEAR(self->middleware);
    return 0;
}

/* It is over: the context is as before, the application's coroutine is let go. `send` stays, for
 * tasks that the application left behind. */
static void let_go(RequestObject *self, bool failed)
{
    PyObject *token = self->token;

    finish(self, failed);
    self->token = NULL;
    native_context_leave(token);
    Py_CLEAR(self->inner);
}

/* ---- Stepping what the application returned. ---- */

enum step { STEP_FAILED, STEP_RETURNED, STEP_YIELDED };

#if PY_VERSION_HEX >= 0x030A0000
static enum step step_inner(PyObject *inner, PyObject *value, PyObject **ret_result)
{
    PySendResult sent = PyIter_Send(inner, value, ret_result);

    return sent == PYGEN_NEXT ? STEP_YIELDED : sent == PYGEN_RETURN ? STEP_RETURNED : STEP_FAILED;
}
#else
/* The value of the StopIteration that is set. */
static PyObject *stop_value(void)
{
    PyObject *kind;
    PyObject *value;
    PyObject *trace;

    PyErr_Fetch(&kind, &value, &trace);
    PyErr_NormalizeException(&kind, &value, &trace);
    PyObject *result = PyObject_GetAttrString(value, "value");
    Py_XDECREF(kind);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    return result;
}

static enum step step_inner(PyObject *inner, PyObject *value, PyObject **ret_result)
{
    iternextfunc next = Py_TYPE(inner)->tp_iternext; /* A coroutine has none. */
    if (value == Py_None && next != NULL)
        *ret_result = next(inner);
    else
        *ret_result = PyObject_CallMethod(inner, "send", "O", value);
    if (*ret_result != NULL)
        return STEP_YIELDED;
    if (!PyErr_Occurred())
        PyErr_SetNone(PyExc_StopIteration);
    if (!PyErr_ExceptionMatches(PyExc_StopIteration))
        return STEP_FAILED;
    *ret_result = stop_value();
    return *ret_result == NULL ? STEP_FAILED : STEP_RETURNED;
}
#endif

static enum step step(RequestObject *self, PyObject *value, PyObject **ret_result)
{
    if (self->inner == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited request");
        return STEP_FAILED;
    }
    if (!self->is_begun)
        begin(self);
    Py_INCREF(self); /* The application may drop the last reference to us meanwhile. */
    enum step done = step_inner(self->inner, value, ret_result);
    if (done != STEP_YIELDED)
        let_go(self, done == STEP_FAILED);
    Py_DECREF(self);
    return done;
}

/* As an iterator returns its value. */
static PyObject *stop_with(PyObject *value)
{
    PyObject *stop =
        value == Py_None ? NULL : PyObject_CallFunctionObjArgs(PyExc_StopIteration, value, NULL);

    if (value == Py_None)
        PyErr_SetNone(PyExc_StopIteration);
    else if (stop != NULL)
        PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
    Py_DECREF(value);
    return NULL;
}

static PyObject *request_send(RequestObject *self, PyObject *value)
{
    PyObject *result = NULL;
    enum step done = step(self, value, &result);

    return done == STEP_RETURNED ? stop_with(result) : result;
}

static PyObject *request_next(RequestObject *self)
{
    return request_send(self, Py_None);
}

#if PY_VERSION_HEX >= 0x030A0000
static PySendResult request_am_send(RequestObject *self, PyObject *value, PyObject **ret_result)
{
    *ret_result = NULL;
    enum step done = step(self, value, ret_result);
    return done == STEP_YIELDED ? PYGEN_NEXT : done == STEP_RETURNED ? PYGEN_RETURN : PYGEN_ERROR;
}
#endif

/* throw(exception), or throw(type, value, traceback) as it was once. */
static PyObject *request_throw(RequestObject *self, PyObject *arguments)
{
    PyObject *method = self->inner == NULL ? NULL : PyObject_GetAttrString(self->inner, "throw");

    if (method == NULL) { /* Over, or what cannot be thrown into: it passes on from here. */
        PyObject *kind = NULL;
        PyObject *value = NULL;
        PyObject *trace = NULL;
        PyErr_Clear();
        if (!PyArg_UnpackTuple(arguments, "throw", 1, 3, &kind, &value, &trace))
            return NULL;
        if (PyExceptionInstance_Check(kind))
            PyErr_SetObject((PyObject *)Py_TYPE(kind), kind);
        else
            PyErr_SetObject(kind, value);
        let_go(self, true);
        return NULL;
    }
    if (!self->is_begun)
        begin(self);
    Py_INCREF(self);
    PyObject *result = PyObject_Call(method, arguments, NULL);
    if (result == NULL)
        let_go(self, !PyErr_ExceptionMatches(PyExc_StopIteration));
    Py_DECREF(self);
    Py_DECREF(method);
    return result;
}

static PyObject *request_close(RequestObject *self, PyObject *unused)
{
    PyObject *method = self->inner == NULL ? NULL : PyObject_GetAttrString(self->inner, "close");
    PyObject *result = NULL;

    (void)unused; /* METH_NOARGS. */
    PyErr_Clear();
    Py_INCREF(self);
    if (method != NULL)
        result = PyObject_CallFunctionObjArgs(method, NULL);
    bool failed = method != NULL && result == NULL;
    let_go(self, true);
    Py_DECREF(self);
    Py_XDECREF(method);
    Py_XDECREF(result);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *request_await(PyObject *self)
{
    Py_INCREF(self);
    return self;
}

/* ---- `send`, as the application sees it. ---- */

static PyObject *request_call(PyObject *callable, PyObject *const *arguments, size_t flags,
                              PyObject *names)
{
    RequestObject *self = (RequestObject *)callable;

    if (self->send == NULL)
        return PyErr_Format(PyExc_RuntimeError, "the request is over");
    if (PyVectorcall_NARGS(flags) >= 1 && PyDict_Check(arguments[0]) &&
        native_is_word(native_look(arguments[0], native_words.type), native_words.start)) {
        PyObject *status = native_look(arguments[0], native_words.status);
        self->status = status == NULL ? 0 : PyLong_AsLong(status);
        if (self->status == -1)
            PyErr_Clear(); /* No number: as if it had not answered. */
        if (self->status < 0)
            self->status = 0;
    }
    return PyObject_Vectorcall(self->send, arguments, flags, names);
}

/* ---- The Request. ---- */

RequestObject *native_request_new(MiddlewareObject *middleware, PyObject *scope, PyObject *send)
{
    RequestObject *self;

#ifndef Py_GIL_DISABLED
    if (free_request_count > 0) {
        self = free_requests[--free_request_count];
        _Py_NewReference((PyObject *)self);
    } else
#endif
    {
        self = PyObject_GC_New(RequestObject, &RequestType);
        if (self == NULL)
            return NULL;
    }
    Py_INCREF(middleware);
    Py_INCREF(scope);
    Py_INCREF(send);
    self->call = request_call;
    self->middleware = middleware;
    self->inner = NULL;
    self->scope = scope;
    self->send = send;
    self->application = native_look(scope, native_words.app);
    self->root = native_look(scope, native_words.root_path);
    Py_XINCREF(self->application);
    Py_XINCREF(self->root);
    self->token = NULL;
    self->status = 0;
    self->is_begun = false;
    self->is_span = false;
    self->span.timer.operation = NULL;
    PyObject_GC_Track(self);
    return self;
}

static int request_traverse(RequestObject *self, visitproc visit, void *arg)
{
    Py_VISIT(self->inner);
    Py_VISIT(self->scope);
    Py_VISIT(self->send);
    Py_VISIT(self->application);
    Py_VISIT(self->root);
    Py_VISIT(self->token);
    Py_VISIT(self->middleware);
    return 0;
}

static void request_dealloc(RequestObject *self)
{
    PyObject_GC_UnTrack(self);
    (void)request_clear(self); /* Cannot fail. */
#ifndef Py_GIL_DISABLED
    if (free_request_count < FREE_REQUESTS_MAX) {
        free_requests[free_request_count++] = self;
        return;
    }
#endif
    PyObject_GC_Del(self);
}

/* What debuggers and asyncio's messages read of a coroutine is that of the application's. */
static PyObject *request_get(RequestObject *self, void *name)
{
    if (self->inner == NULL)
        return PyErr_Format(PyExc_AttributeError, "the request is over: no %s", (char *)name);
    return PyObject_GetAttrString(self->inner, name);
}

static PyGetSetDef request_attributes[] = {
    {"__name__", (getter)request_get, NULL, NULL, "__name__"},
    {"__qualname__", (getter)request_get, NULL, NULL, "__qualname__"},
    {"cr_await", (getter)request_get, NULL, NULL, "cr_await"},
    {"cr_code", (getter)request_get, NULL, NULL, "cr_code"},
    {"cr_frame", (getter)request_get, NULL, NULL, "cr_frame"},
    {"cr_running", (getter)request_get, NULL, NULL, "cr_running"},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef request_methods[] = {
    {"send", (PyCFunction)request_send, METH_O, NULL},
    {"throw", (PyCFunction)request_throw, METH_VARARGS, NULL},
    {"close", (PyCFunction)request_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyAsyncMethods request_async = {
    .am_await = request_await,
#if PY_VERSION_HEX >= 0x030A0000
    .am_send = (sendfunc)request_am_send,
#endif
};

/* With send, throw, close and __await__ it is a Coroutine to collections.abc, so create_task takes
 * it. */
PyTypeObject RequestType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "sonde._native.Request",
    .tp_doc = "A request under way: awaited by the server, and the send of its application.",
    .tp_basicsize = sizeof(RequestObject),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(RequestObject, call),
    .tp_call = PyVectorcall_Call,
    .tp_dealloc = (destructor)request_dealloc,
    .tp_traverse = (traverseproc)request_traverse,
    .tp_clear = (inquiry)request_clear,
    .tp_as_async = &request_async,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = (iternextfunc)request_next,
    .tp_methods = request_methods,
    .tp_getset = request_attributes,
};
