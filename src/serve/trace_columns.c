/* SPDX-License-Identifier: Apache-2.0 */
/* The spans are taken as rows of fixed size, run by run as the store shows them, merged by their
 * starts, and written column by column. Names become numbers: within a run each of the store's
 * texts is looked up once, so a million spans cost a few thousand look-ups.
 *
 * A parent is told as a row. It is found in a table of the span ids; where two spans have one id,
 * the first that began is the parent of both's children. */
#include "serve/trace_columns.h"

#include "base/json.h"
#include "base/map.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    NO_PARENT = -1,
    PARENT_MISSING = -2,
    KIND_REPEATED_ID = 0x20,
    MARK_EVENT = 0,
    MARK_EXCEPTION = 1,
    MARK_LOG = 64,
};

struct row {
    uint64_t id;
    uint64_t parent_id;
    int64_t start_ns;
    int64_t duration_ns;
    uint32_t name;
    uint32_t service;
    int32_t parent;
    uint8_t kind;
};

struct mark {
    uint64_t span_id;
    int64_t time_ns;
    uint32_t text;
    uint8_t kind;
};

/* Texts that became numbers. */
struct stock {
    struct map numbers; /* 1 + index, as an address. */
    struct str *texts;
    size_t count, capacity;
};

struct columns {
    struct arena *arena;
    struct row *rows;
    size_t rows_count, rows_capacity;
    size_t *run_starts; /* Where the rows of each run begin. */
    size_t runs_count, runs_capacity;
    struct mark *marks;
    size_t marks_count, marks_capacity;
    bool marks_are_cut;
    size_t repeated; /* Sent twice and dropped. */
    struct stock names, services, texts;
    uint32_t *slots; /* 1 + row, by span id. */
    size_t slots_mask;
};

static void stock_done(struct stock *stock)
{
    map_done(&stock->numbers);
    free(stock->texts);
}

static void columns_done(struct columns *columns)
{
    free(columns->rows);
    free(columns->run_starts);
    free(columns->marks);
    free(columns->slots);
    stock_done(&columns->names);
    stock_done(&columns->services);
    stock_done(&columns->texts);
}

static void *grown(void *items, size_t *capacity, size_t size)
{
    size_t wanted = *capacity == 0 ? 1024 : *capacity * 2;
    void *larger = reallocarray(items, wanted, size);

    if (larger == NULL)
        must_memory(wanted * size);
    *capacity = wanted;
    return larger;
}

/* Not within a character. */
static struct str cut_text(struct str text)
{
    size_t size = text.size < TRACE_COLUMNS_TEXT_MAX ? text.size : TRACE_COLUMNS_TEXT_MAX;

    while (size < text.size && size > 0 && ((uint8_t)text.data[size] & 0xc0) == 0x80)
        size--;
    return (struct str){text.data, size};
}

/* The map keeps numbers as addresses: NULL would be a free place, so they begin at 1. */
static enum err stock_number(struct stock *stock, struct arena *arena, struct str text,
                             uint32_t *ret_number, struct why *why)
{
    struct str cut = cut_text(text);
    uintptr_t number = (uintptr_t)map_get(&stock->numbers, cut);

    if (number == 0) {
        struct str copy = arena_str(arena, cut);
        if (copy.data == NULL)
            return arena_spent(arena, "the names of a trace", why);
        if (stock->count == stock->capacity)
            stock->texts = grown(stock->texts, &stock->capacity, sizeof(*stock->texts));
        stock->texts[stock->count++] = copy;
        number = stock->count;
        (void)map_put(&stock->numbers, copy, (void *)number); /* Was absent. */
    }
    *ret_number = (uint32_t)(number - 1);
    return ERR_NONE;
}

static uint64_t id_of(const uint8_t *bytes)
{
    uint64_t id;

    memcpy(&id, bytes, sizeof(id));
    return id;
}

/* ---- Taking what the store shows. ---- */

static enum err add_mark(struct columns *columns, struct mark mark, struct str text,
                         struct why *why)
{
    if (columns->marks_count == TRACE_COLUMNS_MARKS_MAX) {
        columns->marks_are_cut = true;
        return ERR_NONE;
    }
    TRY(stock_number(&columns->texts, columns->arena, text, &mark.text, why));
    if (columns->marks_count == columns->marks_capacity)
        columns->marks = grown(columns->marks, &columns->marks_capacity, sizeof(*columns->marks));
    columns->marks[columns->marks_count++] = mark;
    return ERR_NONE;
}

