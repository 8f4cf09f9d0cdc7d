/* SPDX-License-Identifier: Apache-2.0 */
/* Of each day file that may matter, newest first: the pending rows, all of them, and the blocks
 * whose summary does not rule them out. A question about a trace asks the summaries for its id; a
 * search asks them for time, durations and errors, and the terms for its key=value pairs. */
#include "store/trace_look.h"

#include "base/clock.h"
#include "base/crc.h"
#include "base/map.h"
#include "store/summaries.h"
#include "store/trace_copy.h"
#include "store/traces.h"
#include "store/view_priv.h"

#include <stdlib.h>

static const size_t SCRATCH_BYTES = (size_t)1 << 30; /* Of one block. */

void trace_look_done(struct trace_look *look)
{
    free(look->spans);
    free(look->found_events);
}

static void grow(void **items, size_t *capacity, size_t size)
{
    size_t wanted = *capacity == 0 ? 64 : *capacity * 2;

    *items = reallocarray(*items, wanted, size);
    if (*items == NULL)
        must_memory(wanted * size);
    *capacity = wanted;
}

/* ---- Which rows of a block. ---- */

static bool has_pair(const struct attributes *attributes, const struct trace_pair *pair)
{
    char scratch[TERM_TEXT_SIZE];
    struct str text;

    for (size_t i = 0; i < attributes->count; i++) {
        const struct attribute *item = &attributes->items[i];
        if (str_eq(item->key, pair->key) && term_text(&item->value, scratch, &text) &&
            str_eq(text, pair->value))
            return true;
    }
    return false;
}

/* Service, name, times, status: without looking at attributes. */
static bool passes_basics(const struct span_block *block, uint32_t row,
                          const struct trace_query *query)
{
    int64_t start_ms = trace_ms(block->start_ns[row]);

    return start_ms >= query->from_ms && start_ms <= query->to_ms &&
           block->duration_ns[row] >= query->duration_min_ns &&
           block->duration_ns[row] <= query->duration_max_ns &&
           (!query->only_errors || span_block_status(block, row) == SPAN_STATUS_ERROR) &&
           (query->service.data == NULL ||
            str_eq(block->resources[block->resource_of[row]].service_name, query->service)) &&
           (query->name.data == NULL ||
            str_eq(block->packed.texts[block->names[row]], query->name));
}

/* Pairs of the span or its resource. */
static enum err filter_pairs(struct span_block *block, const struct trace_query *query,
                             bool *wanted, struct why *why)
{
    struct packed_cursor cursor;

    if (query->pairs_count == 0)
        return ERR_NONE;
    TRY(packed_cursor_init(&cursor, &block->packed, why));
    for (uint32_t row = 0; row < block->packed.rows; row++) {
        struct attributes attributes = {0};
        TRY(packed_cursor_next(&cursor, block->shape_of[row], wanted[row] ? &attributes : NULL,
                               why));
        for (size_t i = 0; wanted[row] && i < query->pairs_count; i++)
            wanted[row] =
                has_pair(&attributes, &query->pairs[i]) ||
                has_pair(&block->resources[block->resource_of[row]].attributes, &query->pairs[i]);
    }
    return ERR_NONE;
}

/* Of the rows of the trace, those of the span. */
static enum err filter_span(struct span_block *block, const uint8_t *span_id, bool *wanted,
                            struct why *why)
{
    const uint8_t *ids;

    if (span_id == NULL)
        return ERR_NONE;
    TRY(span_block_ids(block, &ids, why));
    for (uint32_t row = 0; row < block->packed.rows; row++)
        wanted[row] =
            wanted[row] && memcmp(ids + (size_t)row * SPAN_ID_BYTES, span_id, SPAN_ID_BYTES) == 0;
    return ERR_NONE;
}

int trace_by_id(const void *a, const void *b)
{
    return memcmp(a, b, TRACE_ID_BYTES);
}

static bool is_asked_for(const struct trace_look *look, const uint8_t *trace_id)
{
    return bsearch(trace_id, look->trace_ids, look->trace_ids_count, TRACE_ID_BYTES, trace_by_id) !=
           NULL;
}

