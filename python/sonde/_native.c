/* SPDX-License-Identifier: Apache-2.0 */
/* _native - libsonde for CPython: a profiler, and a timer that is a context manager.
 *
 *     with profiler.timer("retrieval") as timer:      # Timer_enter … Timer_exit
 *         timer.mark_failure()
 *
 * A timer is one small object, kept for reuse when it dies. Everything that is not on that path
 * (decorators, reports as objects, SLA files) is Python in profiler.py. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "sonde/sonde.h"

#include <stdlib.h>

enum { FREE_TIMERS_MAX = 64 };

typedef struct {
    PyObject_HEAD struct sonde *sonde;
} ProfilerObject;

typedef struct {
    PyObject_HEAD ProfilerObject *profiler; /* Keeps the handle open. */
    PyObject *name;
    PyObject *metadata; /* A dict, or NULL. */
    struct sonde_operation *operation;
    struct sonde_timer timer;
    int64_t duration_ns; /* -1: has not ended. */
} TimerObject;

static PyTypeObject ProfilerType;
static PyTypeObject TimerType;
static PyObject *decorate; /* profiler._decorate, set by that module. */

#ifndef Py_GIL_DISABLED
static TimerObject *free_timers[FREE_TIMERS_MAX];
static int free_timer_count;
#endif

/* ---- Timer ---- */

static TimerObject *timer_new(ProfilerObject *profiler, PyObject *name, PyObject *metadata)
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
    return self;
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
    return PyObject_CallFunctionObjArgs(decorate, (PyObject *)self->profiler, self->name,
                                        self->metadata == NULL ? Py_None : self->metadata, function,
                                        NULL);
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

static PyTypeObject TimerType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "sonde.Timer",
    .tp_doc = "Times the block of a with statement, or each call of a function it decorates.",
    .tp_basicsize = sizeof(TimerObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = (destructor)timer_dealloc,
    .tp_call = (ternaryfunc)timer_call,
    .tp_methods = timer_methods,
    .tp_getset = timer_attributes,
};

/* ---- Profiler ---- */

static int parse_level(const char *name, enum sonde_level *ret_level)
{
    static const char *const names[] = {"disabled", "basic", "standard", "detailed"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret_level = (enum sonde_level)i;
            return 0;
        }
    }
    PyErr_Format(PyExc_ValueError,
                 "no level is called '%s'; there are disabled, basic, standard and detailed", name);
    return -1;
}

static int profiler_init(ProfilerObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"service_name", "level", NULL};
    struct sonde_options options;
    const char *level = NULL;

    sonde_options_init(&options);
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|zz:Profiler", names,
                                     &options.service_name, &level))
        return -1;
    if (level != NULL && parse_level(level, &options.level) != 0)
        return -1;
    sonde_close(self->sonde);
    self->sonde = sonde_open(&options);
    if (self->sonde == NULL) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}

static void profiler_dealloc(ProfilerObject *self)
{
    struct sonde *sonde = self->sonde;
    PyTypeObject *type = Py_TYPE(self);

    Py_BEGIN_ALLOW_THREADS sonde_close(
        sonde); /* Waits for the ticker, which may want the interpreter. */
    Py_END_ALLOW_THREADS type->tp_free((PyObject *)self);
}

static PyObject *profiler_timer(ProfilerObject *self, PyObject *const *arguments, Py_ssize_t count,
                                PyObject *keyword_names)
{
    PyObject *metadata = count > 1 ? arguments[1] : NULL;
    Py_ssize_t keyword_count = keyword_names == NULL ? 0 : PyTuple_GET_SIZE(keyword_names);

    if (keyword_count == 1 && count == 1 &&
        PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(keyword_names, 0), "metadata") == 0)
        metadata = arguments[1];
    else if (keyword_count != 0 || count < 1 || count > 2)
        return PyErr_Format(PyExc_TypeError, "timer(name, metadata=None)");
    if (metadata == Py_None)
        metadata = NULL;
    if (metadata != NULL && !PyDict_Check(metadata))
        return PyErr_Format(PyExc_TypeError, "metadata is a dict, not %s",
                            Py_TYPE(metadata)->tp_name);
    return (PyObject *)timer_new(self, arguments[0], metadata);
}

static struct sonde_operation *operation_of(ProfilerObject *self, PyObject *name)
{
    const char *text = PyUnicode_AsUTF8(name);

    return text == NULL ? NULL : sonde_operation(self->sonde, text);
}

static PyObject *profiler_record(ProfilerObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"name", "duration_ms", "failed", NULL};
    PyObject *name;
    double duration_ms;
    int failed = 0;

    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "Ud|p:record", names, &name, &duration_ms,
                                     &failed))
        return NULL;
    struct sonde_operation *operation = operation_of(self, name);
    if (operation == NULL && PyErr_Occurred())
        return NULL;
    if (!(duration_ms >= 0) || duration_ms > 9e12)
        return PyErr_Format(PyExc_ValueError, "a duration is not negative");
    sonde_record(operation, (int64_t)(duration_ms * 1e6), failed);
    Py_RETURN_NONE;
}

