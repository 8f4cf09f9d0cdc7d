/* SPDX-License-Identifier: Apache-2.0 */
/* scenario - a YAML file that says what users do, read into a plan (docs/manual/scenarios.md).
 *
 * All mistakes are found here, before the first request, each with file, line and column. Files
 * that it names are found beside it. */
#pragma once
#include "load/plan.h"

enum { SCENARIO_BYTES_MAX = 4 << 20 };

/* How much load the file asks for; what it does not say is 0 or STR_NONE. */
struct scenario_load {
    double users;
    double rate;
    int64_t length_ns;
    struct str pattern;
    struct str test;
};

/* Adds what the file says to a new plan. ERR_INVALID, ERR_NOT_FOUND, ERR_LIMIT. */
CHECKED enum err scenario_read(struct plan *plan, const char *path, struct scenario_load *ret_load,
                               struct why *why);
