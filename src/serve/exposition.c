/* SPDX-License-Identifier: Apache-2.0 */
/* The newest value of every series as exposition text: what Prometheus scrapes, and what people
 * know from the older systems. A series that ended or has been silent for five minutes is not in
 * it. */
#include "serve/params.h"
#include "serve/server_priv.h"

#include "base/clock.h"
#include "codec/prometheus_write.h"
#include "query/promql.h"
#include "store/store_read.h"

/* All series, or those that any match[] selects. */
static enum err select_series(struct call *call, struct params_selectors *selectors, int64_t now_ms,
                              struct series_set *ret_sets, size_t *ret_count, struct why *why)
{
    const int64_t from_ms = now_ms - PROMQL_LOOKBACK_MS;

    TRY(params_selectors(call, selectors, why));
    *ret_count = selectors->count == 0 ? 1 : selectors->count;
    if (selectors->count == 0)
        return call->view->ops->select(call->view, NULL, 0, from_ms, now_ms, call->arena, ret_sets,
                                       why);
    for (size_t i = 0; i < selectors->count; i++) {
        size_t count;
        const struct matcher *matchers = params_matchers(selectors, i, &count);
        TRY(call->view->ops->select(call->view, matchers, count, from_ms, now_ms, call->arena,
                                    &ret_sets[i], why));
    }
    return ERR_NONE;
}

/* Appends the newest sample of each series of the set. */
static enum err read_newest(struct call *call, const struct series_set *set, int64_t now_ms,
                            struct sample *samples, size_t *count, struct why *why)
{
    int64_t *times = ARENA_ARRAY(call->arena, set->count + 1, int64_t);
    double *values = ARENA_ARRAY(call->arena, set->count + 1, double);

    if (times == NULL || values == NULL)
        return arena_spent(call->arena, "the newest values", why);
    TRY(call->view->ops->instant(call->view, set, now_ms, PROMQL_LOOKBACK_MS, call->arena, times,
                                 values, why));
    for (size_t i = 0; i < set->count; i++) {
        if (times[i] == INT64_MIN || metric_is_stale(values[i]))
            continue;
        samples[(*count)++] = (struct sample){set->items[i].labels, times[i], values[i]};
    }
    return ERR_NONE;
}

static enum err work_metrics(struct call *call, struct why *why)
{
    CLEANUP(params_selectors_done) struct params_selectors selectors = {.count = 0};
    struct series_set sets[PARAMS_SELECTORS_MAX];
    struct metric_info_list infos;
    size_t sets_count;
    size_t total = 0;
    size_t count = 0;
    int64_t now_ms = clock_now_ms();

    TRY(select_series(call, &selectors, now_ms, sets, &sets_count, why));
    for (size_t i = 0; i < sets_count; i++)
        total += sets[i].count;
    struct sample *samples = ARENA_ARRAY(call->arena, total + 1, struct sample);
    if (samples == NULL)
        return arena_spent(call->arena, "the newest values", why);
    for (size_t i = 0; i < sets_count; i++)
        TRY(read_newest(call, &sets[i], now_ms, samples, &count, why));
    TRY(call->view->ops->metadata(call->view, STR_NONE, call->arena, &infos, why));

    enum prometheus_format format =
        prometheus_negotiate(exchange_header(call->exchange, STR("accept")));
    call->answer.content_type = str_of(prometheus_content_type(format));
    prometheus_write(&call->answer.body, format, infos.items, infos.count, samples, count, false);
    return ERR_NONE;
}

void route_metrics(struct call *call)
{
    call_work(call, CALL_NEEDS_VIEW, work_metrics);
}