static enum err add_events(struct columns *columns, const struct span_run *run, size_t at,
                           struct why *why)
{
    for (uint64_t i = 0; i < run->event_counts[at]; i++) {
        const struct span_event *event = &run->events[at][i];
        struct mark mark = {
            .span_id = id_of(run->ids + at * SPAN_ID_BYTES),
            .time_ns = event->time_ns,
            .kind = str_eq(event->name, STR("exception")) ? MARK_EXCEPTION : MARK_EVENT,
        };
        TRY(add_mark(columns, mark, event->name, why));
    }
    return ERR_NONE;
}

/* Numbers of the run's own texts, 1 + ours; 0: not asked for yet. */
struct translation {
    uint32_t *names;
    uint32_t *services;
};

static enum err add_row(struct columns *columns, const struct span_run *run, size_t at,
                        const struct translation *translation, struct why *why)
{
    uint32_t *name = &translation->names[run->name_of[at]];
    uint32_t *service = &translation->services[run->resource_of[at]];

    if (*name == 0) {
        TRY(stock_number(&columns->names, columns->arena, run->texts[run->name_of[at]], name, why));
        ++*name;
    }
    if (*service == 0) {
        TRY(stock_number(&columns->services, columns->arena,
                         run->resources[run->resource_of[at]].service_name, service, why));
        ++*service;
    }
    if (columns->rows_count == columns->rows_capacity)
        columns->rows = grown(columns->rows, &columns->rows_capacity, sizeof(*columns->rows));
    columns->rows[columns->rows_count++] = (struct row){
        .id = id_of(run->ids + at * SPAN_ID_BYTES),
        .parent_id = id_of(run->parent_ids + at * SPAN_ID_BYTES),
        .start_ns = run->start_ns[at],
        .duration_ns = run->duration_ns[at],
        .name = *name - 1,
        .service = *service - 1,
        .kind = (uint8_t)run->kinds[at],
    };
    return add_events(columns, run, at, why);
}

static enum err take_run(void *self, const struct span_run *run, bool *is_enough, struct why *why)
{
    struct columns *columns = self;
    struct translation translation = {
        ARENA_ARRAY(columns->arena, run->texts_count, uint32_t),
        ARENA_ARRAY(columns->arena, run->resources_count, uint32_t),
    };

    (void)is_enough; /* All of it is wanted. */
    if (translation.names == NULL || translation.services == NULL)
        return arena_spent(columns->arena, "the names of a trace", why);
    if (columns->rows_count + run->wanted_count > TRACE_COLUMNS_SPANS_MAX)
        return fail(why, ERR_LIMIT, "the trace has more than %d spans, the most that is drawn",
                    TRACE_COLUMNS_SPANS_MAX);
    if (columns->runs_count == columns->runs_capacity)
        columns->run_starts =
            grown(columns->run_starts, &columns->runs_capacity, sizeof(*columns->run_starts));
    columns->run_starts[columns->runs_count++] = columns->rows_count;
    for (size_t at = 0; at < run->count; at++) {
        if (run->wanted[at])
            TRY(add_row(columns, run, at, &translation, why));
    }
    return ERR_NONE;
}

static enum err take_logs(struct columns *columns, struct store_view *view, const uint8_t *trace_id,
                          struct why *why)
{
    struct event_list logs;

    TRY(view->ops->traces->logs(view, trace_id, columns->arena, &logs, why));
    for (size_t i = 0; i < logs.count; i++) {
        const struct event *event = &logs.items[i];
        struct mark mark = {
            .span_id = id_of(event->span_id),
            .time_ns = event->time_ns,
            .kind = (uint8_t)(MARK_LOG + (event->severity & 31)),
        };
        bool is_text = event->body.kind == VALUE_TEXT;
        struct str text = is_text ? event->body.text : event->severity_text;
        TRY(add_mark(columns, mark, text, why));
    }
    return ERR_NONE;
}

/* ---- Order and parents. ---- */

static int by_start(const void *a, const void *b)
{
    const struct row *left = a;
    const struct row *right = b;

    if (left->start_ns != right->start_ns)
        return left->start_ns < right->start_ns ? -1 : 1;
    if (left->duration_ns != right->duration_ns)
        return left->duration_ns > right->duration_ns ? -1 : 1;
    return memcmp(&left->id, &right->id, sizeof(left->id));
}

