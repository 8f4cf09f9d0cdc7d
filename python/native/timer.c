/* SPDX-License-Identifier: Apache-2.0 */
/* A timer that is a context manager:
 *
 *     with profiler.timer("retrieval") as timer:      # timer_enter … timer_exit
 *         timer.mark_failure()
 *
 * A timer is one small object, kept for reuse when it dies. */
#include "native.h"

enum { FREE_TIMERS_MAX = 64 };

typedef struct {
    PyObject_HEAD ProfilerObject *profiler; /* Keeps the handle open. */
    PyObject *name;
    PyObject *metadata; /* A dict, or NULL. */
    struct sonde_operation *operation;
    struct sonde_timer timer;
    int64_t duration_ns; /* -1: has not ended. */
} TimerObject;

#ifndef Py_GIL_DISABLED
static TimerObject *free_timers[FREE_TIMERS_MAX];
static int free_timer_count;
#endif

PyObject *native_timer_new(ProfilerObject *profiler, PyObject *name, PyObject *metadata)
{
    TimerObject *self;
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(name, &size);

    if (text == NULL)
        return NULL;
    if (profiler->sonde == NULL) {
        PyErr_SetString(PyExc_ValueError, "the profiler is closed");
        return NULL;
    }
#ifndef Py_GIL_DISABLED
    if (free_timer_count > 0) {
        self = free_timers[--free_timer_count];
        _Py_NewReference((PyObject *)self);
    } else
#endif
    {
        self = PyObject_New(TimerObject, &TimerType);
        if (self == NULL)
            return NULL;
    }
    Py_INCREF(profiler);
    Py_INCREF(name);
    Py_XINCREF(metadata);
    self->profiler = profiler;
    self->name = name;
    self->metadata = metadata;
    self->operation = sonde_operation(profiler->sonde, text);
    self->timer.operation = NULL;
    self->duration_ns = -1;
    return (PyObject *)self;
}

static void timer_dealloc(TimerObject *self)
{
    Py_CLEAR(self->profiler);
    Py_CLEAR(self->name);
    Py_CLEAR(self->metadata);
#ifndef Py_GIL_DISABLED
    if (free_timer_count < FREE_TIMERS_MAX) {
        free_timers[free_timer_count++] = self;
        return;
    }
#endif
    PyObject_Free(self);
}

/* Only what is read at a slow call is worth writing down: metadata is told at the detailed level.
 */
static int note_metadata(TimerObject *self)
{
    PyObject *key;
    PyObject *value;
    Py_ssize_t at = 0;

    while (PyDict_Next(self->metadata, &at, &key, &value)) {
        PyObject *key_text = PyObject_Str(key);
        PyObject *value_text = key_text == NULL ? NULL : PyObject_Str(value);
        const char *key_bytes = value_text == NULL ? NULL : PyUnicode_AsUTF8(key_text);
        const char *value_bytes = key_bytes == NULL ? NULL : PyUnicode_AsUTF8(value_text);
        if (value_bytes != NULL)
            sonde_timer_note(&self->timer, key_bytes, value_bytes);
        Py_XDECREF(key_text);
        Py_XDECREF(value_text);
        if (value_bytes == NULL)
            return -1;
    }
    return 0;
}

static PyObject *timer_enter(TimerObject *self, PyObject *unused)
{
    (void)unused; /* METH_NOARGS. */
    sonde_timer_begin(&self->timer, self->operation);
    if (self->metadata != NULL && self->timer.operation != NULL &&
        sonde_get_level(self->profiler->sonde) == SONDE_DETAILED && note_metadata(self) != 0)
        return NULL;
    Py_INCREF(self);
    return (PyObject *)self;
}

static PyObject *timer_exit(TimerObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    /* A generator that is closed before its end was not wanted any longer; that is no failure. */
    if (count > 0 && arguments[0] != Py_None && arguments[0] != PyExc_GeneratorExit)
        sonde_timer_fail(&self->timer);
    self->duration_ns = sonde_timer_end(&self->timer);
    Py_RETURN_FALSE; /* An exception passes on unchanged. */
}

