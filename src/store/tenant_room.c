/* SPDX-License-Identifier: Apache-2.0 */
/* What is in memory has a measure, in rows and in bytes. Past it the head becomes blocks; under
 * heavy ingest it may grow further, so that blocks are large at once. Days that nobody writes to
 * are sealed and rest; series that are silent are active no more. */
#include "store/tenant_priv.h"

#include "base/clock.h"
#include "store/rollup.h"

enum {
    ACTIVE_SCAN_MS = 60000,
    HEAVY_FACTOR = 8, /* Times head_bytes that the head may take while rows come fast. */
};

static const int64_t COMPACT_SLICE_NS = 20 * CLOCK_NS_PER_MS;
static const int64_t HEAVY_NS = 30 * CLOCK_NS_PER_S; /* A head filled sooner was filled fast. */

static uint64_t rows_by_memory(const struct tenant *tenant)
{
    return tenant->options->head_bytes / (sizeof(uint32_t) + sizeof(double));
}

/* Rows that the head may hold before it is sealed. */
static uint64_t head_rows_max(const struct tenant *tenant)
{
    uint64_t by_memory = rows_by_memory(tenant);
    uint64_t by_series = (uint64_t)tenant->active * HEAD_CHUNK_ROWS_MIN * 2;

    return by_memory > by_series ? by_memory : by_series;
}

/* Under heavy ingest the head may grow: blocks are then large at once, and need no compaction. */
static bool head_is_full(const struct tenant *tenant, uint64_t rows)
{
    if (rows < head_rows_max(tenant))
        return false;
    return rows >= HEAVY_FACTOR * rows_by_memory(tenant) ||
           clock_monotonic_ns() - tenant->sealed_ns >= HEAVY_NS;
}

void tenant_fit_chunks(struct tenant *tenant)
{
    uint64_t active = tenant->active == 0 ? 1 : tenant->active;
    uint64_t rows = head_rows_max(tenant) / active;

    if (rows < HEAD_CHUNK_ROWS_MIN)
        rows = HEAD_CHUNK_ROWS_MIN;
    tenant->head.chunk_rows = rows > HEAD_CHUNK_ROWS_MAX ? HEAD_CHUNK_ROWS_MAX : (uint32_t)rows;
}

static enum err seal_full_traces(struct tenant *tenant, struct why *why)
{
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        struct day *day = tenant->stages[i].day;
        if (day != NULL && day->waiting.items > 0)
            TRY(traces_judge(tenant, day, false, why));
        if (day != NULL &&
            (day->pending_items >= TRACES_SEAL_ITEMS || day->pending_bytes >= TRACES_SEAL_BYTES))
            TRY(traces_seal(tenant, day, why));
    }
    return ERR_NONE;
}

/* Before a batch: what the head holds beyond its measure goes to blocks. */
enum err tenant_make_room(struct tenant *tenant, struct why *why)
{
    uint64_t rows = 0;

    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        if (!stage_is_empty(&tenant->stages[i]))
            return ERR_NONE; /* In the middle of a group of batches. */
        if (tenant->stages[i].day != NULL)
            rows += tenant->stages[i].day->pending_samples;
    }
    TRY(seal_full_traces(tenant, why));
    if (!head_is_full(tenant, rows)) {
        if (tenant->compact_wanted)
            TRY(tenant_compact(tenant, COMPACT_SLICE_NS / 4, why));
        return ERR_NONE;
    }
    TRY(tenant_seal_all(tenant, why));
    tenant->sealed_ns = clock_monotonic_ns();
    return tenant_compact(tenant, COMPACT_SLICE_NS, why);
}

/* ---- About once a second. ---- */

static void scan_activity(struct tenant *tenant, int64_t now_ms)
{
    int64_t limit_ms = now_ms - tenant->options->active_ms;

    tenant->active_scan_ms = now_ms;
    for (uint32_t i = 0; i < index_count(&tenant->index); i++) {
        struct track *track = index_track(&tenant->index, i);
        if (!track->active || track->tail_ms >= limit_ms)
            continue;
        track->active = false;
        tenant->active--;
        if (track->metric != INDEX_NONE) {
            struct pair *metric = index_pair(&tenant->index, track->metric);
            metric->active--;
            metric->refused = 0;
        }
    }
}

/* Days that nobody has written to for a while are sealed and their connection closed. */
static enum err rest_idle_days(struct tenant *tenant, struct why *why)
{
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        struct stage *stage = &tenant->stages[i];
        if (stage->day == NULL || !stage_is_empty(stage) || stage->day->waiting.items > 0 ||
            stage->day->from_day >= day_of(tenant->now_ms) ||
            tenant->now_ms - stage->day->touched_ms < tenant->options->out_of_order_ms)
            continue;
        TRY(tenant_seal(tenant, stage->day, why));
        day_rest(stage->day);
        stage->day = NULL;
    }
    return ERR_NONE;
}

void tenant_tick(struct tenant *tenant, int64_t now_ms)
{
    struct why why = WHY_INIT;

    tenant->now_ms = now_ms;
    head_reclaim(&tenant->head);
    if (now_ms - tenant->active_scan_ms >= ACTIVE_SCAN_MS)
        scan_activity(tenant, now_ms);
    enum err err = tenant_make_room(tenant, &why);
    if (err == ERR_NONE)
        err = rest_idle_days(tenant, &why);
    if (err == ERR_NONE)
        err = tenant_roll_up(tenant, COMPACT_SLICE_NS, &why);
    if (err != ERR_NONE)
        tenant_notice(tenant, "%s", why.text);
}