/* Rows that are in order, of which the first was not taken yet. */
struct stretch {
    const struct row *next;
    const struct row *end;
};

/* Sinks the stretch at the top of the heap to where it belongs: the earliest row is on top. */
static void sink(struct stretch *heap, size_t count)
{
    size_t at = 0;

    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
            if (by_start(heap[child].next, heap[least].next) < 0)
                least = child;
        }
        if (least == at)
            return;
        struct stretch moved = heap[at];
        heap[at] = heap[least];
        heap[least] = moved;
        at = least;
    }
}

static int by_first(const void *a, const void *b)
{
    return by_start(((const struct stretch *)a)->next, ((const struct stretch *)b)->next);
}

/* The runs as stretches in order, none empty; returns how many. Sealed runs are in order as they
 * come, pending ones nearly. */
static size_t make_stretches(struct columns *columns, struct stretch *stretches)
{
    size_t count = 0;

    for (size_t i = 0; i < columns->runs_count; i++) {
        struct row *rows = columns->rows + columns->run_starts[i];
        struct row *end = columns->rows + (i + 1 < columns->runs_count ? columns->run_starts[i + 1]
                                                                       : columns->rows_count);
        bool is_sorted = true;
        for (const struct row *row = rows + 1; is_sorted && row < end; row++)
            is_sorted = by_start(row - 1, row) <= 0;
        if (!is_sorted)
            qsort(rows, (size_t)(end - rows), sizeof(*rows), by_start);
        if (rows < end)
            stretches[count++] = (struct stretch){rows, end};
    }
    qsort(stretches, count, sizeof(*stretches), by_first); /* In order: a heap already. */
    return count;
}

/* A thousand stretches become one: a million rows are moved once instead of twenty times. */
static void sort_rows(struct columns *columns)
{
    struct stretch *heap = reallocarray(NULL, columns->runs_count + 1, sizeof(*heap));
    struct row *sorted = reallocarray(NULL, columns->rows_count + 1, sizeof(*sorted));

    if (heap == NULL || sorted == NULL)
        must_memory((columns->rows_count + 1) * sizeof(*sorted));
    size_t stretches = make_stretches(columns, heap);
    for (size_t i = 0; i < columns->rows_count; i++) {
        sorted[i] = *heap[0].next++;
        if (heap[0].next == heap[0].end)
            heap[0] = heap[--stretches];
        sink(heap, stretches);
    }
    free(heap);
    free(columns->rows);
    columns->rows = sorted;
}

static size_t slot_of(const struct columns *columns, uint64_t id)
{
    id ^= id >> 32;
    id *= UINT64_C(0x9e3779b97f4a7c15);
    return (id >> 24) & columns->slots_mask;
}

/* The first row with the id, or -1; *ret_slot is where it stands or would. */
static int64_t find_row(const struct columns *columns, uint64_t id, size_t *ret_slot)
{
    size_t at = slot_of(columns, id);

    while (columns->slots[at] != 0 && columns->rows[columns->slots[at] - 1].id != id)
        at = (at + 1) & columns->slots_mask;
    *ret_slot = at;
    return (int64_t)columns->slots[at] - 1;
}

/* A sender that did not hear the answer sends again: the same in all that is known here. */
static bool is_repeated(const struct row *a, const struct row *b)
{
    return a->start_ns == b->start_ns && a->duration_ns == b->duration_ns && a->name == b->name &&
           a->service == b->service;
}

/* Fills the table of ids; drops rows that are there already, marks those that only share an id. */
static void index_rows(struct columns *columns)
{
    size_t kept = 0;
    size_t slots = 1024;

    while (slots < columns->rows_count * 2)
        slots *= 2;
    columns->slots = calloc(slots, sizeof(*columns->slots));
    if (columns->slots == NULL)
        must_memory(slots * sizeof(*columns->slots));
    columns->slots_mask = slots - 1;
    for (size_t i = 0; i < columns->rows_count; i++) {
        struct row row = columns->rows[i];
        size_t slot;
        int64_t same = find_row(columns, row.id, &slot);
        if (same >= 0 && is_repeated(&columns->rows[same], &row)) {
            columns->repeated++;
            continue;
        }
        if (same >= 0)
            row.kind |= KIND_REPEATED_ID;
        else
            columns->slots[slot] = (uint32_t)kept + 1;
        columns->rows[kept++] = row;
    }
    columns->rows_count = kept;
}

