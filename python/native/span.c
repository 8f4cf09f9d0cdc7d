/* SPDX-License-Identifier: Apache-2.0 */
/* A span: a timer with a place in a trace.
 *
 *     with profiler.span("retrieval", attributes={"index": "docs"}) as span:
 *         span.event("cache miss")
 *
 * Entered, it is what its task works for (the ContextVar of context.c); with start() and end() it
 * only takes its parent from there. Values go straight into the bytes that libsonde will send. */
#include "native.h"

#include <string.h>

enum { FREE_SPANS_MAX = 32, EVENT_ATTRIBUTES_MAX = 16 };

typedef struct {
    PyObject_HEAD ProfilerObject *profiler; /* Keeps the handle open. */
    PyObject *name;
    PyObject *attributes;  /* A dict, or NULL: of each run. */
    ContextObject *parent; /* Given, or NULL: what is at work when it begins. */
    ContextObject *own;    /* NULL before it begins. */
    PyObject *token;       /* Of having entered, or NULL. */
    enum sonde_span_kind kind;
    bool is_running;
    int64_t duration_ns; /* -1: has not ended. */
    struct sonde_span span;
} SpanObject;

static const char *const kinds[] = {"internal", "server", "client", "producer", "consumer"};

#ifndef Py_GIL_DISABLED
static SpanObject *free_spans[FREE_SPANS_MAX];
static int free_span_count;
#endif

bool native_is_sent(const ProfilerObject *profiler)
{
    return profiler->has_endpoint && sonde_get_level(profiler->sonde) >= SONDE_STANDARD;
}

/* ---- Values. ---- */

static bool note_text(struct sonde_span *span, const char *key, PyObject *value)
{
    PyObject *text = PyObject_Str(value);
    const char *bytes = text == NULL ? NULL : PyUnicode_AsUTF8(text);

    if (bytes == NULL && text != NULL && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        PyErr_Clear(); /* Half a surrogate pair is no text; it is left out. */
        bytes = "";
    }
    if (bytes != NULL)
        sonde_span_note(span, key, bytes);
    Py_XDECREF(text);
    return bytes != NULL;
}

static bool note_integer(struct sonde_span *span, const char *key, PyObject *value)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);

    if (overflow != 0)
        return note_text(span, key, value);
    sonde_span_note_integer(span, key, number);
    return true;
}

bool native_note(struct sonde_span *span, const char *key, PyObject *value)
{
    if (value == Py_None)
        return true;
    if (PyBool_Check(value))
        sonde_span_note_bool(span, key, value == Py_True);
    else if (PyLong_Check(value))
        return note_integer(span, key, value);
    else if (PyFloat_Check(value))
        sonde_span_note_number(span, key, PyFloat_AS_DOUBLE(value));
    else
        return note_text(span, key, value);
    return true;
}

static bool note_all(struct sonde_span *span, PyObject *attributes)
{
    PyObject *key;
    PyObject *value;
    Py_ssize_t at = 0;

    while (PyDict_Next(attributes, &at, &key, &value)) {
        const char *name = PyUnicode_Check(key) ? PyUnicode_AsUTF8(key) : NULL;
        if (name == NULL) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_TypeError, "the name of an attribute is a str");
            return false;
        }
        if (!native_note(span, name, value))
            return false;
    }
    return true;
}

/* "exception" as OpenTelemetry has it. */
static void note_exception(struct sonde_span *span, const char *kind, const char *message)
{
    const char *const pairs[] = {"exception.type", kind, "exception.message", message, NULL};

    sonde_span_note(span, "error.type", kind);
    sonde_span_event(span, "exception", pairs);
}

static void fail_by(struct sonde_span *span, PyObject *kind, PyObject *value, bool is_sent)
{
    PyObject *text = value == NULL || !is_sent ? NULL : PyObject_Str(value);
    const char *message = text == NULL ? NULL : PyUnicode_AsUTF8(text);

    PyErr_Clear(); /* An exception that cannot be told in words is one all the same. */
    sonde_span_fail(span, message);
    if (is_sent && PyType_Check(kind))
        note_exception(span, ((PyTypeObject *)kind)->tp_name, message == NULL ? "" : message);
    Py_XDECREF(text);
}

