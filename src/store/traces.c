/* SPDX-License-Identifier: Apache-2.0 */
/* Spans come as they ended, of many traces at once. Sealing reads all that is pending of a day and
 * puts each trace's spans side by side, traces in the order of their first span: then ids, parents,
 * names and services are told by what stands next to them, and a trace is found in one block or
 * two. */
#include "store/traces.h"

#include "base/clock.h"
#include "base/crc.h"
#include "store/summaries.h"
#include "store/tenant.h"

#include <stdio.h>
#include <stdlib.h>

static const size_t SEAL_ARENA_BYTES = (size_t)2 << 30; /* Bounded by TRACES_SEAL_BYTES. */

/* ---- Staging. ---- */

void trace_stage_done(struct trace_stage *stage)
{
    free(stage->spans);
    free(stage->events);
    *stage = (struct trace_stage){0};
}

void trace_tools_done(struct trace_tools *tools)
{
    tools->spans = span_packer_free(tools->spans);
    tools->events = event_packer_free(tools->events);
    terms_done(&tools->traces);
    terms_done(&tools->pairs);
}

static void grow(void **items, size_t *capacity)
{
    size_t wanted = *capacity == 0 ? 1024 : *capacity * 2;

    *items = reallocarray(*items, wanted, sizeof(void *));
    if (*items == NULL)
        must_memory(wanted * sizeof(void *));
    *capacity = wanted;
}

void trace_stage_span(struct trace_stage *stage, const struct span *span)
{
    if (stage->spans_count == stage->spans_capacity)
        grow((void **)&stage->spans, &stage->spans_capacity);
    stage->spans[stage->spans_count++] = span;
}

void trace_stage_event(struct trace_stage *stage, const struct event *event)
{
    if (stage->events_count == stage->events_capacity)
        grow((void **)&stage->events, &stage->events_capacity);
    stage->events[stage->events_count++] = event;
}

/* ---- Pending rows. ---- */

struct span_packer *traces_span_packer(struct tenant *tenant)
{
    if (tenant->trace_tools.spans == NULL)
        tenant->trace_tools.spans = span_packer_new();
    return tenant->trace_tools.spans;
}

static struct event_packer *event_packer(struct tenant *tenant)
{
    if (tenant->trace_tools.events == NULL)
        tenant->trace_tools.events = event_packer_new();
    return tenant->trace_tools.events;
}

static enum err put_spans(struct tenant *tenant, struct day *day, const struct trace_stage *stage,
                          struct why *why)
{
    struct buf body CLEANUP(buf_done) = {0};
    struct span_block_info info;
    bool waits = tenant->options->judge.keeps != NULL;

    for (size_t done = 0; done < stage->spans_count;) {
        buf_clear(&body);
        done += span_block_encode(traces_span_packer(tenant), stage->spans + done,
                                  stage->spans_count - done, false, &body, &info);
        TRY(day_put_pending(day, waits ? KIND_SPAN_WAITING : KIND_SPAN, trace_ms(info.min_ns),
                            trace_ms(info.max_ns), info.rows, buf_view(&body), why));
        if (waits) {
            traces_note_waiting(day, sqlite3_last_insert_rowid(day->db.handle), tenant->now_ms,
                                info.rows);
            continue;
        }
        day->pending_items += info.rows;
        day->pending_bytes += body.size;
    }
    return ERR_NONE;
}

static enum err put_events(struct tenant *tenant, struct day *day, const struct trace_stage *stage,
                           struct why *why)
{
    struct buf body CLEANUP(buf_done) = {0};
    struct event_block_info info;

    for (size_t done = 0; done < stage->events_count;) {
        buf_clear(&body);
        done += event_block_encode(event_packer(tenant), stage->events + done,
                                   stage->events_count - done, false, &body, &info);
        TRY(day_put_pending(day, KIND_EVENT, trace_ms(info.min_ns), trace_ms(info.max_ns),
                            info.rows, buf_view(&body), why));
        day->pending_items += info.rows;
        day->pending_bytes += body.size;
    }
    return ERR_NONE;
}

enum err traces_put(struct tenant *tenant, struct day *day, const struct trace_stage *stage,
                    struct why *why)
{
    TRY(put_spans(tenant, day, stage, why));
    return put_events(tenant, day, stage, why);
}

/* It waits for its verdict again, from now on. */
static enum err replay_waiting(struct tenant *tenant, struct day *day, int64_t id,
                               struct span_block *block, struct arena *arena, struct why *why)
{
    const struct store_judge *judge = &tenant->options->judge;
    struct span *spans = ARENA_ARRAY(arena, block->packed.rows, struct span);