static void find_parents(struct columns *columns)
{
    size_t slot;

    for (size_t i = 0; i < columns->rows_count; i++) {
        struct row *row = &columns->rows[i];
        int64_t parent = row->parent_id == 0 ? NO_PARENT : find_row(columns, row->parent_id, &slot);
        if (row->parent_id != 0 && parent < 0)
            parent = PARENT_MISSING;
        row->parent = (int32_t)parent;
    }
}

/* ---- Writing. ---- */

struct column {
    const char *name;
    const char *type;
    size_t size; /* Of one place. */
    bool of_marks;
    void (*put)(const struct columns *columns, size_t at, int64_t start_ns, char *place);
};

static void put_f64(int64_t ns, int64_t start_ns, char *place)
{
    /* Unsigned: times that are 500 years apart wrap instead of being undefined. */
    double since = (double)(int64_t)((uint64_t)ns - (uint64_t)start_ns);

    memcpy(place, &since, sizeof(since));
}

static void put_id(const struct columns *columns, size_t at, int64_t start_ns, char *place)
{
    (void)start_ns;
    memcpy(place, &columns->rows[at].id, SPAN_ID_BYTES);
}

static void put_start(const struct columns *columns, size_t at, int64_t start_ns, char *place)
{
    put_f64(columns->rows[at].start_ns, start_ns, place);
}

static void put_duration(const struct columns *columns, size_t at, int64_t start_ns, char *place)
{
    (void)start_ns;
    put_f64(columns->rows[at].duration_ns, 0, place);
}

static void put_parent(const struct columns *columns, size_t at, int64_t start_ns, char *place)
{
    (void)start_ns;
    memcpy(place, &columns->rows[at].parent, sizeof(int32_t));
}

static void put_name(const struct columns *columns, size_t at, int64_t start_ns, char *place)
{
    (void)start_ns;
    memcpy(place, &columns->rows[at].name, sizeof(uint32_t));
}

static void put_service(const struct columns *columns, size_t at, int64_t start_ns, char *place)
{
    (void)start_ns;
    memcpy(place, &columns->rows[at].service, sizeof(uint32_t));
}

static void put_kind(const struct columns *columns, size_t at, int64_t start_ns, char *place)
{
    (void)start_ns;
    *place = (char)columns->rows[at].kind;
}

static void put_mark_row(const struct columns *columns, size_t at, int64_t start_ns, char *place)
{
    size_t slot;
    int32_t row = (int32_t)find_row(columns, columns->marks[at].span_id, &slot);

    (void)start_ns;
    memcpy(place, &row, sizeof(row));
}

static void put_mark_time(const struct columns *columns, size_t at, int64_t start_ns, char *place)
{
    put_f64(columns->marks[at].time_ns, start_ns, place);
}

static void put_mark_text(const struct columns *columns, size_t at, int64_t start_ns, char *place)
{
    (void)start_ns;
    memcpy(place, &columns->marks[at].text, sizeof(uint32_t));
}

static void put_mark_kind(const struct columns *columns, size_t at, int64_t start_ns, char *place)
{
    (void)start_ns;
    *place = (char)columns->marks[at].kind;
}

static const struct column columns_of_trace[] = {
    {"id", "id", SPAN_ID_BYTES, false, put_id},   {"start", "f64", 8, false, put_start},
    {"duration", "f64", 8, false, put_duration},  {"parent", "i32", 4, false, put_parent},
    {"name", "u32", 4, false, put_name},          {"service", "u32", 4, false, put_service},
    {"kind", "u8", 1, false, put_kind},           {"mark_row", "i32", 4, true, put_mark_row},
    {"mark_time", "f64", 8, true, put_mark_time}, {"mark_text", "u32", 4, true, put_mark_text},
    {"mark_kind", "u8", 1, true, put_mark_kind},
};

