/* SPDX-License-Identifier: Apache-2.0 */
/* figures - named numbers of a machine, asked in PromQL: the rows of figures.def.
 *
 * Functions belong to the thread that has the call. */
#pragma once
#include "query/promql.h"
#include "serve/call.h"

#define FIGURES_MAX 64

struct figure {
    const char *name;
    const char *expr; /* With $w for the window of rates. */
};

extern const struct figure figures[];
extern const size_t figures_count;

/* Which figures: indices into figures[], in the table's order. */
struct figure_choice {
    size_t items[FIGURES_MAX];
    size_t count;
};

/* "cpu_percent,load1"; all when empty. ERR_INVALID names the one that there is not. */
CHECKED enum err figures_choose(struct str names, struct figure_choice *ret_choice,
                                struct why *why);
CHECKED enum err figures_add(struct str name, struct figure_choice *choice, struct why *why);

struct figure_range {
    int64_t start_ms;
    int64_t end_ms;
    int64_t step_ms; /* 0: one moment, start_ms. */
};

/* Asks one; the result lives in the call's arena. */
CHECKED enum err figure_ask(struct call *call, const struct figure *figure,
                            const struct figure_range *range, struct promql_result *ret_result,
                            struct why *why);
/* Asks any expression, with $w filled in. */
CHECKED enum err figure_ask_text(struct call *call, struct str expr,
                                 const struct figure_range *range, struct promql_result *ret_result,
                                 struct why *why);

/* The one value at a moment; NAN when there is none. */
CHECKED enum err figure_value(struct call *call, const struct figure *figure, int64_t time_ms,
                              double *ret_value, struct why *why);
