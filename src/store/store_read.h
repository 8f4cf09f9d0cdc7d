/* SPDX-License-Identifier: Apache-2.0 */
/* store_read - how anyone asks what the store keeps about metrics.
 *
 * A `struct store_view` answers all that was committed when it was taken, of one tenant; rows that
 * came later may show, too. Holding it never makes the writer wait. A view is used by one thread;
 * several threads take one each. Backends and tests implement `struct store_view_ops`.
 *
 * Everything returned lives in the arena that was passed, whose budget bounds the answer
 * (ERR_LIMIT). `cancel`, where given, may be set by another thread: ERR_CANCELLED. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "model/label.h"
#include "model/metric.h"

enum match_op {
    MATCH_EQUAL,     /* =  */
    MATCH_NOT_EQUAL, /* != */
    MATCH_REGEX,     /* =~ */
    MATCH_NOT_REGEX, /* !~ */
};

/* A series matches when for each matcher the label's value ("" when absent) passes. */
struct matcher {
    enum match_op op;
    struct str name;
    struct str value; /* The literal, or the pattern's source. */
    /* For the regex ops: whether the fully anchored pattern matches value. Called on the thread of
     * the view; the store calls it once per distinct value, not per series. */
    bool (*match)(const void *regex, struct str value);
    const void *regex;
    /* Optional help for the index: when literal_count > 0, the pattern matches exactly these. */
    const struct str *literals;
    size_t literal_count;
};

struct series {
    const struct labels *labels;
    uint64_t id; /* Meaningful to the view that gave it. */
};

struct series_set {
    struct series *items; /* Sorted by labels_compare. */
    size_t count;
};

/* Which number of a roll-up step is wanted, where only roll-ups are left (or are finer than need):
 * the last value (plain selectors, rate: a counter's last value of each step), or what the
 * *_over_time functions fold. Raw samples serve every field with the value itself; COUNT is 1. */
enum field {
    FIELD_LAST,
    FIELD_MIN,
    FIELD_MAX,
    FIELD_SUM,
    FIELD_COUNT,
};

struct samples {
    const int64_t *time_ms;   /* Strictly rising. */
    const double *value;      /* Every bit is kept: Prometheus' stale marker is one of the NaNs. */
    const struct str *sketch; /* Serialised sketch/quantile each, where the series holds sketches;
                                 then value is the count of observations. Else NULL. */
    size_t count;
    int64_t folded_until_ms; /* Rows before it stand for whole steps, rows of roll-ups; */
    int64_t folded_step_ms;  /* the coarsest of these steps. 0: there are none. */
};

struct read_request {
    int64_t from_ms; /* Inclusive. */
    int64_t to_ms;   /* Inclusive. */
    /* The coarsest step that still answers well: the view may read roll-ups of at most this step
     * instead of raw samples. 0: the finest there is for the range. */
    int64_t step_ms;
    enum field field;
};

struct metric_info_list {
    struct metric_info *items;
    size_t count;
};

struct str_list {
    struct str *items; /* Sorted bytewise, unique. */
    size_t count;
};

struct store_view;
struct trace_view_ops;

struct store_view_ops {
    /* Series with all matchers that may have samples in [from_ms, to_ms]. */
    enum err (*select)(struct store_view *view, const struct matcher *matchers, size_t count,
                       int64_t from_ms, int64_t to_ms, struct arena *arena,
                       struct series_set *ret_set, struct why *why);
    /* ret_samples has set->count places, in the set's order; a series without samples gets 0. */
    enum err (*read)(struct store_view *view, const struct series_set *set,
                     const struct read_request *request, struct arena *arena,
                     struct samples *ret_samples, struct why *why);
    /* The last sample of each series at or before at_ms and after at_ms - lookback_ms (left-open).
     * ret_time_ms is INT64_MIN where there is none. Both arrays have set->count places. */
    enum err (*instant)(struct store_view *view, const struct series_set *set, int64_t at_ms,
                        int64_t lookback_ms, struct arena *arena, int64_t *ret_time_ms,
                        double *ret_value, struct why *why);
    /* Label names, or the values of `name` when it is not STR_NONE, among the series selected. */
    enum err (*labels)(struct store_view *view, const struct matcher *matchers, size_t count,
                       struct str name, int64_t from_ms, int64_t to_ms, struct arena *arena,
                       struct str_list *ret_list, struct why *why);
    /* Type, unit and help of `metric`, or of all when it is STR_NONE. */
    enum err (*metadata)(struct store_view *view, struct str metric, struct arena *arena,
                         struct metric_info_list *ret_list, struct why *why);
    void (*release)(struct store_view *view);
    const struct trace_view_ops *traces; /* store/trace_read.h; NULL: keeps none. */
};

struct store_view {
    const struct store_view_ops *ops;
    const _Atomic bool *cancel; /* May be NULL. */
};

static inline void store_view_release(struct store_view *view)
{
    if (view != NULL)
        view->ops->release(view);
}

/* For CLEANUP. */
static inline void store_view_releasep(struct store_view **view)
{
    store_view_release(*view);
    *view = NULL;
}