/* start() and stop(name, failed): where a with statement does not fit, or the name is known only at
 * the end. */
static PyObject *timer_start(TimerObject *self, PyObject *unused)
{
    PyObject *entered = timer_enter(self, unused);

    if (entered == NULL)
        return NULL;
    Py_DECREF(entered);
    Py_RETURN_NONE;
}

static PyObject *timer_stop(TimerObject *self, PyObject *const *arguments, Py_ssize_t count,
                            PyObject *keyword_names)
{
    if (count > 2 || (keyword_names != NULL && PyTuple_GET_SIZE(keyword_names) > 0))
        return PyErr_Format(PyExc_TypeError, "stop(name=None, failed=False), by position");
    if (count > 0 && arguments[0] != Py_None && self->timer.operation != NULL) {
        const char *name = PyUnicode_AsUTF8(arguments[0]);
        if (name == NULL)
            return NULL;
        self->timer.operation = sonde_operation(self->profiler->sonde, name);
    }
    if (count > 1) {
        int failed = PyObject_IsTrue(arguments[1]);
        if (failed < 0)
            return NULL;
        if (failed)
            sonde_timer_fail(&self->timer);
    }
    self->duration_ns = sonde_timer_end(&self->timer);
    return PyFloat_FromDouble((double)self->duration_ns / 1e6);
}

static PyObject *timer_mark_failure(TimerObject *self, PyObject *unused)
{
    (void)unused; /* METH_NOARGS. */
    sonde_timer_fail(&self->timer);
    Py_RETURN_NONE;
}

/* timer(function): a decorator; each call gets a timer of its own. */
static PyObject *timer_call(TimerObject *self, PyObject *arguments, PyObject *keywords)
{
    PyObject *function;

    if (keywords != NULL && PyDict_GET_SIZE(keywords) > 0) {
        PyErr_SetString(PyExc_TypeError, "a timer decorates one function");
        return NULL;
    }
    if (!PyArg_ParseTuple(arguments, "O:timer", &function))
        return NULL;
    PyObject *open = PyObject_GetAttrString((PyObject *)self->profiler, "timer");
    if (open == NULL)
        return NULL;
    return PyObject_CallFunction(native_decorate, "N(OO)O", open, self->name,
                                 self->metadata == NULL ? Py_None : self->metadata, function);
}

static PyObject *timer_get_duration(TimerObject *self, void *unused)
{
    (void)unused; /* No closure. */
    if (self->duration_ns < 0)
        Py_RETURN_NONE;
    return PyFloat_FromDouble((double)self->duration_ns / 1e6);
}

static PyMethodDef timer_methods[] = {
    {"__enter__", (PyCFunction)timer_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))timer_exit, METH_FASTCALL, NULL},
    {"start", (PyCFunction)timer_start, METH_NOARGS, "Begins, where no with statement fits."},
    {"stop", (PyCFunction)(void (*)(void))timer_stop, METH_FASTCALL | METH_KEYWORDS,
     "stop(name=None, failed=False, /): ends, under another name when given; milliseconds."},
    {"mark_failure", (PyCFunction)timer_mark_failure, METH_NOARGS,
     "Ends as a failure, though no exception passes."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef timer_attributes[] = {
    {"duration_ms", (getter)timer_get_duration, NULL,
     "How long it took, in milliseconds; None until it has ended.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject TimerType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "sonde.Timer",
    .tp_doc = "Times the block of a with statement, or each call of a function it decorates.",
    .tp_basicsize = sizeof(TimerObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = (destructor)timer_dealloc,
    .tp_call = (ternaryfunc)timer_call,
    .tp_methods = timer_methods,
    .tp_getset = timer_attributes,
};
