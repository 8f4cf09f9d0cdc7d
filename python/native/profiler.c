/* SPDX-License-Identifier: Apache-2.0 */
/* A profiler is a handle of libsonde. Everything that is on no
 * hot path (decorators, reports as objects, SLA files, instrumentation) is Python. */
#include "native.h"

#include <stdlib.h>
#include <string.h>

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
    static char *names[] = {"service_name", "level", "endpoint", "sample_ratio", NULL};
    struct sonde_options options;
    const char *level = NULL;

    if (self->sonde != NULL) { /* Timers hold pointers into it. */
        PyErr_SetString(PyExc_RuntimeError, "a profiler is opened once");
        return -1;
    }
    sonde_options_init(&options);
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|zzzd:Profiler", names,
                                     &options.service_name, &level, &options.endpoint,
                                     &options.sample_ratio))
        return -1;
    if (level != NULL && parse_level(level, &options.level) != 0)
        return -1;
    if (!(options.sample_ratio >= 0 && options.sample_ratio <= 1)) {
        PyErr_SetString(PyExc_ValueError, "sample_ratio is a number from 0 to 1");
        return -1;
    }
    self->sonde = sonde_open(&options);
    if (self->sonde == NULL) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    const char *endpoint = options.endpoint != NULL ? options.endpoint : getenv("SONDE_ENDPOINT");
    self->has_endpoint = endpoint != NULL && endpoint[0] != '\0';
    return 0;
}

static int profiler_traverse(ProfilerObject *self, visitproc visit, void *arg)
{
    Py_VISIT(self->collectors);
    return 0;
}

static int profiler_clear(ProfilerObject *self)
{
    atomic_store(&self->collects, false);
    Py_CLEAR(self->collectors);
    return 0;
}

static void profiler_dealloc(ProfilerObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    (void)profiler_clear(self); /* From now on the ticker finds none to call. */
    PyThreadState *thread = PyEval_SaveThread();
    sonde_close(self->sonde); /* Waits for the ticker, which may want the interpreter. */
    PyEval_RestoreThread(thread);
    type->tp_free((PyObject *)self);
}

static bool is_open(const ProfilerObject *self)
{
    if (self->sonde == NULL)
        PyErr_SetString(PyExc_RuntimeError,
                        "the profiler was never opened: call Profiler.__init__");
    return self->sonde != NULL;
}

/* ---- Timers and spans. ---- */

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
    return is_open(self) ? native_timer_new(self, arguments[0], metadata) : NULL;
}

static PyObject *profiler_span(ProfilerObject *self, PyObject *arguments, PyObject *keywords)
{
    return is_open(self) ? native_span_new(self, arguments, keywords) : NULL;
}

static PyObject *profiler_record_llm(ProfilerObject *self, PyObject *arguments, PyObject *keywords)
{
    static const struct sonde_context nowhere;
    struct sonde_llm_call call = SONDE_LLM_CALL_INIT;

    if (PyTuple_GET_SIZE(arguments) != 0)
        return PyErr_Format(PyExc_TypeError, "record_llm_call takes its fields by name");
    if (!is_open(self) || (keywords != NULL && !native_llm_read(keywords, &call)))
        return NULL;
    const ContextObject *parent = native_context_now();
    sonde_llm_record(self->sonde, &call, parent == NULL ? &nowhere : &parent->context);
    Py_RETURN_NONE;
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
        return PyErr_Format(PyExc_ValueError, "'%s' is no target, or its value is out of range",
                            key);
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
    char *text = sonde_report_text(self->sonde, (enum sonde_form)form, colour, &size);
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

/* ---- Collectors. ---- */

_Static_assert(SONDE_COLLECTORS_MAX <= 64, "failed_collectors has a bit for each");

/* On the library's own thread, without the interpreter's lock. No reference to self is taken: it
 * may be dying, and waits for this thread then. */
static void collect(struct sonde *sonde, void *argument)
{
    ProfilerObject *self = argument;

    (void)sonde; /* Is self->sonde. */
    if (!atomic_load(&self->collects))
        return;
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *collectors = self->collectors == NULL
                               ? NULL
                               : PyList_GetSlice(self->collectors, 0, SONDE_COLLECTORS_MAX);
    for (Py_ssize_t i = 0; collectors != NULL && i < PyList_GET_SIZE(collectors); i++) {
        PyObject *done = PyObject_CallFunctionObjArgs(PyList_GET_ITEM(collectors, i), NULL);
        if (done == NULL && (self->failed_collectors >> i & 1) == 0)
            PyErr_WriteUnraisable(PyList_GET_ITEM(collectors, i)); /* Told once, not each second. */
        if (done == NULL)
            self->failed_collectors |= UINT64_C(1) << i;
        PyErr_Clear();
        Py_XDECREF(done);
    }
    Py_XDECREF(collectors);
    PyErr_Clear(); /* Without memory for the list this second has no numbers. */
    PyGILState_Release(state);
}

static PyObject *profiler_add_collector(ProfilerObject *self, PyObject *function)
{
    if (!is_open(self))
        return NULL;
    if (!PyCallable_Check(function))
        return PyErr_Format(PyExc_TypeError, "a collector is called; %s cannot be",
                            Py_TYPE(function)->tp_name);
    if (self->collectors == NULL)
        self->collectors = PyList_New(0);
    if (self->collectors == NULL)
        return NULL;
    if (PyList_GET_SIZE(self->collectors) >= SONDE_COLLECTORS_MAX)
        return PyErr_Format(PyExc_ValueError, "a profiler has at most %d collectors",
                            SONDE_COLLECTORS_MAX);
    if (PyList_Append(self->collectors, function) != 0)
        return NULL;
    if (!atomic_exchange(&self->collects, true) && !self->is_registered)
        self->is_registered = sonde_collect(self->sonde, collect, self);
    Py_INCREF(function); /* So that it can be a decorator. */
    return function;
}

static PyObject *profiler_drop_collectors(ProfilerObject *self, PyObject *unused)
{
    (void)unused;               /* METH_NOARGS. */
    (void)profiler_clear(self); /* Cannot fail. */
    Py_RETURN_NONE;
}

/* ---- To the daemon. ---- */

static PyObject *profiler_flush(ProfilerObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"timeout_ms", NULL};
    long long timeout_ms = 1000;

    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|L:flush", names, &timeout_ms) ||
        !is_open(self))
        return NULL;
    PyThreadState *thread = PyEval_SaveThread();
    bool flushed = sonde_flush(self->sonde, timeout_ms);
    PyEval_RestoreThread(thread);
    return PyBool_FromLong(flushed);
}

