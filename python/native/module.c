/* SPDX-License-Identifier: Apache-2.0 */
/* _native - libsonde for CPython: the module that holds the types of this folder. */
#include "native.h"

PyObject *native_decorate;

/* Keeps a callable of Python in a place of ours; None empties it. */
static PyObject *keep(PyObject **place, PyObject *function)
{
    if (function == Py_None)
        function = NULL;
    Py_XINCREF(function);
    Py_XSETREF(*place, function);
    Py_RETURN_NONE;
}

static PyObject *set_decorator(PyObject *module, PyObject *function)
{
    (void)module; /* One per process. */
    return keep(&native_decorate, function);
}

static PyObject *set_extractor(PyObject *module, PyObject *function)
{
    (void)module; /* One per process. */
    return keep(&native_extract, function);
}

static PyMethodDef module_methods[] = {
    {"_set_decorator", set_decorator, METH_O, NULL},
    {"_set_extractor", set_extractor, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "sonde._native",   .m_doc = "libsonde for CPython.",
    .m_size = -1,          .m_methods = module_methods,
};

static const struct {
    const char *name; /* NULL: not for Python to make. */
    PyTypeObject *type;
} types[] = {
    {"Context", &ContextType},   {"Middleware", &MiddlewareType},
    {"Profiler", &ProfilerType}, {NULL, &RequestType},
    {"Span", &SpanType},         {"Timer", &TimerType},
};

static bool add_types(PyObject *self)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (PyType_Ready(types[i].type) != 0)
            return false;
        if (types[i].name == NULL)
            continue;
        Py_INCREF(types[i].type);
        if (PyModule_AddObject(self, types[i].name, (PyObject *)types[i].type) != 0)
            return false;
    }
    return true;
}

PyMODINIT_FUNC PyInit__native(void)
{
    PyObject *self = PyModule_Create(&module);

    if (self == NULL)
        return NULL;
    if (!add_types(self) || !native_context_init(self) ||
        PyModule_AddStringConstant(self, "version", sonde_version()) != 0)
        Py_CLEAR(self);
    return self;
}
