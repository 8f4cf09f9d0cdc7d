/* SPDX-License-Identifier: Apache-2.0 */
/* Of each day file that may matter, newest first: the pending rows, all of them, and the blocks
 * whose summary does not rule them out. A question about a trace asks the summaries for its id; a
 * search asks them for time, durations and errors, and the terms for its key=value pairs.
 *
 * The snapshot of a file holds a span either as pending or in a block, so nothing is seen twice
 * that was sent once. What was sent twice is dropped by its span id. */
#include "store/trace_view.h"

#include "base/clock.h"
#include "base/crc.h"
#include "codec/otlp.h"
#include "store/traces.h"
#include "store/view_priv.h"

#include <stdlib.h>

static const size_t SCRATCH_BYTES = (size_t)1 << 30; /* Of one block. */

/* What is being looked for, and what was found. */
struct look {
    struct view *view;
    struct arena *arena; /* Of the answer. */
    const uint8_t *trace_id;
    const uint8_t *span_id;          /* Of the trace; NULL: all. */
    const struct trace_query *query; /* NULL: by trace. */
    const struct span_walk *walk;    /* Shown instead of kept; NULL: kept. */
    bool walk_is_over;
    bool events;
    struct span *spans;
    size_t spans_count, spans_capacity;
    struct event *found_events;
    size_t events_count, events_capacity;
};

static void look_done(struct look *look)
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

/* ---- Copying into the answer: what was read dies with its block. ---- */

static enum err copy_text(struct arena *arena, struct str *text, struct why *why)
{
    struct str copy = arena_str(arena, *text);

    if (copy.data == NULL)
        return arena_spent(arena, "the answer", why);
    *text = copy;
    return ERR_NONE;
}

static enum err copy_pairs(struct arena *arena, const struct attribute **items, size_t count,
                           struct why *why);

static enum err copy_value(struct arena *arena, struct value *value, struct why *why)
{
    if (value->kind == VALUE_TEXT || value->kind == VALUE_BYTES)
        return copy_text(arena, &value->text, why);
    if (value->kind == VALUE_MAP)
        return copy_pairs(arena, &value->map.items, value->map.count, why);
    if (value->kind != VALUE_LIST)
        return ERR_NONE;
    struct value *items = ARENA_ARRAY(arena, value->list.count, struct value);
    if (items == NULL)
        return arena_spent(arena, "the answer", why);
    for (size_t i = 0; i < value->list.count; i++) {
        items[i] = value->list.items[i];
        TRY(copy_value(arena, &items[i], why));
    }
    value->list.items = items;
    return ERR_NONE;
}

static enum err copy_pairs(struct arena *arena, const struct attribute **items, size_t count,
                           struct why *why)
{
    struct attribute *copies = ARENA_ARRAY(arena, count, struct attribute);

    if (copies == NULL)
        return arena_spent(arena, "the answer", why);
    for (size_t i = 0; i < count; i++) {
        copies[i] = (*items)[i];
        TRY(copy_text(arena, &copies[i].key, why));
        TRY(copy_value(arena, &copies[i].value, why));
    }
    *items = copies;
    return ERR_NONE;
}

static enum err copy_attributes(struct arena *arena, struct attributes *attributes, struct why *why)
{
    return copy_pairs(arena, &attributes->items, attributes->count, why);
}

static enum err copy_resource(struct arena *arena, const struct resource **resource,
                              struct why *why)
{
    struct resource *copy = ARENA_NEW(arena, struct resource);

    if (copy == NULL)
        return arena_spent(arena, "the answer", why);
    *copy = **resource;
    TRY(copy_text(arena, &copy->service_name, why));
    TRY(copy_text(arena, &copy->schema_url, why));
    TRY(copy_attributes(arena, &copy->attributes, why));
    *resource = copy;
    return ERR_NONE;
}

static enum err copy_scope(struct arena *arena, const struct scope **scope, struct why *why)
{
    if (*scope == NULL)
        return ERR_NONE;
    struct scope *copy = ARENA_NEW(arena, struct scope);
    if (copy == NULL)
        return arena_spent(arena, "the answer", why);
    *copy = **scope;
    TRY(copy_text(arena, &copy->name, why));
    TRY(copy_text(arena, &copy->version, why));
    TRY(copy_text(arena, &copy->schema_url, why));
    TRY(copy_attributes(arena, &copy->attributes, why));
    *scope = copy;
    return ERR_NONE;
}