static enum err choose_by_trace(const struct trace_look *look, struct span_block *block,
                                bool *wanted, struct why *why)
{
    bool *traces = ARENA_ARRAY(block->packed.arena, block->traces_count, bool);
    bool any = false;

    if (traces == NULL)
        return arena_spent(block->packed.arena, "reading spans", why);
    for (size_t i = 0; i < block->traces_count; i++) {
        traces[i] = is_asked_for(look, block->traces + i * TRACE_ID_BYTES);
        any |= traces[i];
    }
    if (!any)
        return ERR_NONE;
    TRY(span_block_read_traces(block, why));
    for (uint32_t row = 0; row < block->packed.rows; row++)
        wanted[row] = traces[block->trace_of[row]];
    TRY(filter_span(block, look->span_id, wanted, why));
    return ERR_NONE;
}

/* Of the wanted rows the newest of each trace. */
static enum err thin_rows(struct span_block *block, bool *wanted, struct why *why)
{
    uint32_t *newest = ARENA_ARRAY_RAW(block->packed.arena, block->traces_count, uint32_t);
    uint32_t none = block->packed.rows;

    TRY(span_block_read_traces(block, why));
    if (newest == NULL)
        return arena_spent(block->packed.arena, "reading spans", why);
    for (size_t i = 0; i < block->traces_count; i++)
        newest[i] = none;
    for (uint32_t row = 0; row < block->packed.rows; row++) {
        uint32_t *best = &newest[block->trace_of[row]];
        if (!wanted[row])
            continue;
        wanted[row] = *best == none || block->start_ns[row] > block->start_ns[*best];
        if (wanted[row] && *best != none)
            wanted[*best] = false;
        if (wanted[row])
            *best = row;
    }
    return ERR_NONE;
}

static enum err choose_rows(const struct trace_look *look, struct span_block *block, bool *wanted,
                            size_t *ret_count, struct why *why)
{
    *ret_count = 0;
    if (look->query == NULL) {
        TRY(choose_by_trace(look, block, wanted, why));
    } else {
        TRY(span_block_read_basics(block, why));
        for (uint32_t row = 0; row < block->packed.rows; row++)
            wanted[row] = passes_basics(block, row, look->query);
        TRY(filter_pairs(block, look->query, wanted, why));
        if (look->query->one_per_trace && look->walk == NULL)
            TRY(thin_rows(block, wanted, why));
    }
    for (uint32_t row = 0; row < block->packed.rows; row++)
        *ret_count += wanted[row];
    return ERR_NONE;
}

static enum err show_run(struct trace_look *look, struct span_block *block, const bool *wanted,
                         size_t count, struct why *why)
{
    struct span_run run;

    TRY(span_block_run(block, look->walk->with_events, &run, why));
    run.wanted = wanted;
    run.wanted_count = count;
    return look->walk->show(look->walk->self, &run, &look->walk_is_over, why);
}

static enum err take_spans(struct trace_look *look, struct str body, struct arena *scratch,
                           struct why *why)
{
    struct span_block block;
    struct trace_owners owners = {0};
    size_t count;

    TRY(span_block_parse(body, scratch, &block, why));
    bool *wanted = ARENA_ARRAY(scratch, block.packed.rows, bool);
    if (wanted == NULL)
        return arena_spent(scratch, "reading spans", why);
    TRY(choose_rows(look, &block, wanted, &count, why));
    if (count == 0 || look->walk_is_over)
        return ERR_NONE;
    if (look->walk != NULL)
        return show_run(look, &block, wanted, count, why);
    struct span *spans = ARENA_ARRAY(scratch, count, struct span);
    if (spans == NULL)
        return arena_spent(scratch, "reading spans", why);
    TRY(span_block_read(&block, wanted, spans, why));
    for (size_t i = 0; i < count; i++) {
        TRY(trace_copy_span(look->arena, &owners, &spans[i], why));
        if (look->spans_count == look->spans_capacity)
            grow((void **)&look->spans, &look->spans_capacity, sizeof(*look->spans));
        look->spans[look->spans_count++] = spans[i];
    }
    return ERR_NONE;
}

static enum err take_events(struct trace_look *look, struct str body, struct arena *scratch,
                            struct why *why)
{
    struct event_block block;
    struct trace_owners owners = {0};
    size_t count = 0;