    if (spans == NULL)
        return arena_spent(arena, "reading spans", why);
    TRY(span_block_read(block, NULL, spans, why));
    for (uint32_t i = 0; judge->noted != NULL && i < block->packed.rows; i++)
        judge->noted(judge->self, tenant->name, &spans[i]);
    traces_note_waiting(day, id, clock_now_ms(), block->packed.rows);
    return ERR_NONE;
}

enum err traces_replay(struct tenant *tenant, struct day *day, int64_t id, enum day_kind kind,
                       struct str body, struct why *why)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(SEAL_ARENA_BYTES);
    struct span_block spans;
    struct event_block events;

    if (kind == KIND_EVENT)
        TRY(event_block_parse(body, arena, &events, why));
    else if (kind == KIND_SPAN || kind == KIND_SPAN_WAITING)
        TRY(span_block_parse(body, arena, &spans, why));
    else
        return fail(why, ERR_CORRUPT, "its kind %d is unknown", (int)kind);
    if (kind == KIND_SPAN_WAITING)
        return replay_waiting(tenant, day, id, &spans, arena, why);
    day->pending_items += kind == KIND_SPAN ? spans.packed.rows : events.packed.rows;
    day->pending_bytes += body.size;
    return ERR_NONE;
}

/* ---- Sealing. ---- */

/* Pending items of one kind, in memory. */
struct gathering {
    struct arena *arena;
    const void **items;
    size_t count;
    size_t capacity;
    size_t bytes; /* Of the rows read. */
};

static void gather(struct gathering *gathering, const void *item)
{
    if (gathering->count == gathering->capacity)
        grow((void **)&gathering->items, &gathering->capacity);
    gathering->items[gathering->count++] = item;
}

static enum err gather_spans(struct gathering *gathering, struct str body, struct why *why)
{
    struct span_block block;

    TRY(span_block_parse(body, gathering->arena, &block, why));
    struct span *spans = ARENA_ARRAY(gathering->arena, block.packed.rows, struct span);
    if (spans == NULL)
        return arena_spent(gathering->arena, "sealing spans", why);
    TRY(span_block_read(&block, NULL, spans, why));
    for (uint32_t i = 0; i < block.packed.rows; i++)
        gather(gathering, &spans[i]);
    return ERR_NONE;
}

static enum err gather_events(struct gathering *gathering, struct str body, struct why *why)
{
    struct event_block block;

    TRY(event_block_parse(body, gathering->arena, &block, why));
    struct event *events = ARENA_ARRAY(gathering->arena, block.packed.rows, struct event);
    if (events == NULL)
        return arena_spent(gathering->arena, "sealing events", why);
    TRY(event_block_read(&block, NULL, events, why));
    for (uint32_t i = 0; i < block.packed.rows; i++)
        gather(gathering, &events[i]);
    return ERR_NONE;
}

static enum err gather_row(struct gathering *gathering, enum day_kind kind, sqlite3_stmt *row,
                           struct why *why)
{
    struct str body = arena_str(gathering->arena, db_blob(row, 1)); /* Items point into it. */

    if (body.data == NULL)
        return arena_spent(gathering->arena, "sealing spans or events", why);
    gathering->bytes += body.size;
    if (crc32c(0, body.data, body.size) != (uint32_t)sqlite3_column_int64(row, 0))
        return fail(why, ERR_CORRUPT, "the checksum of a pending row does not match");
    return kind == KIND_SPAN ? gather_spans(gathering, body, why)
                             : gather_events(gathering, body, why);
}

/* Rows of one kind, oldest first, until there are enough for a seal; *ret_last_id is the newest of
 * them, 0 when there is none. */
static enum err gather_pending(struct gathering *gathering, struct day *day, enum day_kind kind,
                               int64_t *ret_last_id, struct why *why)
{
    sqlite3_stmt *find;
    bool row = false;

    TRY(db_prepare(&day->db, "SELECT crc, body, id FROM pending WHERE kind = ?1 ORDER BY id", &find,
                   why));
    (void)sqlite3_bind_int64(find, 1, kind); /* A number always binds. */
    *ret_last_id = 0;
    enum err err = db_step(&day->db, find, &row, why);
    while (err == ERR_NONE && row && gathering->count < TRACES_SEAL_ITEMS &&
           gathering->bytes < TRACES_SEAL_BYTES) {
        *ret_last_id = sqlite3_column_int64(find, 2);
        err = gather_row(gathering, kind, find, why);
        if (err == ERR_NONE)
            err = db_step(&day->db, find, &row, why);
    }
    (void)sqlite3_finalize(find); /* Repeats the error just told. */
    return err;
}

enum err traces_check(enum day_kind kind, struct str body, struct arena *arena, struct why *why)
{
    struct gathering gathering = {.arena = arena};
    enum err err = ERR_NONE;