static PyObject *stats_dict(const struct sonde_stats *stats)
{
    return Py_BuildValue(
        "{s:K,s:K,s:K,s:d,s:d,s:d,s:d,s:d,s:d,s:d,s:d,s:d,s:d,s:d,s:d,s:d}", "count",
        (unsigned long long)stats->count, "successes", (unsigned long long)stats->successes,
        "failures", (unsigned long long)stats->failures, "success_rate", stats->success_rate,
        "throughput_rps", stats->throughput_rps, "throughput_now_rps", stats->throughput_now_rps,
        "throughput_peak_rps", stats->throughput_peak_rps, "mean_ms", stats->mean_ms, "min_ms",
        stats->min_ms, "max_ms", stats->max_ms, "p50_ms", stats->p50_ms, "p90_ms", stats->p90_ms,
        "p95_ms", stats->p95_ms, "p99_ms", stats->p99_ms, "p999_ms", stats->p999_ms, "elapsed_s",
        stats->elapsed_s);
}

static PyObject *profiler_operation_stats(ProfilerObject *self, PyObject *name)
{
    struct sonde_stats stats;

    if (!PyUnicode_Check(name))
        return PyErr_Format(PyExc_TypeError, "an operation's name is a str");
    struct sonde_operation *operation = operation_of(self, name);
    if (operation == NULL && PyErr_Occurred())
        return NULL;
    if (!sonde_operation_stats(operation, &stats))
        Py_RETURN_NONE;
    return stats_dict(&stats);
}

static PyObject *profiler_overall_stats(ProfilerObject *self, PyObject *unused)
{
    struct sonde_stats stats;

    (void)unused;                                   /* METH_NOARGS. */
    (void)sonde_overall_stats(self->sonde, &stats); /* Zeros say that there is nothing. */
    return stats_dict(&stats);
}

static PyObject *profiler_operations(ProfilerObject *self, PyObject *unused)
{
    struct sonde_operation *operations[SONDE_OPERATIONS_MAX];
    size_t count = sonde_operations(self->sonde, operations, SONDE_OPERATIONS_MAX);
    PyObject *names = PyList_New(0);

    (void)unused; /* METH_NOARGS. */
    for (size_t i = 0; names != NULL && i < count && i < SONDE_OPERATIONS_MAX; i++) {
        PyObject *name = PyUnicode_DecodeUTF8(
            sonde_operation_name(operations[i]),
            (Py_ssize_t)strlen(sonde_operation_name(operations[i])), "replace");
        if (name == NULL || PyList_Append(names, name) != 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

static PyObject *profiler_slowest(ProfilerObject *self, PyObject *name)
{
    char metadata[SONDE_METADATA_BYTES_MAX + 1];

    if (!PyUnicode_Check(name))
        return PyErr_Format(PyExc_TypeError, "an operation's name is a str");
    struct sonde_operation *operation = operation_of(self, name);
    if (operation == NULL && PyErr_Occurred())
        return NULL;
    int64_t slowest_ns = sonde_slowest(operation, metadata, sizeof(metadata));
    if (slowest_ns < 0)
        Py_RETURN_NONE;
    return Py_BuildValue("(ds)", (double)slowest_ns / 1e6, metadata);
}

static PyObject *profiler_set_promise(ProfilerObject *self, PyObject *arguments)
{
    const char *operation;
    const char *key;
    double value;

    if (!PyArg_ParseTuple(arguments, "zsd:set_promise", &operation, &key, &value))
        return NULL;
    if (!sonde_sla_set(self->sonde, operation, key, value))
        return PyErr_Format(PyExc_ValueError, "'%s' is no target, or its value is negative", key);
    Py_RETURN_NONE;
}

static void append_sentence(void *list, const char *operation, const char *sentence)
{
    PyObject *text = PyUnicode_DecodeUTF8(sentence, (Py_ssize_t)strlen(sentence), "replace");

    (void)operation; /* The sentence names it. */
    if (text == NULL || PyList_Append(list, text) != 0)
        PyErr_Clear(); /* No memory for a sentence: the count still tells. */
    Py_XDECREF(text);
}

static PyObject *profiler_violations(ProfilerObject *self, PyObject *unused)
{
    PyObject *sentences = PyList_New(0);

    (void)unused; /* METH_NOARGS. */
    if (sentences != NULL)
        (void)sonde_sla_check(self->sonde, append_sentence, sentences); /* The list's length. */
    return sentences;
}

static PyObject *profiler_report(ProfilerObject *self, PyObject *arguments)
{
    int form;
    int colour = 0;
    size_t size = 0;

    if (!PyArg_ParseTuple(arguments, "i|p:report", &form, &colour))
        return NULL;
    char *text = sonde_report(self->sonde, (enum sonde_form)form, colour, &size);
    if (text == NULL)
        return PyErr_NoMemory();
    PyObject *result = PyUnicode_DecodeUTF8(text, (Py_ssize_t)size, "replace");
    free(text);
    return result;
}

static PyObject *profiler_reset(ProfilerObject *self, PyObject *unused)
{
    (void)unused; /* METH_NOARGS. */
    sonde_reset(self->sonde);
    Py_RETURN_NONE;
}

static PyObject *profiler_count(ProfilerObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"name", "amount", NULL};
    const char *name;
    unsigned long long amount = 1;

    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "s|K:count", names, &name, &amount))
        return NULL;
    struct sonde_counter *counter = sonde_counter(self->sonde, name);
    sonde_count_add(counter, amount);
    return PyLong_FromUnsignedLongLong(sonde_count_value(counter));
}