void native_fail(struct sonde_span *span, bool is_sent)
{
    PyObject *kind;
    PyObject *value;
    PyObject *trace;

    PyErr_Fetch(&kind, &value, &trace);
    if (kind != NULL)
        fail_by(span, kind, value, is_sent);
    PyErr_Restore(kind, value, trace);
}

/* ---- Making one. ---- */

static SpanObject *allocate(void)
{
#ifndef Py_GIL_DISABLED
    if (free_span_count > 0) {
        SpanObject *self = free_spans[--free_span_count];
        _Py_NewReference((PyObject *)self);
        return self;
    }
#endif
    return PyObject_New(SpanObject, &SpanType);
}

static bool parse_kind(const char *name, enum sonde_span_kind *ret_kind)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(name, kinds[i]) == 0) {
            *ret_kind = (enum sonde_span_kind)(i + 1);
            return true;
        }
    }
    PyErr_Format(
        PyExc_ValueError,
        "no kind is called '%s'; there are internal, server, client, producer and consumer", name);
    return false;
}

PyObject *native_span_new(ProfilerObject *profiler, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"name", "kind", "attributes", "parent", NULL};
    PyObject *name;
    const char *kind_name = "internal";
    PyObject *attributes = Py_None;
    PyObject *parent = Py_None;
    enum sonde_span_kind kind;

    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "U|sOO:span", names, &name, &kind_name,
                                     &attributes, &parent) ||
        !parse_kind(kind_name, &kind) || PyUnicode_AsUTF8(name) == NULL)
        return NULL;
    if (attributes != Py_None && !PyDict_Check(attributes))
        return PyErr_Format(PyExc_TypeError, "attributes is a dict, not %s",
                            Py_TYPE(attributes)->tp_name);
    if (parent != Py_None && Py_TYPE(parent) != &ContextType)
        return PyErr_Format(PyExc_TypeError, "parent is a sonde.Context, not %s",
                            Py_TYPE(parent)->tp_name);
    SpanObject *self = allocate();
    if (self == NULL)
        return NULL;
    Py_INCREF(profiler);
    Py_INCREF(name);
    self->profiler = profiler;
    self->name = name;
    self->attributes = attributes == Py_None ? NULL : attributes;
    self->parent = parent == Py_None ? NULL : (ContextObject *)parent;
    Py_XINCREF(self->attributes);
    Py_XINCREF(self->parent);
    self->own = NULL;
    self->token = NULL;
    self->kind = kind;
    self->is_running = false;
    self->duration_ns = -1;
    self->span.timer.operation = NULL;
    return (PyObject *)self;
}

static void span_dealloc(SpanObject *self)
{
    Py_CLEAR(self->token); /* What it entered and never left stays as it is. */
    Py_CLEAR(self->own);
    Py_CLEAR(self->parent);
    Py_CLEAR(self->attributes);
    Py_CLEAR(self->name);
    Py_CLEAR(self->profiler);
#ifndef Py_GIL_DISABLED
    if (free_span_count < FREE_SPANS_MAX) {
        free_spans[free_span_count++] = self;
        return;
    }
#endif
    PyObject_Free(self);
}

/* ---- Its life. ---- */

static bool begin(SpanObject *self)
{
    static const struct sonde_context nowhere;
    const ContextObject *parent = self->parent != NULL ? self->parent : native_context_now();

    if (self->is_running) {
        PyErr_SetString(PyExc_RuntimeError, "the span has begun already");
        return false;
    }
    self->duration_ns = -1;
    sonde_span_begin(&self->span, self->profiler->sonde, PyUnicode_AsUTF8(self->name), self->kind,
                     parent == NULL ? &nowhere : &parent->context);
    ContextObject *own = native_context_new(&self->span.context, parent);
    if (own == NULL)
        return false;
    Py_XSETREF(self->own, own);
    self->is_running = true;
    return self->attributes == NULL || !native_is_sent(self->profiler) ||
           note_all(&self->span, self->attributes);
}

static PyObject *end(SpanObject *self)
{
    if (self->is_running) {
        self->duration_ns = sonde_span_end(&self->span);
        self->is_running = false;
    }
    return PyFloat_FromDouble(self->duration_ns < 0 ? 0 : (double)self->duration_ns / 1e6);
}