    TRY(event_block_parse(body, scratch, &block, why));
    bool *wanted = ARENA_ARRAY(scratch, block.packed.rows, bool);
    if (wanted == NULL)
        return arena_spent(scratch, "reading events", why);
    for (uint32_t row = 0; row < block.packed.rows; row++) {
        wanted[row] = is_asked_for(look, block.traces + (size_t)row * TRACE_ID_BYTES);
        count += wanted[row];
    }
    if (count == 0)
        return ERR_NONE;
    struct event *events = ARENA_ARRAY(scratch, count, struct event);
    if (events == NULL)
        return arena_spent(scratch, "reading events", why);
    TRY(event_block_read(&block, wanted, events, why));
    for (size_t i = 0; i < count; i++) {
        TRY(trace_copy_event(look->arena, &owners, &events[i], why));
        if (look->events_count == look->events_capacity)
            grow((void **)&look->found_events, &look->events_capacity, sizeof(*look->found_events));
        look->found_events[look->events_count++] = events[i];
    }
    return ERR_NONE;
}

/* ---- Which blocks of a file. ---- */

static enum err take_row(struct trace_look *look, const struct day_block *row,
                         struct arena *scratch, struct why *why)
{
    if (crc32c(0, row->body.data, row->body.size) != row->crc)
        return fail(why, ERR_CORRUPT, "the checksum of row %lld does not match",
                    (long long)row->id);
    TRY(view_cancelled(look->view, why));
    arena_clear(scratch);
    return look->events ? take_events(look, row->body, scratch, why)
                        : take_spans(look, row->body, scratch, why);
}

/* All rows that the reader finds. */
static enum err take_rows(struct trace_look *look, struct day_reader *reader, struct arena *scratch,
                          struct why *why)
{
    struct day_block row;
    bool found = true;

    while (found) {
        TRY(day_reader_next(reader, &row, &found, why));
        if (found)
            TRY(take_row(look, &row, scratch, why));
    }
    return ERR_NONE;
}

static enum err find_candidates(const struct trace_look *look, struct day_reader *reader,
                                struct summary_matches *candidates, struct why *why)
{
    struct summary_question question = {
        .from_ms = look->from_ms,
        .to_ms = look->to_ms,
        .trace_ids = look->trace_ids,
        .trace_ids_count = look->trace_ids_count,
        .duration_min_ns = INT64_MIN,
        .duration_max_ns = INT64_MAX,
    };

    if (look->query != NULL) {
        question.duration_min_ns = look->query->duration_min_ns;
        question.duration_max_ns = look->query->duration_max_ns;
        question.only_errors = look->query->only_errors;
    }
    return summaries_find(reader, look->events ? KIND_EVENT_SUMMARY : KIND_SPAN_SUMMARY, &question,
                          candidates, why);
}

/* Whether the block may have everything that the search asks for. */
static enum err passes_terms(const struct trace_look *look, struct day_reader *reader,
                             uint32_t number, bool *ret_passes, struct why *why)
{
    const struct trace_query *query = look->query;
    struct day_block row;
    bool found;

    *ret_passes = true;
    if (query == NULL ||
        (query->pairs_count == 0 && query->service.data == NULL && query->name.data == NULL))
        return ERR_NONE;
    day_reader_find(reader, KIND_SPAN_TERMS, number, INT64_MIN, INT64_MAX);
    TRY(day_reader_next(reader, &row, &found, why));
    if (!found || crc32c(0, row.body.data, row.body.size) != row.crc)
        return ERR_NONE; /* Then the block itself is looked at. */
    bool passes = true;
    if (query->service.data != NULL)
        passes = terms_may_have(row.body, term_hash(STR("service.name"), query->service));
    if (query->name.data != NULL)
        passes = passes && terms_may_have(row.body, term_hash(TERM_NAME, query->name));
    for (size_t i = 0; passes && i < query->pairs_count; i++)
        passes = terms_may_have(row.body, term_hash(query->pairs[i].key, query->pairs[i].value));
    *ret_passes = passes;
    return ERR_NONE;
}

int trace_by_start(const void *a, const void *b)
{
    const struct span *left = a;
    const struct span *right = b;

    if (left->start_ns != right->start_ns)
        return left->start_ns < right->start_ns ? -1 : 1;
    return memcmp(left->span_id, right->span_id, SPAN_ID_BYTES);
}

int trace_by_start_down(const void *a, const void *b)
{
    return trace_by_start(b, a);
}