/* Neighbours mostly share resource and scope: one copy serves both. */
struct owners {
    const struct resource *resource_from, *resource;
    const struct scope *scope_from, *scope;
};

static enum err copy_owners(struct arena *arena, struct owners *owners,
                            const struct resource **resource, const struct scope **scope,
                            struct why *why)
{
    if (owners->resource == NULL || *resource != owners->resource_from) {
        owners->resource_from = *resource;
        TRY(copy_resource(arena, resource, why));
        owners->resource = *resource;
    }
    if (*scope != owners->scope_from) {
        owners->scope_from = *scope;
        TRY(copy_scope(arena, scope, why));
        owners->scope = *scope;
    }
    *resource = owners->resource;
    *scope = owners->scope;
    return ERR_NONE;
}

static enum err copy_events(struct arena *arena, struct span *span, struct why *why)
{
    struct span_event *events = ARENA_ARRAY(arena, span->event_count, struct span_event);
    struct span_link *links = ARENA_ARRAY(arena, span->link_count, struct span_link);

    if (events == NULL || links == NULL)
        return arena_spent(arena, "the answer", why);
    for (size_t i = 0; i < span->event_count; i++) {
        events[i] = span->events[i];
        TRY(copy_text(arena, &events[i].name, why));
        TRY(copy_attributes(arena, &events[i].attributes, why));
    }
    for (size_t i = 0; i < span->link_count; i++) {
        links[i] = span->links[i];
        TRY(copy_text(arena, &links[i].trace_state, why));
        TRY(copy_attributes(arena, &links[i].attributes, why));
    }
    span->events = events;
    span->links = links;
    return ERR_NONE;
}

static enum err copy_span(struct arena *arena, struct owners *owners, struct span *span,
                          struct why *why)
{
    TRY(copy_text(arena, &span->name, why));
    TRY(copy_text(arena, &span->status_message, why));
    TRY(copy_text(arena, &span->trace_state, why));
    TRY(copy_attributes(arena, &span->attributes, why));
    TRY(copy_events(arena, span, why));
    TRY(copy_owners(arena, owners, &span->resource, &span->scope, why));
    return otlp_llm_read(span, arena, &span->llm, why); /* Its texts are the attributes'. */
}

static enum err copy_event(struct arena *arena, struct owners *owners, struct event *event,
                           struct why *why)
{
    TRY(copy_text(arena, &event->severity_text, why));
    TRY(copy_text(arena, &event->name, why));
    TRY(copy_value(arena, &event->body, why));
    TRY(copy_attributes(arena, &event->attributes, why));
    return copy_owners(arena, owners, &event->resource, &event->scope, why);
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

static enum err choose_rows(const struct look *look, struct span_block *block, bool *wanted,
                            size_t *ret_count, struct why *why)
{
    uint32_t rows = block->packed.rows;
    size_t index = 0;

    *ret_count = 0;
    if (look->query != NULL) {
        TRY(span_block_read_basics(block, why));
        for (uint32_t row = 0; row < rows; row++)
            wanted[row] = passes_basics(block, row, look->query);
        TRY(filter_pairs(block, look->query, wanted, why));
    } else {
        while (index < block->traces_count &&
               memcmp(block->traces + index * TRACE_ID_BYTES, look->trace_id, TRACE_ID_BYTES) != 0)
            index++;
        for (uint32_t row = 0; row < rows; row++)
            wanted[row] = block->trace_of[row] == index;
        TRY(filter_span(block, look->span_id, wanted, why));
    }
    for (uint32_t row = 0; row < rows; row++)
        *ret_count += wanted[row];
    return ERR_NONE;
}

static enum err show_run(struct look *look, struct span_block *block, const bool *wanted,
                         size_t count, struct why *why)
{
    struct span_run run;

    TRY(span_block_run(block, look->walk->with_events, &run, why));
    run.wanted = wanted;
    run.wanted_count = count;
    return look->walk->show(look->walk->self, &run, &look->walk_is_over, why);
}

static enum err take_spans(struct look *look, struct str body, struct arena *scratch,
                           struct why *why)
{
    struct span_block block;
    struct owners owners = {0};
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
        TRY(copy_span(look->arena, &owners, &spans[i], why));
        if (look->spans_count == look->spans_capacity)
            grow((void **)&look->spans, &look->spans_capacity, sizeof(*look->spans));
        look->spans[look->spans_count++] = spans[i];
    }
    return ERR_NONE;
}

