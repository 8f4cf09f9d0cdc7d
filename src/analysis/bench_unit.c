/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/bench_unit.h"

#include "base/must.h"

#include <string.h>

static const struct unit {
    const char *name;
    char kind;
    double size;
} units[] = {
    {"ns", 't', 1e-9},     {"us", 't', 1e-6},     {"µs", 't', 1e-6},
    {"μs", 't', 1e-6}, /* Of the Greek alphabet; the one above is the micro sign. */
    {"ms", 't', 1e-3},     {"s", 't', 1},         {"sec", 't', 1},
    {"seconds", 't', 1},   {"min", 't', 60},      {"B", 'b', 1},
    {"bytes", 'b', 1},     {"kB", 'b', 1e3},      {"KB", 'b', 1e3},
    {"MB", 'b', 1e6},      {"GB", 'b', 1e9},      {"KiB", 'b', 1 << 10},
    {"MiB", 'b', 1 << 20}, {"GiB", 'b', 1 << 30}, {"%", 'r', 0.01},
    {"ratio", 'r', 1},
};

static const struct unit *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (strcmp(units[i].name, name) == 0)
            return &units[i];
    }
    return NULL;
}

bool bench_unit_factor(const char *from, const char *to, double *ret_factor)
{
    const struct unit *before = find(from);
    const struct unit *after = find(to);

    if (strcmp(from, to) == 0 || from[0] == '\0' || to[0] == '\0')
        *ret_factor = 1;
    else if (before != NULL && after != NULL && before->kind == after->kind)
        *ret_factor = before->size / after->size;
    else
        return false;
    return true;
}