static void drop_older_of_a_trace(struct trace_look *look)
{
    struct map seen CLEANUP(map_done) = {0};
    struct span *spans = look->spans;
    size_t kept = 0;

    for (size_t i = 0; i < look->spans_count; i++) {
        if (map_get(&seen, (struct str){(const char *)spans[i].trace_id, TRACE_ID_BYTES}) != NULL)
            continue;
        spans[kept] = spans[i];
        struct str id = {(const char *)spans[kept].trace_id, TRACE_ID_BYTES};
        (void)map_put(&seen, id, &spans[kept++]); /* Was absent. */
    }
    look->spans_count = kept;
}

void trace_look_keep_newest(struct trace_look *look)
{
    if (look->spans_count > 0)
        qsort(look->spans, look->spans_count, sizeof(*look->spans), trace_by_start_down);
    if (look->query->one_per_trace)
        drop_older_of_a_trace(look);
    if (look->spans_count > look->query->limit)
        look->spans_count = look->query->limit;
}

/* Keeps the newest, and tells whether older blocks cannot add to them any more. */
static bool is_enough(struct trace_look *look, int64_t next_max_ms)
{
    if (look->walk != NULL)
        return look->walk_is_over;
    if (look->query == NULL || look->spans_count < look->query->limit)
        return false;
    trace_look_keep_newest(look);
    if (look->spans_count < look->query->limit)
        return false;
    return look->spans_count == 0 ||
           trace_ms(look->spans[look->spans_count - 1].start_ns) > next_max_ms;
}

static enum err read_blocks(struct trace_look *look, struct day_reader *reader,
                            struct arena *scratch, struct why *why)
{
    struct summary_matches candidates CLEANUP(summary_matches_done) = {0};
    bool passes;

    TRY(find_candidates(look, reader, &candidates, why));
    for (size_t i = 0; i < candidates.count; i++) {
        if (is_enough(look, candidates.items[i].max_ms))
            break;
        TRY(passes_terms(look, reader, candidates.items[i].number, &passes, why));
        if (!passes)
            continue;
        day_reader_find(reader, look->events ? KIND_EVENT : KIND_SPAN, candidates.items[i].number,
                        INT64_MIN, INT64_MAX);
        TRY(take_rows(look, reader, scratch, why));
    }
    return ERR_NONE;
}

static enum err read_file(struct trace_look *look, struct view_file *file, struct arena *scratch,
                          struct why *why)
{
    enum day_kind kind = look->events ? KIND_EVENT : KIND_SPAN;

    TRY(view_file_ready(file, why));
    if (file->gone)
        return ERR_NONE;
    TRY(day_reader_find_pending(file->reader, kind, look->from_ms, look->to_ms, why));
    TRY(take_rows(look, file->reader, scratch, why));
    TRY(read_blocks(look, file->reader, scratch, why));
    if (!look->events)
        return ERR_NONE;
    day_reader_find(file->reader, KIND_EVENT, 0, look->from_ms, look->to_ms); /* See traces.h. */
    return take_rows(look, file->reader, scratch, why);
}

static int32_t clamp_day(int64_t time_ms)
{
    if (time_ms <= (int64_t)INT32_MIN * CLOCK_MS_PER_DAY)
        return INT32_MIN;
    return time_ms >= (int64_t)INT32_MAX * CLOCK_MS_PER_DAY ? INT32_MAX : day_of(time_ms);
}

/* The newest file first; a damaged one is left to the writer and the others are read. */
enum err trace_look_files(struct trace_look *look, struct why *why)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new(SCRATCH_BYTES);
    struct day **days;
    int32_t from = clamp_day(look->from_ms);
    int32_t to = clamp_day(look->to_ms);
    size_t count = tenant_days(look->view->tenant, 0, from, to, &days);
    enum err err = ERR_NONE;
    bool enough = false;

    for (size_t i = count; i-- > 0;) {
        int64_t last_ms = ((int64_t)days[i]->to_day + 1) * CLOCK_MS_PER_DAY - 1;
        enough = enough || is_enough(look, last_ms);
        if (err == ERR_NONE && !enough)
            err = read_file(look, view_file_for(look->view, days[i]), scratch, why);
        if (err == ERR_CORRUPT) {
            atomic_store(&days[i]->damaged, true);
            err = ERR_NONE;
        }
        day_unref(days[i]);
    }
    free(days);
    return err;
}