static PyObject *span_enter(SpanObject *self, PyObject *unused)
{
    (void)unused; /* METH_NOARGS. */
    if (!begin(self))
        return NULL;
    PyObject *token = native_context_enter(self->own);
    if (token == NULL)
        return NULL;
    Py_XSETREF(self->token, token);
    Py_INCREF(self);
    return (PyObject *)self;
}

static void leave(SpanObject *self)
{
    PyObject *token = self->token;

    self->token = NULL;
    native_context_leave(token);
}

static PyObject *span_exit(SpanObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    /* A generator that is closed before its end was not wanted any longer; that is no failure. */
    if (count > 1 && arguments[0] != Py_None && arguments[0] != PyExc_GeneratorExit)
        fail_by(&self->span, arguments[0], arguments[1] == Py_None ? NULL : arguments[1],
                native_is_sent(self->profiler));
    leave(self);
    PyObject *duration = end(self);
    if (duration == NULL)
        return NULL;
    Py_DECREF(duration);
    Py_RETURN_FALSE; /* An exception passes on unchanged. */
}

static PyObject *span_start(SpanObject *self, PyObject *unused)
{
    (void)unused; /* METH_NOARGS. */
    if (!begin(self))
        return NULL;
    Py_INCREF(self);
    return (PyObject *)self;
}

static PyObject *span_end(SpanObject *self, PyObject *unused)
{
    (void)unused; /* METH_NOARGS. */
    return end(self);
}

/* resume() and suspend(): for what works in steps, such as a generator, and must not leave its
 * context to others in between. */
static PyObject *span_resume(SpanObject *self, PyObject *unused)
{
    (void)unused; /* METH_NOARGS. */
    if (self->own == NULL)
        return PyErr_Format(PyExc_RuntimeError, "the span has not begun");
    PyObject *token = native_context_enter(self->own);
    if (token == NULL)
        return NULL;
    Py_XSETREF(self->token, token);
    Py_RETURN_NONE;
}

static PyObject *span_suspend(SpanObject *self, PyObject *unused)
{
    (void)unused; /* METH_NOARGS. */
    leave(self);
    Py_RETURN_NONE;
}

/* ---- What is said of it. ---- */

static PyObject *span_set(SpanObject *self, PyObject *arguments)
{
    const char *key;
    PyObject *value;

    if (!PyArg_ParseTuple(arguments, "sO:set", &key, &value))
        return NULL;
    if (native_is_sent(self->profiler) && !native_note(&self->span, key, value))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *span_event(SpanObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"name", "attributes", NULL};
    const char *pairs[2 * EVENT_ATTRIBUTES_MAX + 1] = {NULL};
    PyObject *texts[EVENT_ATTRIBUTES_MAX] = {NULL};
    const char *name;
    PyObject *attributes = NULL;
    PyObject *key;
    PyObject *value;
    Py_ssize_t at = 0;
    size_t count = 0;

    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "s|O!:event", names, &name, &PyDict_Type,
                                     &attributes))
        return NULL;
    while (attributes != NULL && count < EVENT_ATTRIBUTES_MAX &&
           PyDict_Next(attributes, &at, &key, &value)) {
        texts[count] = PyObject_Str(value);
        pairs[2 * count] = texts[count] == NULL ? NULL : PyUnicode_AsUTF8(key);
        pairs[2 * count + 1] = pairs[2 * count] == NULL ? NULL : PyUnicode_AsUTF8(texts[count]);
        if (pairs[2 * count + 1] == NULL)
            break;
        count++;
    }
    if (!PyErr_Occurred() && native_is_sent(self->profiler))
        sonde_span_event(&self->span, name, pairs);
    for (size_t i = 0; i < EVENT_ATTRIBUTES_MAX; i++)
        Py_XDECREF(texts[i]);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *span_fail(SpanObject *self, PyObject *arguments)
{
    const char *message = NULL;

    if (!PyArg_ParseTuple(arguments, "|z:mark_failure", &message))
        return NULL;
    sonde_span_fail(&self->span, message);
    Py_RETURN_NONE;
}

static PyObject *span_rename(SpanObject *self, PyObject *name)
{
    const char *text = PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;

    if (text == NULL)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "a span's name is a str");
    sonde_span_rename(&self->span, text);
    Py_RETURN_NONE;
}