static PyObject *profiler_gauge(ProfilerObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"name", "value", NULL};
    const char *name;
    double value;

    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "sd:gauge", names, &name, &value))
        return NULL;
    sonde_gauge_set(sonde_gauge(self->sonde, name), value);
    Py_RETURN_NONE;
}

static PyObject *profiler_drops(ProfilerObject *self, PyObject *unused)
{
    struct sonde_drops drops;

    (void)unused; /* METH_NOARGS. */
    sonde_read_drops(self->sonde, &drops);
    return Py_BuildValue("{s:K,s:K,s:K}", "records", (unsigned long long)drops.records, "names_cut",
                         (unsigned long long)drops.names_cut, "names_shared",
                         (unsigned long long)drops.names_shared);
}

static PyObject *profiler_get_level(ProfilerObject *self, void *unused)
{
    static const char *const names[] = {"disabled", "basic", "standard", "detailed"};

    (void)unused; /* No closure. */
    return PyUnicode_FromString(names[sonde_get_level(self->sonde)]);
}

static int profiler_set_level(ProfilerObject *self, PyObject *value, void *unused)
{
    enum sonde_level level;
    const char *name = value == NULL ? "" : PyUnicode_AsUTF8(value);

    (void)unused; /* No closure. */
    if (name == NULL || parse_level(name, &level) != 0)
        return -1;
    sonde_set_level(self->sonde, level);
    return 0;
}

static PyMethodDef profiler_methods[] = {
    {"timer", (PyCFunction)(void (*)(void))profiler_timer, METH_FASTCALL | METH_KEYWORDS,
     "timer(name, metadata=None): a context manager and decorator."},
    {"record", (PyCFunction)(void (*)(void))profiler_record, METH_VARARGS | METH_KEYWORDS,
     "record(name, duration_ms, failed=False): a duration measured elsewhere."},
    {"count", (PyCFunction)(void (*)(void))profiler_count, METH_VARARGS | METH_KEYWORDS,
     "count(name, amount=1): adds to a counter and returns its value."},
    {"gauge", (PyCFunction)(void (*)(void))profiler_gauge, METH_VARARGS | METH_KEYWORDS,
     "gauge(name, value): sets a gauge."},
    {"reset", (PyCFunction)profiler_reset, METH_NOARGS, "Everything counts from zero again."},
    {"slowest", (PyCFunction)profiler_slowest, METH_O,
     "slowest(name): (milliseconds, metadata) of the slowest call at the detailed level, or None."},
    {"dropped", (PyCFunction)profiler_drops, METH_NOARGS, "What had to be left out, by reason."},
    {"_operation_stats", (PyCFunction)profiler_operation_stats, METH_O, NULL},
    {"_overall_stats", (PyCFunction)profiler_overall_stats, METH_NOARGS, NULL},
    {"_operations", (PyCFunction)profiler_operations, METH_NOARGS, NULL},
    {"_set_promise", (PyCFunction)profiler_set_promise, METH_VARARGS, NULL},
    {"_violations", (PyCFunction)profiler_violations, METH_NOARGS, NULL},
    {"_report", (PyCFunction)profiler_report, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef profiler_attributes[] = {
    {"level", (getter)profiler_get_level, (setter)profiler_set_level,
     "How much is recorded: disabled, basic, standard or detailed.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyTypeObject ProfilerType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "sonde._native.Profiler",
    .tp_doc = "A handle of libsonde.",
    .tp_basicsize = sizeof(ProfilerObject),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)profiler_init,
    .tp_dealloc = (destructor)profiler_dealloc,
    .tp_methods = profiler_methods,
    .tp_getset = profiler_attributes,
};

/* ---- Module ---- */

static PyObject *set_decorator(PyObject *module, PyObject *function)
{
    (void)module; /* One per process. */
    Py_INCREF(function);
    Py_XSETREF(decorate, function);
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"_set_decorator", set_decorator, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "sonde._native",   .m_doc = "libsonde for CPython.",
    .m_size = -1,          .m_methods = module_methods,
};

PyMODINIT_FUNC PyInit__native(void)
{
    if (PyType_Ready(&TimerType) != 0 || PyType_Ready(&ProfilerType) != 0)
        return NULL;
    PyObject *self = PyModule_Create(&module);
    if (self == NULL)
        return NULL;
    Py_INCREF(&ProfilerType);
    Py_INCREF(&TimerType);
    if (PyModule_AddObject(self, "Profiler", (PyObject *)&ProfilerType) != 0 ||
        PyModule_AddObject(self, "Timer", (PyObject *)&TimerType) != 0 ||
        PyModule_AddStringConstant(self, "version", sonde_version()) != 0) {
        Py_DECREF(self);
        return NULL;
    }
    return self;
}
