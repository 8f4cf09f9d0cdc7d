/* SPDX-License-Identifier: Apache-2.0 */
/* A Context is a place in a trace with the tracestate and the baggage that travel along. Which one
 * is at work is a ContextVar, so asyncio's tasks and callbacks inherit it by themselves; threads do
 * not, which is what sonde.carry is for. libsonde's own thread-local notion of it is not used: many
 * tasks share a thread. */
#include "native.h"

#include <string.h>

enum { HEADERS_MAX = 256, HEADER_BYTES_MAX = 8192 };

PyObject *native_context_variable;
PyObject *native_extract;

ContextObject *native_context_new(const struct sonde_context *context, const ContextObject *other)
{
    ContextObject *self = PyObject_New(ContextObject, &ContextType);

    if (self == NULL)
        return NULL;
    self->context = *context;
    self->trace_state = other == NULL ? NULL : other->trace_state;
    self->baggage = other == NULL ? NULL : other->baggage;
    Py_XINCREF(self->trace_state);
    Py_XINCREF(self->baggage);
    return self;
}

static void context_dealloc(ContextObject *self)
{
    Py_CLEAR(self->trace_state);
    Py_CLEAR(self->baggage);
    PyObject_Free(self);
}

ContextObject *native_context_now(void)
{
    PyObject *value = NULL;

    if (PyContextVar_Get(native_context_variable, NULL, &value) != 0) {
        PyErr_Clear(); /* Then there is none. */
        return NULL;
    }
    Py_XDECREF(value); /* The variable holds it. */
    return value != NULL && Py_TYPE(value) == &ContextType ? (ContextObject *)value : NULL;
}

PyObject *native_context_enter(ContextObject *context)
{
    return PyContextVar_Set(native_context_variable, (PyObject *)context);
}

void native_context_leave(PyObject *token)
{
    PyObject *kind;
    PyObject *value;
    PyObject *trace;

    if (token == NULL)
        return;
    PyErr_Fetch(&kind, &value, &trace); /* What is on its way stays on its way. */
    if (PyContextVar_Reset(native_context_variable, token) != 0)
        PyErr_Clear();
    PyErr_Restore(kind, value, trace);
    Py_DECREF(token);
}

/* ---- From the headers of a request. ---- */

static bool is_named(PyObject *name, const char *wanted, Py_ssize_t size)
{
    return PyBytes_GET_SIZE(name) == size && memcmp(PyBytes_AS_STRING(name), wanted, size) == 0;
}

static bool pair_of(PyObject *item, PyObject **ret_name, PyObject **ret_value)
{
    bool is_tuple = PyTuple_Check(item);

    if ((!is_tuple && !PyList_Check(item)) || Py_SIZE(item) != 2)
        return false;
    *ret_name = is_tuple ? PyTuple_GET_ITEM(item, 0) : PyList_GET_ITEM(item, 0);
    *ret_value = is_tuple ? PyTuple_GET_ITEM(item, 1) : PyList_GET_ITEM(item, 1);
    return PyBytes_Check(*ret_name) && PyBytes_Check(*ret_value);
}

static void keep_text(PyObject **place, PyObject *bytes)
{
    if (bytes == NULL || PyBytes_GET_SIZE(bytes) > HEADER_BYTES_MAX)
        return;
    *place = PyUnicode_DecodeLatin1(PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes), NULL);
    if (*place == NULL)
        PyErr_Clear(); /* No memory for what only travels along. */
}

static ContextObject *extract_more(PyObject *headers)
{
    PyObject *found =
        native_extract == NULL ? NULL : PyObject_CallFunctionObjArgs(native_extract, headers, NULL);

    if (found == NULL)
        PyErr_Clear(); /* Headers that nobody understands are none. */
    if (found != NULL && Py_TYPE(found) != &ContextType)
        Py_CLEAR(found);
    return (ContextObject *)found;
}

ContextObject *native_context_read(PyObject *headers)
{
    PyObject *parent = NULL;
    PyObject *state = NULL;
    PyObject *baggage = NULL;
    struct sonde_context context;
    Py_ssize_t count = PyList_Check(headers) ? PyList_GET_SIZE(headers) : 0;

    for (Py_ssize_t i = 0; i < count && i < HEADERS_MAX; i++) {
        PyObject *name;
        PyObject *value;
        if (!pair_of(PyList_GET_ITEM(headers, i), &name, &value))
            continue;
        if (is_named(name, "traceparent", 11))
            parent = value;
        else if (is_named(name, "tracestate", 10))
            state = value;
        else if (is_named(name, "baggage", 7))
            baggage = value;
    }
    bool is_somewhere =
        sonde_context_read(parent == NULL ? NULL : PyBytes_AS_STRING(parent), &context);
    if (native_extract != NULL && !is_somewhere)
        return extract_more(headers);
    if (!is_somewhere && baggage == NULL)
        return NULL;
    ContextObject *self = native_context_new(&context, NULL);
    if (self == NULL) {
        PyErr_Clear(); /* No memory: then it is nowhere. */
        return NULL;
    }
    if (is_somewhere) /* Without its parent a tracestate means nothing. */
        keep_text(&self->trace_state, state);
    keep_text(&self->baggage, baggage);
    return self;
}