static PyObject *span_record_exception(SpanObject *self, PyObject *exception)
{
    if (!PyExceptionInstance_Check(exception))
        return PyErr_Format(PyExc_TypeError, "an exception is wanted, not %s",
                            Py_TYPE(exception)->tp_name);
    fail_by(&self->span, (PyObject *)Py_TYPE(exception), exception, native_is_sent(self->profiler));
    Py_RETURN_NONE;
}

static PyObject *span_note_llm(SpanObject *self, PyObject *fields)
{
    struct sonde_llm_call call = SONDE_LLM_CALL_INIT;

    if (!native_llm_read(fields, &call))
        return NULL;
    if (native_is_sent(self->profiler))
        sonde_span_note_llm(&self->span, &call);
    if (call.error_type != NULL)
        sonde_span_fail(&self->span, call.error_type);
    Py_RETURN_NONE;
}

/* span(function): a decorator; each call gets a span of its own. */
static PyObject *span_call(SpanObject *self, PyObject *arguments, PyObject *keywords)
{
    PyObject *function;

    if (keywords != NULL && PyDict_GET_SIZE(keywords) > 0) {
        PyErr_SetString(PyExc_TypeError, "a span decorates one function");
        return NULL;
    }
    if (!PyArg_ParseTuple(arguments, "O:span", &function))
        return NULL;
    PyObject *open = PyObject_GetAttrString((PyObject *)self->profiler, "span");
    if (open == NULL)
        return NULL;
    return PyObject_CallFunction(
        native_decorate, "N(OsOO)O", open, self->name, kinds[self->kind - 1],
        self->attributes == NULL ? Py_None : self->attributes,
        self->parent == NULL ? Py_None : (PyObject *)self->parent, function);
}

static PyObject *span_get_duration(SpanObject *self, void *unused)
{
    (void)unused; /* No closure. */
    if (self->duration_ns < 0)
        Py_RETURN_NONE;
    return PyFloat_FromDouble((double)self->duration_ns / 1e6);
}

static PyObject *span_get_context(SpanObject *self, void *unused)
{
    PyObject *own = self->own == NULL ? Py_None : (PyObject *)self->own;

    (void)unused; /* No closure. */
    Py_INCREF(own);
    return own;
}

static PyObject *span_get_running(SpanObject *self, void *unused)
{
    (void)unused; /* No closure. */
    return PyBool_FromLong(self->is_running);
}

static PyMethodDef span_methods[] = {
    {"__enter__", (PyCFunction)span_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))span_exit, METH_FASTCALL, NULL},
    {"start", (PyCFunction)span_start, METH_NOARGS,
     "Begins without being what its task works for; returns the span."},
    {"end", (PyCFunction)span_end, METH_NOARGS, "Ends, once; milliseconds."},
    {"resume", (PyCFunction)span_resume, METH_NOARGS,
     "From here on the task works for this span, until suspend()."},
    {"suspend", (PyCFunction)span_suspend, METH_NOARGS, "As it was before resume()."},
    {"set", (PyCFunction)span_set, METH_VARARGS,
     "set(key, value): an attribute; None says nothing."},
    {"event", (PyCFunction)(void (*)(void))span_event, METH_VARARGS | METH_KEYWORDS,
     "event(name, attributes={}): something that happens now."},
    {"mark_failure", (PyCFunction)span_fail, METH_VARARGS,
     "mark_failure(message=None): ends as a failure, though no exception passes."},
    {"rename", (PyCFunction)span_rename, METH_O, "rename(name): for who learns it on the way."},
    {"record_exception", (PyCFunction)span_record_exception, METH_O,
     "record_exception(exception): ends as a failure of this kind."},
    {"_note_llm", (PyCFunction)span_note_llm, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef span_attributes[] = {
    {"duration_ms", (getter)span_get_duration, NULL,
     "How long it took, in milliseconds; None until it has ended.", NULL},
    {"context", (getter)span_get_context, NULL,
     "Its place in the trace, a Context; None before it begins.", NULL},
    {"is_running", (getter)span_get_running, NULL, "Begun and not ended.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject SpanType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "sonde.Span",
    .tp_doc = "A timer with a place in a trace; a context manager and a decorator.",
    .tp_basicsize = sizeof(SpanObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = (destructor)span_dealloc,
    .tp_call = (ternaryfunc)span_call,
    .tp_methods = span_methods,
    .tp_getset = span_attributes,
};