    if (kind == KIND_SPAN || kind == KIND_SPAN_WAITING)
        err = gather_spans(&gathering, body, why);
    else if (kind == KIND_EVENT)
        err = gather_events(&gathering, body, why);
    else if (kind != KIND_SPAN_SUMMARY && kind != KIND_SPAN_TERMS && kind != KIND_EVENT_SUMMARY)
        err = fail(why, ERR_CORRUPT, "its kind %d is unknown", (int)kind);
    free(gathering.items);
    return err;
}

/* A span and the start of its trace's first one. */
struct placed {
    const struct span *span;
    int64_t trace_ns;
};

static int by_trace_id(const void *a, const void *b)
{
    const struct span *left = ((const struct placed *)a)->span;
    const struct span *right = ((const struct placed *)b)->span;
    int order = memcmp(left->trace_id, right->trace_id, TRACE_ID_BYTES);

    if (order == 0)
        order = (left->start_ns > right->start_ns) - (left->start_ns < right->start_ns);
    return order;
}

static int by_trace_start(const void *a, const void *b)
{
    const struct placed *left = a;
    const struct placed *right = b;

    if (left->trace_ns != right->trace_ns)
        return left->trace_ns < right->trace_ns ? -1 : 1;
    return by_trace_id(a, b);
}

static bool same_trace(const struct span *a, const struct span *b)
{
    return memcmp(a->trace_id, b->trace_id, TRACE_ID_BYTES) == 0;
}

/* Traces side by side, by their first start; within one, by start. */
static void arrange(struct gathering *gathering)
{
    struct placed *placed = malloc((gathering->count + 1) * sizeof(*placed));

    if (placed == NULL)
        must_memory(gathering->count * sizeof(*placed));
    for (size_t i = 0; i < gathering->count; i++)
        placed[i] = (struct placed){gathering->items[i], 0};
    qsort(placed, gathering->count, sizeof(*placed), by_trace_id);
    for (size_t i = 0; i < gathering->count; i++)
        placed[i].trace_ns = i > 0 && same_trace(placed[i].span, placed[i - 1].span)
                                 ? placed[i - 1].trace_ns
                                 : placed[i].span->start_ns;
    qsort(placed, gathering->count, sizeof(*placed), by_trace_start);
    for (size_t i = 0; i < gathering->count; i++)
        gathering->items[i] = placed[i].span;
    free(placed);
}

static enum err put_row(struct day *day, enum day_kind kind, uint32_t group, const struct buf *body,
                        struct block_info *row, struct why *why)
{
    row->crc = crc32c(0, body->data, body->size);
    return day_put_block(day, kind, group, row, buf_view(body), why);
}

/* The two small rows beside a block of spans. */
static enum err put_span_summary(struct tenant *tenant, struct day *day, uint32_t number,
                                 const struct span_block_info *info, struct block_info *row,
                                 struct why *why)
{
    struct buf body CLEANUP(buf_done) = {0};
    const struct summary summary = {
        .number = number,
        .rows = info->rows,
        .errors = info->errors,
        .duration_min_ns = info->duration_min_ns,
        .duration_max_ns = info->duration_max_ns,
    };

    summary_write(&summary, &tenant->trace_tools.traces, &body);
    TRY(put_row(day, KIND_SPAN_SUMMARY, 0, &body, row, why));
    buf_clear(&body);
    terms_write(&tenant->trace_tools.pairs, TERMS_BITS_PAIR, &body);
    return put_row(day, KIND_SPAN_TERMS, number, &body, row, why);
}

/* The number of the newest block of a kind, 0 when there is none. */
static enum err last_number(struct day *day, enum day_kind kind, int64_t *ret_number,
                            struct why *why)
{
    char sql[128];

    (void)snprintf(sql, sizeof(sql), /* Fits. */
                   "SELECT ifnull(max(group_id), 0) FROM blocks WHERE kind = %d AND step_ms = 0",
                   (int)kind);
    return db_number(&day->db, sql, ret_number, why);
}

static enum err seal_spans(struct tenant *tenant, struct day *day, struct gathering *gathering,
                           struct why *why)
{
    const struct span *const *spans = (const struct span *const *)gathering->items;
    struct buf body CLEANUP(buf_done) = {0};
    struct span_block_info info;
    int64_t number;

    TRY(last_number(day, KIND_SPAN, &number, why));
    for (size_t done = 0; done < gathering->count;) {
        buf_clear(&body);
        size_t taken = span_block_encode(traces_span_packer(tenant), spans + done,
                                         gathering->count - done, true, &body, &info);
        struct block_info row = {
            .min_ms = trace_ms(info.min_ns),
            .max_ms = trace_ms(info.max_ns),
            .samples = taken,
            .rows = info.rows,
            .crc = crc32c(0, body.data, body.size),
        };
        number++;
        TRY(day_put_block(day, KIND_SPAN, (uint32_t)number, &row, buf_view(&body), why));
        span_block_terms(tenant->trace_tools.spans, spans + done, taken,
                         &tenant->trace_tools.traces, &tenant->trace_tools.pairs);
        TRY(put_span_summary(tenant, day, (uint32_t)number, &info, &row, why));
        tenant->stats.blocks_written++;
        done += taken;
    }
    return ERR_NONE;
}

