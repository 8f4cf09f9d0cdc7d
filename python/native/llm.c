/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a model call: a dict of Python becomes a struct of libsonde. What the dict does not
 * hold, or holds as None, is not known, which is not the same as zero. */
#include "native.h"

#include <stddef.h>
#include <string.h>

enum kind { TEXT, COUNT, SMALL, MILLISECONDS, SECONDS, DOLLARS, TRUTH };

static const struct field {
    const char *name;
    enum kind kind;
    size_t offset;
} fields_known[] = {
#define FIELD(name, kind, member)                           \
    {                                                       \
        name, kind, offsetof(struct sonde_llm_call, member) \
    }
    FIELD("operation", TEXT, operation),
    FIELD("call_id", TEXT, call_id),
    FIELD("session_id", TEXT, session_id),
    FIELD("provider", TEXT, backend),
    FIELD("model", TEXT, model),
    FIELD("response_model", TEXT, model_answering),
    FIELD("finish_reason", TEXT, finish_reason),
    FIELD("error_type", TEXT, error_type),
    FIELD("start_time", SECONDS, start_unix_ns),
    FIELD("duration_ms", MILLISECONDS, duration_ns),
    FIELD("network_ms", MILLISECONDS, network_ns),
    FIELD("processing_ms", MILLISECONDS, processing_ns),
    FIELD("time_to_first_token_ms", MILLISECONDS, first_token_ns),
    FIELD("input_tokens", COUNT, input_tokens),
    FIELD("output_tokens", COUNT, output_tokens),
    FIELD("cache_read_tokens", COUNT, cache_read_tokens),
    FIELD("cache_creation_tokens", COUNT, cache_creation_tokens),
    FIELD("cost_usd", DOLLARS, cost_nano_usd),
    FIELD("retries", SMALL, retries),
    FIELD("streamed", TRUTH, streamed),
    FIELD("circuit_open", TRUTH, circuit_open),
#undef FIELD
};

static const struct field *find(const char *name)
{
    for (size_t i = 0; i < sizeof(fields_known) / sizeof(fields_known[0]); i++) {
        if (strcmp(fields_known[i].name, name) == 0)
            return &fields_known[i];
    }
    PyErr_Format(PyExc_TypeError, "a model call has no field '%.80s'", name);
    return NULL;
}

static double nanoseconds_per(enum kind kind)
{
    return kind == MILLISECONDS ? 1e6 : 1e9; /* Also nano-dollars per dollar. */
}

static bool read_number(const struct field *field, PyObject *value, char *place)
{
    double number = PyFloat_AsDouble(value);

    if (number == -1 && PyErr_Occurred())
        return false;
    number *= field->kind == COUNT || field->kind == SMALL ? 1 : nanoseconds_per(field->kind);
    if (!(number >= 0) || number > (field->kind == SMALL ? 1e9 : 9e18)) {
        PyErr_Format(PyExc_ValueError, "%s is a number, and not negative", field->name);
        return false;
    }
    if (field->kind == SMALL)
        *(int32_t *)(void *)place = (int32_t)number;
    else
        *(int64_t *)(void *)place = (int64_t)number;
    return true;
}

static bool read_field(const struct field *field, PyObject *value, struct sonde_llm_call *call)
{
    char *place = (char *)call + field->offset;

    if (field->kind == TEXT) {
        const char *text = PyUnicode_Check(value) ? PyUnicode_AsUTF8(value) : NULL;
        if (text == NULL && !PyErr_Occurred())
            PyErr_Format(PyExc_TypeError, "%s is a str", field->name);
        *(const char **)(void *)place = text;
        return text != NULL;
    }
    if (field->kind == TRUTH) {
        int truth = PyObject_IsTrue(value);
        *(bool *)(void *)place = truth > 0;
        return truth >= 0;
    }
    return read_number(field, value, place);
}

bool native_llm_read(PyObject *fields, struct sonde_llm_call *call)
{
    PyObject *key;
    PyObject *value;
    Py_ssize_t at = 0;

    if (!PyDict_Check(fields)) {
        PyErr_SetString(PyExc_TypeError, "the fields of a model call are a dict");
        return false;
    }
    while (PyDict_Next(fields, &at, &key, &value)) {
        const char *name = PyUnicode_AsUTF8(key);
        const struct field *field = name == NULL ? NULL : find(name);
        if (field == NULL || (value != Py_None && !read_field(field, value, call)))
            return false;
    }
    return true;
}
