/* SPDX-License-Identifier: Apache-2.0 */
/* promql_functions - the functions of the language, as one table.
 *
 * A function is one row in promql_functions.def and one C function of the shape that its macro
 * says. Arguments are written as a string of letters: v instant vector, m range vector, s scalar,
 * t string; `?` makes the letter before it optional, `*` lets it repeat any number of times. */
#pragma once
#include "query/promql.h"

#include "store/store_read.h"

struct eval;
struct grid;
struct node;
struct operand;

/* The samples of one series in one window, oldest first, at least one of them. */
struct window {
    const int64_t *times;
    const double *values;
    size_t count;
    int64_t start_ms; /* Exclusive. */
    int64_t end_ms;   /* Inclusive. */
    int64_t eval_ms;  /* The step's own time; differs from end_ms by offset and @. */
    const double *parameters;
    /* Of functions that ask for them: where the value fell below the one before, as indices into
     * the run that the window is part of; the window begins at index `base` of it. */
    const uint32_t *resets;
    size_t resets_count;
    size_t base;
    double *scratch;       /* Room for count doubles, of functions that ask for it. */
    const double *weights; /* How many samples each value is the sum of; NULL: one. */
    bool weighed;          /* The values are how many samples each stands for (FIELD_COUNT). */
};

/* The value of the window, or ABSENT. */
typedef double window_function(const struct window *window);
typedef double map_function(double value);
typedef enum err call_function(struct eval *eval, const struct grid *grid, const struct node *node,
                               struct operand *ret_value);

enum function_flag {
    FUNCTION_KEEPS_NAME = 1,
    FUNCTION_RESETS = 2,     /* Wants window.resets. */
    FUNCTION_SCRATCH = 4,    /* Wants window.scratch. */
    FUNCTION_EVAL_TIME = 8,  /* Its value depends on eval_ms. */
    FUNCTION_COUNTER = 16,   /* Made for counters: says so when the name is none of one. */
    FUNCTION_ANCHORED = 32,  /* Takes an anchored range. */
    FUNCTION_SMOOTHED = 64,  /* Takes a smoothed range. */
    FUNCTION_WEIGHTS = 256,  /* Wants window.weights. */
    FUNCTION_QUANTILE = 128, /* The first parameter is a quantile: warn when out of range. */
};

struct function_row {
    const char *name;
    enum promql_type returns;
    const char *arguments;
    map_function *map;
    window_function *window;
    call_function *call;
    unsigned flags;
    enum field field; /* Which number of a roll-up the windows are made of. */
};

const struct function_row *function_find(struct str name); /* NULL when there is none. */
/* Every row, for those who list them; count in *ret_count. */
const struct function_row *function_rows(size_t *ret_count);

#define MAP(name, function)                             map_function function;
#define WINDOW(name, arguments, function, flags, field) window_function function;
#define CALL(name, returns, arguments, function)        call_function function;
#include "query/promql_functions.def"
#undef MAP
#undef WINDOW
#undef CALL