/* The traces that events name; those of none are in no set. */
static void note_traces(const struct event *const *events, size_t count, struct terms *traces)
{
    static const uint8_t none[TRACE_ID_BYTES];
    const uint8_t *before = none;

    terms_clear(traces);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *id = events[i]->trace_id;
        if (memcmp(id, none, TRACE_ID_BYTES) != 0 && memcmp(id, before, TRACE_ID_BYTES) != 0)
            terms_add(traces, term_hash_id(id, TRACE_ID_BYTES));
        before = id;
    }
}

static enum err seal_events(struct tenant *tenant, struct day *day, struct gathering *gathering,
                            struct why *why)
{
    const struct event *const *events = (const struct event *const *)gathering->items;
    struct buf body CLEANUP(buf_done) = {0};
    struct event_block_info info;
    int64_t number;

    TRY(last_number(day, KIND_EVENT, &number, why));
    for (size_t done = 0; done < gathering->count;) {
        buf_clear(&body);
        size_t taken = event_block_encode(event_packer(tenant), events + done,
                                          gathering->count - done, true, &body, &info);
        struct block_info row = {
            .min_ms = trace_ms(info.min_ns),
            .max_ms = trace_ms(info.max_ns),
            .samples = taken,
            .rows = info.rows,
            .crc = crc32c(0, body.data, body.size),
        };
        number++;
        TRY(day_put_block(day, KIND_EVENT, (uint32_t)number, &row, buf_view(&body), why));
        note_traces(events + done, taken, &tenant->trace_tools.traces);
        buf_clear(&body);
        summary_write(&(struct summary){.number = (uint32_t)number, .rows = info.rows},
                      &tenant->trace_tools.traces, &body);
        TRY(put_row(day, KIND_EVENT_SUMMARY, 0, &body, &row, why));
        tenant->stats.blocks_written++;
        done += taken;
    }
    return ERR_NONE;
}

static enum err delete_pending(struct day *day, enum day_kind kind, int64_t last_id,
                               struct why *why)
{
    sqlite3_stmt *statement;

    TRY(db_prepare(&day->db, "DELETE FROM pending WHERE kind = ?1 AND id <= ?2", &statement, why));
    (void)sqlite3_bind_int64(statement, 1, kind); /* Numbers always bind. */
    (void)sqlite3_bind_int64(statement, 2, last_id);
    enum err err = db_finish(&day->db, statement, why);
    (void)sqlite3_finalize(statement); /* Repeats the error just told. */
    return err;
}

/* Seals the oldest rows of the kind; *ret_count is how many items they had. */
static enum err seal_some(struct tenant *tenant, struct day *day, enum day_kind kind,
                          size_t *ret_count, struct why *why)
{
    struct gathering gathering = {.arena = arena_new(SEAL_ARENA_BYTES)};
    int64_t last_id;
    enum err err = gather_pending(&gathering, day, kind, &last_id, why);

    if (err == ERR_NONE && kind == KIND_SPAN) {
        arrange(&gathering);
        err = seal_spans(tenant, day, &gathering, why);
    } else if (err == ERR_NONE) {
        err = seal_events(tenant, day, &gathering, why);
    }
    if (err == ERR_NONE && last_id != 0)
        err = delete_pending(day, kind, last_id, why);
    *ret_count = gathering.count;
    free(gathering.items);
    arena_free(gathering.arena);
    return err;
}

/* A transaction for each piece, so that memory and log stay small however much is pending. */
static enum err seal_kind(struct tenant *tenant, struct day *day, enum day_kind kind,
                          struct why *why)
{
    size_t count;

    do {
        TRY(day_begin(day, why));
        enum err err = seal_some(tenant, day, kind, &count, why);
        if (err != ERR_NONE) {
            day_rollback(day);
            return err;
        }
        TRY(day_commit(day, why));
        day->pending_items -= count;
    } while (count > 0);
    return ERR_NONE;
}

enum err traces_seal(struct tenant *tenant, struct day *day, struct why *why)
{
    int64_t before = clock_monotonic_ns();

    if (day->pending_items == 0)
        return ERR_NONE;
    TRY(seal_kind(tenant, day, KIND_SPAN, why));
    TRY(seal_kind(tenant, day, KIND_EVENT, why));
    day->pending_items = 0;
    day->pending_bytes = 0;
    tenant->stats.seals++;
    tenant->stats.seal_ns += clock_monotonic_ns() - before;
    return ERR_NONE;
}