static size_t aligned(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

static size_t places_of(const struct columns *columns, const struct column *column)
{
    return column->of_marks ? columns->marks_count : columns->rows_count;
}

static void add_texts(struct json *json, const char *key, const struct stock *stock)
{
    json_key(json, key);
    json_open(json, '[');
    for (size_t i = 0; i < stock->count; i++)
        json_add_str(json, stock->texts[i]);
    json_close(json, ']');
}

static void add_directory(struct json *json, const struct columns *columns)
{
    size_t at = 0; /* From the end of the text: its size is known when it is written. */

    json_key(json, "columns");
    json_open(json, '[');
    for (size_t i = 0; i < ARRAY_COUNT(columns_of_trace); i++) {
        const struct column *column = &columns_of_trace[i];
        json_open(json, '{');
        json_put_text(json, "name", column->name);
        json_put_text(json, "type", column->type);
        json_put_u64(json, "at", at);
        json_put_u64(json, "count", places_of(columns, column));
        json_close(json, '}');
        at += aligned(places_of(columns, column) * column->size);
    }
    json_close(json, ']');
}

static void write_text(const struct columns *columns, const uint8_t *trace_id, int64_t start_ns,
                       struct buf *out)
{
    char id[2 * TRACE_ID_BYTES + 1] = "";
    char start[24];
    struct json json = json_begin(out);

    for (size_t i = 0; i < TRACE_ID_BYTES; i++)
        (void)snprintf(id + 2 * i, 3, "%02x", trace_id[i]);            /* Two digits each. */
    (void)snprintf(start, sizeof(start), "%lld", (long long)start_ns); /* Fits. */
    json_open(&json, '{');
    json_put_text(&json, "trace_id", id);
    json_put_text(&json, "start_ns", start);
    json_put_u64(&json, "spans", columns->rows_count);
    json_put_u64(&json, "marks", columns->marks_count);
    json_put_bool(&json, "marks_are_cut", columns->marks_are_cut);
    json_put_u64(&json, "repeated", columns->repeated);
    add_texts(&json, "services", &columns->services);
    add_texts(&json, "names", &columns->names);
    add_texts(&json, "texts", &columns->texts);
    add_directory(&json, columns);
    json_close(&json, '}');
}

static void write_column(const struct columns *columns, const struct column *column,
                         int64_t start_ns, struct buf *out)
{
    size_t count = places_of(columns, column);
    size_t size = aligned(count * column->size);
    char *place = buf_reserve(out, size);

    memset(place + count * column->size, 0, size - count * column->size);
    for (size_t i = 0; i < count; i++)
        column->put(columns, i, start_ns, place + i * column->size);
    out->size += size;
}

static void write_all(const struct columns *columns, const uint8_t *trace_id, struct buf *out)
{
    int64_t start_ns = columns->rows_count > 0    ? columns->rows[0].start_ns
                       : columns->marks_count > 0 ? columns->marks[0].time_ns
                                                  : 0;
    size_t begin = out->size;

    buf_text(out, "SPN1");
    buf_u32(out, 0);
    write_text(columns, trace_id, start_ns, out);
    while ((out->size - begin) % 8 != 0)
        buf_byte(out, ' ');
    size_t total = 0;
    for (size_t i = 0; i < ARRAY_COUNT(columns_of_trace); i++)
        total += aligned(places_of(columns, &columns_of_trace[i]) * columns_of_trace[i].size);
    (void)buf_reserve(out, total); /* At once, instead of growing and moving. */
    uint32_t size = (uint32_t)(out->size - begin - 8);
    memcpy(out->data + begin + 4, &size, sizeof(size));
    for (size_t i = 0; i < ARRAY_COUNT(columns_of_trace); i++)
        write_column(columns, &columns_of_trace[i], start_ns, out);
}

enum err trace_columns_write(struct store_view *view, const uint8_t trace_id[TRACE_ID_BYTES],
                             struct arena *arena, struct buf *out, bool *ret_found, struct why *why)
{
    struct columns columns CLEANUP(columns_done) = {.arena = arena};
    struct span_walk walk = {
        .trace_id = trace_id,
        .with_events = true,
        .self = &columns,
        .show = take_run,
    };

    TRY(view->ops->traces->walk(view, &walk, why));
    TRY(take_logs(&columns, view, trace_id, why));
    sort_rows(&columns);
    index_rows(&columns);
    find_parents(&columns);
    *ret_found = columns.rows_count + columns.marks_count > 0;
    if (*ret_found)
        write_all(&columns, trace_id, out);
    return ERR_NONE;
}
