/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/trace_visit.h"

enum { CROWDED_PART = 4 }; /* Of the memory: the rest is for what is found out about them. */

/* *ret_fits is false, and nothing was shown, when several traces are so large that each needs the
 * memory for itself. */
static enum err visit_few(const struct trace_visit *visit, const uint8_t (*ids)[TRACE_ID_BYTES],
                          size_t count, bool *ret_fits, struct why *why)
{
    struct span_list lists[TRACE_VISIT_BATCH] = {{NULL, 0}};

    arena_clear(visit->scratch);
    enum err err =
        visit->view->ops->traces->traces(visit->view, ids, count, visit->scratch, lists, why);
    bool is_crowded = err == ERR_LIMIT ||
                      arena_used(visit->scratch) > arena_budget(visit->scratch) / CROWDED_PART;
    *ret_fits = count == 1 || !is_crowded;
    if (!*ret_fits)
        return ERR_NONE;
    TRY(err);
    for (size_t i = 0; i < count; i++) {
        if (lists[i].count > 0)
            TRY(visit->show(visit->self, ids[i], &lists[i], why));
    }
    return ERR_NONE;
}

enum err trace_visit_all(const struct trace_visit *visit, const uint8_t (*ids)[TRACE_ID_BYTES],
                         size_t count, struct why *why)
{
    for (size_t at = 0; at < count; at += TRACE_VISIT_BATCH) {
        size_t few = count - at < TRACE_VISIT_BATCH ? count - at : TRACE_VISIT_BATCH;
        bool fits;
        if (visit->view->cancel != NULL && *visit->view->cancel)
            return fail(why, ERR_CANCELLED, "looking through traces was cancelled");
        TRY(visit_few(visit, ids + at, few, &fits, why));
        for (size_t i = 0; !fits && i < few; i++)
            TRY(visit_few(visit, ids + at + i, 1, &(bool){false}, why));
    }
    return ERR_NONE;
}