/* ---- The type. ---- */

static PyObject *context_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"traceparent", "trace_state", "baggage", NULL};
    const char *traceparent = NULL;
    PyObject *state = Py_None;
    PyObject *baggage = Py_None;
    struct sonde_context context;

    (void)type; /* Not to be derived from. */
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|zOO:Context", names, &traceparent,
                                     &state, &baggage))
        return NULL;
    if ((state != Py_None && !PyUnicode_Check(state)) ||
        (baggage != Py_None && !PyUnicode_Check(baggage)))
        return PyErr_Format(PyExc_TypeError, "trace_state and baggage are str or None");
    if (!sonde_context_read(traceparent, &context) && traceparent != NULL)
        return PyErr_Format(PyExc_ValueError, "no traceparent: '%.80s'", traceparent);
    ContextObject *self = native_context_new(&context, NULL);
    if (self == NULL)
        return NULL;
    if (state != Py_None) {
        Py_INCREF(state);
        self->trace_state = state;
    }
    if (baggage != Py_None) {
        Py_INCREF(baggage);
        self->baggage = baggage;
    }
    return (PyObject *)self;
}

static PyObject *context_get_traceparent(ContextObject *self, void *unused)
{
    char text[SONDE_TRACEPARENT_SIZE];

    (void)unused; /* No closure. */
    sonde_context_write(&self->context, text);
    return PyUnicode_FromString(text);
}

/* A part of the traceparent: closure points to the first and last place of it. */
struct part {
    Py_ssize_t from;
    Py_ssize_t to;
};

static struct part trace_id_part = {3, 35};
static struct part span_id_part = {36, 52};

static PyObject *context_get_part(ContextObject *self, void *closure)
{
    const struct part *part = closure;
    char text[SONDE_TRACEPARENT_SIZE];

    sonde_context_write(&self->context, text);
    if (text[0] == '\0')
        return PyUnicode_FromString("");
    return PyUnicode_FromStringAndSize(text + part->from, part->to - part->from);
}

static PyObject *context_get_sampled(ContextObject *self, void *unused)
{
    (void)unused; /* No closure. */
    return PyBool_FromLong(self->context.flags & 1);
}

static PyObject *or_none(PyObject *value)
{
    if (value == NULL)
        Py_RETURN_NONE;
    Py_INCREF(value);
    return value;
}

static PyObject *context_get_trace_state(ContextObject *self, void *unused)
{
    (void)unused; /* No closure. */
    return or_none(self->trace_state);
}

static PyObject *context_get_baggage(ContextObject *self, void *unused)
{
    (void)unused; /* No closure. */
    return or_none(self->baggage);
}

static PyObject *context_repr(ContextObject *self)
{
    char text[SONDE_TRACEPARENT_SIZE];

    sonde_context_write(&self->context, text);
    return PyUnicode_FromFormat("sonde.Context('%s')", text);
}

static PyGetSetDef context_attributes[] = {
    {"traceparent", (getter)context_get_traceparent, NULL, "As W3C writes it; '' for nowhere.",
     NULL},
    {"trace_id", (getter)context_get_part, NULL, "32 hexadecimal digits, or ''.", &trace_id_part},
    {"span_id", (getter)context_get_part, NULL, "16 hexadecimal digits, or ''.", &span_id_part},
    {"is_sampled", (getter)context_get_sampled, NULL, "Whether the trace is kept.", NULL},
    {"trace_state", (getter)context_get_trace_state, NULL, "The header tracestate, or None.", NULL},
    {"baggage", (getter)context_get_baggage, NULL, "The header baggage, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject ContextType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "sonde.Context",
    .tp_doc = "Where one is in a trace, and what travels along. It does not change.",
    .tp_basicsize = sizeof(ContextObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = context_new,
    .tp_dealloc = (destructor)context_dealloc,
    .tp_repr = (reprfunc)context_repr,
    .tp_getset = context_attributes,
};

bool native_context_init(PyObject *module)
{
    native_context_variable = PyContextVar_New("sonde_context", Py_None);
    if (native_context_variable == NULL)
        return false;
    Py_INCREF(native_context_variable);
    return PyModule_AddObject(module, "context_variable", native_context_variable) == 0;
}