static PyObject *profiler_delivery(ProfilerObject *self, PyObject *unused)
{
    struct sonde_delivery delivery;

    (void)unused; /* METH_NOARGS. */
    sonde_read_delivery(self->sonde, &delivery);
    return Py_BuildValue("{s:O,s:K,s:K,s:K,s:K,s:K,s:O,s:s}", "has_endpoint",
                         self->has_endpoint ? Py_True : Py_False, "posts",
                         (unsigned long long)delivery.posts, "posts_failed",
                         (unsigned long long)delivery.posts_failed, "spans_sent",
                         (unsigned long long)delivery.spans_sent, "spans_dropped",
                         (unsigned long long)delivery.spans_dropped, "spans_waiting",
                         (unsigned long long)delivery.spans_waiting, "is_away",
                         delivery.is_away ? Py_True : Py_False, "last_error", delivery.last_error);
}

/* ---- What was left out, and levels. ---- */

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
    {"span", (PyCFunction)(void (*)(void))profiler_span, METH_VARARGS | METH_KEYWORDS,
     "span(name, kind='internal', attributes=None, parent=None): a timer with a place in a trace."},
    {"record_llm_call", (PyCFunction)(void (*)(void))profiler_record_llm,
     METH_VARARGS | METH_KEYWORDS,
     "record_llm_call(model=..., duration_ms=..., ...): a model call that was made elsewhere."},
    {"record", (PyCFunction)(void (*)(void))profiler_record, METH_VARARGS | METH_KEYWORDS,
     "record(name, duration_ms, failed=False): a duration measured elsewhere."},
    {"count", (PyCFunction)(void (*)(void))profiler_count, METH_VARARGS | METH_KEYWORDS,
     "count(name, amount=1): adds to a counter and returns its value."},
    {"gauge", (PyCFunction)(void (*)(void))profiler_gauge, METH_VARARGS | METH_KEYWORDS,
     "gauge(name, value): sets a gauge."},
    {"add_collector", (PyCFunction)profiler_add_collector, METH_O,
     "add_collector(function): called once a second on a thread of the library, without arguments;"
     " returns the function."},
    {"flush", (PyCFunction)(void (*)(void))profiler_flush, METH_VARARGS | METH_KEYWORDS,
     "flush(timeout_ms=1000): sends what was recorded so far; whether the daemon has taken it."},
    {"delivery", (PyCFunction)profiler_delivery, METH_NOARGS, "How sending to the daemon goes."},
    {"_drop_collectors", (PyCFunction)profiler_drop_collectors, METH_NOARGS, NULL},
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

PyTypeObject ProfilerType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "sonde._native.Profiler",
    .tp_doc = "A handle of libsonde.",
    .tp_basicsize = sizeof(ProfilerObject),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = (traverseproc)profiler_traverse,
    .tp_clear = (inquiry)profiler_clear,
    .tp_free = PyObject_GC_Del,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)profiler_init,
    .tp_dealloc = (destructor)profiler_dealloc,
    .tp_methods = profiler_methods,
    .tp_getset = profiler_attributes,
};