static enum err take_events(struct look *look, struct str body, struct arena *scratch,
                            struct why *why)
{
    struct event_block block;
    struct owners owners = {0};
    size_t count = 0;

    TRY(event_block_parse(body, scratch, &block, why));
    bool *wanted = ARENA_ARRAY(scratch, block.packed.rows, bool);
    if (wanted == NULL)
        return arena_spent(scratch, "reading events", why);
    for (uint32_t row = 0; row < block.packed.rows; row++) {
        wanted[row] = memcmp(block.traces + (size_t)row * TRACE_ID_BYTES, look->trace_id,
                             TRACE_ID_BYTES) == 0;
        count += wanted[row];
    }
    if (count == 0)
        return ERR_NONE;
    struct event *events = ARENA_ARRAY(scratch, count, struct event);
    if (events == NULL)
        return arena_spent(scratch, "reading events", why);
    TRY(event_block_read(&block, wanted, events, why));
    for (size_t i = 0; i < count; i++) {
        TRY(copy_event(look->arena, &owners, &events[i], why));
        if (look->events_count == look->events_capacity)
            grow((void **)&look->found_events, &look->events_capacity, sizeof(*look->found_events));
        look->found_events[look->events_count++] = events[i];
    }
    return ERR_NONE;
}

/* ---- Which blocks of a file. ---- */

