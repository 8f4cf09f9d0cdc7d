/* SPDX-License-Identifier: Apache-2.0 */
/* Commit writes one pending row per day (and first the labels of new series), and only then shows
 * the rows to readers. So what readers see is what is on disk, and what failed leaves no trace. */
#include "store/tenant_priv.h"

#include "base/clock.h"

#include <stdlib.h>

enum { STAGE_ROWS_KEPT = 65536 }; /* A larger stage is given back after its commit. */

static enum err put_rows(struct day *day, const struct pending_row *rows,
                         const struct str *sketches, size_t count, struct why *why)
{
    struct buf body CLEANUP(buf_done) = {0};

    for (size_t from = 0; from < count; from += PENDING_ROWS_MAX) {
        size_t some = count - from < PENDING_ROWS_MAX ? count - from : PENDING_ROWS_MAX;
        int64_t min_ms = rows[from].time_ms;
        int64_t max_ms = min_ms;
        for (size_t i = from; i < from + some; i++) {
            min_ms = rows[i].time_ms < min_ms ? rows[i].time_ms : min_ms;
            max_ms = rows[i].time_ms > max_ms ? rows[i].time_ms : max_ms;
        }
        buf_clear(&body);
        pending_encode(rows + from, sketches == NULL ? NULL : sketches + from, some, &body);
        TRY(day_put_pending(day, KIND_METRIC, min_ms, max_ms, some, buf_view(&body), why));
        day->pending_rows++;
    }
    return ERR_NONE;
}

static enum err put_stage(struct tenant *tenant, struct stage *stage, struct why *why)
{
    struct day *day = stage->day;
    uint64_t items_before = day->pending_items;
    uint64_t bytes_before = day->pending_bytes;
    uint64_t waiting_before = day->waiting.items;

    TRY(day_begin(day, why));
    enum err err = put_rows(day, stage->rows, NULL, stage->count, why);
    if (err == ERR_NONE)
        err = put_rows(day, stage->sketch_rows, stage->sketches, stage->sketch_count, why);
    if (err == ERR_NONE)
        err = traces_put(tenant, day, &stage->traces, why);
    if (err == ERR_NONE)
        err = day_commit(day, why);
    else
        day_rollback(day);
    if (err != ERR_NONE) {
        day->pending_items = items_before;
        day->pending_bytes = bytes_before;
        traces_forget_waiting(day, day->waiting.items - waiting_before);
    }
    return err;
}

void tenant_apply(struct tenant *tenant, const struct pending_row *row, int32_t day,
                  struct str sketch)
{
    struct track *track = index_track(&tenant->index, row->track);
    struct head_row head_row = {row->time_ms, row->value, sketch};
    uint64_t bits;

    head_append(&tenant->head, row->id, day, &head_row);
    memcpy(&bits, &row->value, sizeof(bits));
    if (row->time_ms > atomic_load_explicit(&track->last_ms, memory_order_relaxed))
        track_set_last(track, row->time_ms, bits);
}

static void stage_clear(struct stage *stage)
{
    for (size_t i = 0; i < stage->sketch_count; i++)
        free((void *)stage->sketches[i].data);
    stage->count = 0;
    stage->sketch_count = 0;
    stage->traces.spans_count = 0;
    stage->traces.events_count = 0;
    if (stage->capacity > STAGE_ROWS_KEPT) {
        free(stage->rows);
        stage->rows = NULL;
        stage->capacity = 0;
    }
}

static void apply_stage(struct tenant *tenant, struct stage *stage)
{
    int32_t day = stage->day->from_day;

    for (size_t i = 0; i < stage->count; i++)
        tenant_apply(tenant, &stage->rows[i], day, STR_NONE);
    for (size_t i = 0; i < stage->sketch_count; i++)
        tenant_apply(tenant, &stage->sketch_rows[i], day, stage->sketches[i]);
    stage->day->pending_samples += stage->count + stage->sketch_count;
    stage->day->touched_ms = tenant->now_ms;
    tenant->stats.samples += stage->count + stage->sketch_count;
    tenant->stats.spans += stage->traces.spans_count;
    tenant->stats.events += stage->traces.events_count;
    stage_clear(stage);
}

/* Nothing of the stage was kept: the newest times are what readers know again. */
static void abandon_rows(struct tenant *tenant, const struct pending_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct track *track = index_track(&tenant->index, rows[i].track);
        track->tail_ms = atomic_load_explicit(&track->last_ms, memory_order_relaxed);
    }
}

void tenant_abandon(struct tenant *tenant)
{
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        struct stage *stage = &tenant->stages[i];
        if (stage->day == NULL)
            continue;
        abandon_rows(tenant, stage->rows, stage->count);
        abandon_rows(tenant, stage->sketch_rows, stage->sketch_count);
        stage_clear(stage);
    }
}

/* Days are committed one by one; those done stay done, and their rows are shown. */
static enum err commit_stages(struct tenant *tenant, struct why *why)
{
    TRY(tenant_save_catalog(tenant, why));
    tenant_fit_chunks(tenant); /* Many series may just have come at once. */
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        struct stage *stage = &tenant->stages[i];
        if (stage->day == NULL || stage_is_empty(stage))
            continue;
        uint64_t rows_before = stage->day->pending_rows;
        enum err err = put_stage(tenant, stage, why);
        if (err != ERR_NONE) {
            stage->day->pending_rows = rows_before;
            return err;
        }
        apply_stage(tenant, stage);
    }
    return ERR_NONE;
}

enum err tenant_commit(struct tenant *tenant, struct why *why)
{
    int64_t before = clock_monotonic_ns();
    enum err err = commit_stages(tenant, why);
    int64_t took = clock_monotonic_ns() - before;

    if (err != ERR_NONE) {
        tenant->stats.failed_commits++;
        tenant_abandon(tenant);
        return err;
    }
    tenant->stats.commits++;
    tenant->stats.commit_ns += took;
    if (took > tenant->stats.commit_ns_max)
        tenant->stats.commit_ns_max = took;
    return ERR_NONE;
}