static enum err take_row(struct look *look, const struct day_block *row, struct arena *scratch,
                         struct why *why)
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
static enum err take_rows(struct look *look, struct day_reader *reader, struct arena *scratch,
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

struct candidate {
    uint32_t number;
    int64_t max_ms;
};

struct candidates {
    struct candidate *items;
    size_t count;
    size_t capacity;
};

static void candidates_done(struct candidates *candidates)
{
    free(candidates->items);
}

/* Whether the summary lets the block through; ERR_CORRUPT. */
static enum err judge(const struct look *look, const struct day_block *row, bool *ret_passes,
                      uint32_t *ret_number, struct why *why)
{
    struct varint_reader reader = varint_begin(row->body);

    if (crc32c(0, row->body.data, row->body.size) != row->crc)
        return fail(why, ERR_CORRUPT, "the checksum of row %lld does not match",
                    (long long)row->id);
    uint8_t version = varint_byte(&reader);
    *ret_number = (uint32_t)varint_read_most(&reader, UINT32_MAX);
    (void)varint_read(&reader); /* Rows. */
    uint64_t errors = varint_read(&reader);
    int64_t shortest_ns = unzigzag(varint_read(&reader));
    int64_t longest_ns = unzigzag(varint_read(&reader));
    struct str set = {(const char *)reader.at, varint_left(&reader)};
    if (reader.failed || version != 1)
        return packed_corrupt("its summary is none", why);
    if (look->query == NULL)
        *ret_passes = terms_may_have(set, term_hash_id(look->trace_id, TRACE_ID_BYTES));
    else
        *ret_passes = longest_ns >= look->query->duration_min_ns &&
                      shortest_ns <= look->query->duration_max_ns &&
                      (!look->query->only_errors || errors > 0);
    return ERR_NONE;
}

static enum err find_candidates(const struct look *look, struct day_reader *reader,
                                struct candidates *candidates, struct why *why)
{
    int64_t from_ms = look->query == NULL ? INT64_MIN : look->query->from_ms;
    int64_t to_ms = look->query == NULL ? INT64_MAX : look->query->to_ms;
    struct day_block row;
    bool found = true;

    day_reader_find(reader, KIND_SPAN_SUMMARY, 0, from_ms, to_ms);
    while (found) {
        uint32_t number = 0;
        bool passes = false;
        TRY(day_reader_next(reader, &row, &found, why));
        if (found)
            TRY(judge(look, &row, &passes, &number, why));
        if (!passes)
            continue;
        if (candidates->count == candidates->capacity)
            grow((void **)&candidates->items, &candidates->capacity, sizeof(struct candidate));
        candidates->items[candidates->count++] = (struct candidate){number, row.max_ms};
    }
    return ERR_NONE;
}

/* Whether the block may have everything that the search asks for. */
static enum err passes_terms(const struct look *look, struct day_reader *reader, uint32_t number,
                             bool *ret_passes, struct why *why)
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

static int newest_first(const void *a, const void *b)
{
    const struct candidate *left = a;
    const struct candidate *right = b;

    return (left->max_ms < right->max_ms) - (left->max_ms > right->max_ms);
}

static int by_start(const void *a, const void *b)
{
    const struct span *left = a;
    const struct span *right = b;

    if (left->start_ns != right->start_ns)
        return left->start_ns < right->start_ns ? -1 : 1;
    return memcmp(left->span_id, right->span_id, SPAN_ID_BYTES);
}

static int by_start_down(const void *a, const void *b)
{
    return by_start(b, a);
}

/* Keeps the newest, and tells whether older blocks cannot add to them any more. */
static bool is_enough(struct look *look, int64_t next_max_ms)
{
    if (look->walk != NULL)
        return look->walk_is_over;
    if (look->query == NULL || look->spans_count < look->query->limit)
        return false;
    qsort(look->spans, look->spans_count, sizeof(*look->spans), by_start_down);
    look->spans_count = look->query->limit;
    return look->spans_count == 0 ||
           trace_ms(look->spans[look->spans_count - 1].start_ns) > next_max_ms;
}

static enum err read_blocks(struct look *look, struct day_reader *reader, struct arena *scratch,
                            struct why *why)
{
    struct candidates candidates CLEANUP(candidates_done) = {0};
    bool passes;

    TRY(find_candidates(look, reader, &candidates, why));
    if (candidates.count > 1)
        qsort(candidates.items, candidates.count, sizeof(*candidates.items), newest_first);
    for (size_t i = 0; i < candidates.count; i++) {
        if (is_enough(look, candidates.items[i].max_ms))
            break;
        TRY(passes_terms(look, reader, candidates.items[i].number, &passes, why));
        if (!passes)
            continue;
        day_reader_find(reader, KIND_SPAN, candidates.items[i].number, INT64_MIN, INT64_MAX);
        TRY(take_rows(look, reader, scratch, why));
    }
    return ERR_NONE;
}

static enum err read_file(struct look *look, struct view_file *file, struct arena *scratch,
                          struct why *why)
{
    int64_t from_ms = look->query == NULL ? INT64_MIN : look->query->from_ms;
    int64_t to_ms = look->query == NULL ? INT64_MAX : look->query->to_ms;

    TRY(view_file_ready(file, why));
    if (file->gone)
        return ERR_NONE;
    TRY(day_reader_find_pending(file->reader, look->events ? KIND_EVENT : KIND_SPAN, from_ms, to_ms,
                                why));
    TRY(take_rows(look, file->reader, scratch, why));
    if (!look->events)
        return read_blocks(look, file->reader, scratch, why);
    day_reader_find(file->reader, KIND_EVENT, 0, from_ms, to_ms);
    return take_rows(look, file->reader, scratch, why);
}

static int32_t clamp_day(int64_t time_ms)
{
    if (time_ms <= (int64_t)INT32_MIN * CLOCK_MS_PER_DAY)
        return INT32_MIN;
    return time_ms >= (int64_t)INT32_MAX * CLOCK_MS_PER_DAY ? INT32_MAX : day_of(time_ms);
}

/* The newest file first; a damaged one is left to the writer and the others are read. */
static enum err read_files(struct look *look, struct why *why)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new(SCRATCH_BYTES);
    struct day **days;
    int32_t from = look->query == NULL ? INT32_MIN : clamp_day(look->query->from_ms);
    int32_t to = look->query == NULL ? INT32_MAX : clamp_day(look->query->to_ms);
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

/* ---- The calls. ---- */

static enum err keep_spans(const struct look *look, struct span_list *ret_spans, struct why *why)
{
    struct span *items = ARENA_ARRAY(look->arena, look->spans_count, struct span);

    if (items == NULL)
        return arena_spent(look->arena, "the answer", why);
    if (look->spans_count > 0)
        memcpy(items, look->spans, look->spans_count * sizeof(*items));
    *ret_spans = (struct span_list){items, look->spans_count};
    return ERR_NONE;
}

static int by_id(const void *a, const void *b)
{
    const struct span *left = a;
    const struct span *right = b;
    int order = memcmp(left->span_id, right->span_id, SPAN_ID_BYTES);

    return order != 0 ? order : by_start(a, b);
}

/* A sender that did not hear the answer sends again. Only a span that is the same in id, time and
 * name is one of those: others with the same id are shown, strange as they are. */
static bool is_repeated(const struct span *a, const struct span *b)
{
    return memcmp(a->span_id, b->span_id, SPAN_ID_BYTES) == 0 && a->start_ns == b->start_ns &&
           a->end_ns == b->end_ns && str_eq(a->name, b->name);
}

static void drop_repeated(struct look *look)
{
    size_t kept = 0;

    qsort(look->spans, look->spans_count, sizeof(*look->spans), by_id);
    for (size_t i = 0; i < look->spans_count; i++) {
        if (kept == 0 || !is_repeated(&look->spans[kept - 1], &look->spans[i]))
            look->spans[kept++] = look->spans[i];
    }
    look->spans_count = kept;
    qsort(look->spans, look->spans_count, sizeof(*look->spans), by_start);
}

static enum err view_trace(struct store_view *self, const uint8_t trace_id[TRACE_ID_BYTES],
                           struct arena *arena, struct span_list *ret_spans, struct why *why)
{
    struct look look CLEANUP(look_done) = {
        .view = view_of(self), .arena = arena, .trace_id = trace_id};

    TRY(read_files(&look, why));
    if (look.spans_count > 0)
        drop_repeated(&look);
    return keep_spans(&look, ret_spans, why);
}

static enum err view_span(struct store_view *self, const uint8_t trace_id[TRACE_ID_BYTES],
                          const uint8_t span_id[SPAN_ID_BYTES], struct arena *arena,
                          struct span_list *ret_spans, struct why *why)
{
    struct look look CLEANUP(look_done) = {
        .view = view_of(self), .arena = arena, .trace_id = trace_id, .span_id = span_id};

    TRY(read_files(&look, why));
    if (look.spans_count > 0)
        drop_repeated(&look);
    return keep_spans(&look, ret_spans, why);
}

static enum err view_walk(struct store_view *self, const struct span_walk *walk, struct why *why)
{
    struct look look CLEANUP(look_done) = {
        .view = view_of(self),
        .trace_id = walk->trace_id,
        .query = walk->trace_id == NULL ? walk->query : NULL,
        .walk = walk,
    };

    return read_files(&look, why);
}

static int by_time(const void *a, const void *b)
{
    const struct event *left = a;
    const struct event *right = b;

    return (left->time_ns > right->time_ns) - (left->time_ns < right->time_ns);
}

static enum err view_logs(struct store_view *self, const uint8_t trace_id[TRACE_ID_BYTES],
                          struct arena *arena, struct event_list *ret_events, struct why *why)
{
    struct look look CLEANUP(look_done) = {
        .view = view_of(self), .arena = arena, .trace_id = trace_id, .events = true};

    TRY(read_files(&look, why));
    struct event *items = ARENA_ARRAY(arena, look.events_count, struct event);
    if (items == NULL)
        return arena_spent(arena, "the answer", why);
    if (look.events_count > 0) {
        memcpy(items, look.found_events, look.events_count * sizeof(*items));
        qsort(items, look.events_count, sizeof(*items), by_time);
    }
    *ret_events = (struct event_list){items, look.events_count};
    return ERR_NONE;
}

static enum err view_search(struct store_view *self, const struct trace_query *query,
                            struct arena *arena, struct span_list *ret_spans, struct why *why)
{
    struct look look CLEANUP(look_done) = {.view = view_of(self), .arena = arena, .query = query};

    TRY(read_files(&look, why));
    if (look.spans_count > 0)
        qsort(look.spans, look.spans_count, sizeof(*look.spans), by_start_down);
    if (look.spans_count > query->limit)
        look.spans_count = query->limit;
    return keep_spans(&look, ret_spans, why);
}

const struct trace_view_ops trace_view_ops = {
    .trace = view_trace,
    .logs = view_logs,
    .search = view_search,
    .walk = view_walk,
    .span = view_span,
};
