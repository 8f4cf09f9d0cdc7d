/* SPDX-License-Identifier: Apache-2.0 */
/* Columns (store/packed tells what stands around them); "numbers" are one varint a row:
 *
 *     TRACES      16 bytes each, in the order in which they come
 *     TRACE_OF    numbers: 0 as the row before, 1 the next new one, else 2 + index
 *     IDS         8 bytes a row
 *     PARENTS     numbers: 0 none, 1 the next of PARENT_IDS, else 2 + zigzag(row - parent's row)
 *     PARENT_IDS  8 bytes each
 *     STARTS      numbers: zigzag of the difference to the row before, in ns
 *     DURATIONS   numbers: zigzag, in ns; may be negative
 *     NAMES MESSAGES STATES    numbers of texts
 *     KINDS       numbers: kind | status << 3
 *     FLAGS DROPPED_EVENTS DROPPED_LINKS EVENTS LINKS (counts) RESOURCE_OF SCOPE_OF SHAPE_OF
 * numbers EVENT_DATA  | zigzag of time - start | name, text | attributes | LINK_DATA   | trace id |
 * span id | state, text | flags | attributes | RESOURCES SCOPES    see store/owner_table
 *
 * A column of nothing but zeros is left out. */
#include "store/span_block.h"

#include "codec/otlp.h"
#include "store/owner_table.h"

#include <assert.h>
#include <stdlib.h>

enum {
    TRACES,
    TRACE_OF,
    IDS,
    PARENTS,
    PARENT_IDS,
    STARTS,
    DURATIONS,
    NAMES,
    KINDS,
    FLAGS,
    MESSAGES,
    STATES,
    RESOURCE_OF,
    SCOPE_OF,
    SHAPE_OF,
    DROPPED_EVENTS,
    DROPPED_LINKS,
    EVENTS,
    EVENT_DATA,
    LINKS,
    LINK_DATA,
    RESOURCES,
    SCOPES,
    ID_SLOTS = 4 * SPAN_BLOCK_ROWS_MAX,
};

static const unsigned rarely_set[] = {FLAGS,  MESSAGES,       STATES,        SCOPE_OF,
                                      EVENTS, DROPPED_EVENTS, DROPPED_LINKS, LINKS};

static_assert(TRACE_ID_BYTES == 16 && SPAN_ID_BYTES == 8, "the layout above says so");
static_assert((int)SCOPES < (int)PACKED_SIZES, "columns of our own come before packed's");

struct span_packer {
    struct packed_writer *writer;
    struct owner_table resources;
    struct owner_table scopes;
    bool is_set[PACKED_COLUMNS]; /* A column of numbers has one that is not zero. */
    /* By hash: 1 + row of a span id, 1 + index of a trace id. */
    uint32_t id_slots[ID_SLOTS];
    uint32_t trace_slots[ID_SLOTS];
    uint32_t traces_count;
    uint32_t trace_before;
};

struct span_packer *span_packer_new(void)
{
    struct span_packer *packer = calloc(1, sizeof(*packer));

    if (packer == NULL)
        must_memory(sizeof(*packer));
    packer->writer = packed_writer_new();
    return packer;
}

struct span_packer *span_packer_free(struct span_packer *packer)
{
    if (packer != NULL) {
        packed_writer_free(packer->writer);
        owner_table_done(&packer->resources);
        owner_table_done(&packer->scopes);
        free(packer);
    }
    return NULL;
}

static void packer_clear(struct span_packer *packer, bool sealed)
{
    packed_clear(packer->writer);
    owner_table_clear(&packer->resources);
    owner_table_clear(&packer->scopes);
    memset(packer->is_set, 0, sizeof(packer->is_set));
    if (sealed)
        memset(packer->id_slots, 0, sizeof(packer->id_slots));
    memset(packer->trace_slots, 0, sizeof(packer->trace_slots));
    packer->traces_count = 0;
    packer->trace_before = UINT32_MAX;
}

static void put(struct span_packer *packer, unsigned column, uint64_t number)
{
    packer->is_set[column] |= number != 0;
    buf_varint(packed_column(packer->writer, column), number);
}

static uint64_t id_number(const uint8_t *id)
{
    uint64_t number;

    memcpy(&number, id, sizeof(number));
    return number;
}

static size_t slot_of(uint64_t number)
{
    number ^= number >> 32;
    number *= UINT64_C(0x9e3779b97f4a7c15);
    return number >> 32 & (ID_SLOTS - 1);
}

static void put_trace(struct span_packer *packer, const struct span *span)
{
    struct buf *traces = packed_column(packer->writer, TRACES);
    size_t at = slot_of(id_number(span->trace_id) ^ id_number(span->trace_id + 8));

    for (; packer->trace_slots[at] != 0; at = (at + 1) & (ID_SLOTS - 1)) {
        uint32_t index = packer->trace_slots[at] - 1;
        if (memcmp(traces->data + (size_t)index * TRACE_ID_BYTES, span->trace_id, TRACE_ID_BYTES) !=
            0)
            continue;
        put(packer, TRACE_OF, index == packer->trace_before ? 0 : UINT64_C(2) + index);
        packer->trace_before = index;
        return;
    }
    packer->trace_slots[at] = packer->traces_count + 1;
    packer->trace_before = packer->traces_count++;
    buf_append(traces, span->trace_id, TRACE_ID_BYTES);
    put(packer, TRACE_OF, 1);
}

/* The row of a span id among those before `row`; spans of a trace stand by time, parents first. */
static bool find_row(const struct span_packer *packer, const struct span *const *spans,
                     const uint8_t *id, uint32_t *ret_row)
{
    for (size_t at = slot_of(id_number(id)); packer->id_slots[at] != 0;
         at = (at + 1) & (ID_SLOTS - 1)) {
        uint32_t row = packer->id_slots[at] - 1;
        if (memcmp(spans[row]->span_id, id, SPAN_ID_BYTES) == 0) {
            *ret_row = row;
            return true;
        }
    }
    return false;
}

static void keep_row(struct span_packer *packer, const uint8_t *id, uint32_t row)
{
    size_t at = slot_of(id_number(id));

    while (packer->id_slots[at] != 0)
        at = (at + 1) & (ID_SLOTS - 1);
    packer->id_slots[at] = row + 1;
}

static void put_parent(struct span_packer *packer, const struct span *const *spans, uint32_t row,
                       bool sealed)
{
    const uint8_t *parent = spans[row]->parent_span_id;
    uint32_t parent_row;

    if (id_number(parent) == 0) {
        put(packer, PARENTS, 0);
    } else if (sealed && find_row(packer, spans, parent, &parent_row)) {
        put(packer, PARENTS, 2 + zigzag((int64_t)row - parent_row));
    } else {
        put(packer, PARENTS, 1);
        buf_append(packed_column(packer->writer, PARENT_IDS), parent, SPAN_ID_BYTES);
    }
    if (sealed)
        keep_row(packer, spans[row]->span_id, row);
}

static void put_events(struct span_packer *packer, const struct span *span)
{
    struct buf *data = packed_column(packer->writer, EVENT_DATA);

    put(packer, EVENTS, span->event_count);
    for (size_t i = 0; i < span->event_count; i++) {
        const struct span_event *event = &span->events[i];
        buf_varint(data, zigzag((int64_t)((uint64_t)event->time_ns - (uint64_t)span->start_ns)));
        buf_varint(data, packed_text(packer->writer, event->name));
        packed_put_attributes(packer->writer, data, &event->attributes);
    }
}

static void put_links(struct span_packer *packer, const struct span *span)
{
    struct buf *data = packed_column(packer->writer, LINK_DATA);

    put(packer, LINKS, span->link_count);
    for (size_t i = 0; i < span->link_count; i++) {
        const struct span_link *link = &span->links[i];
        buf_append(data, link->trace_id, TRACE_ID_BYTES);
        buf_append(data, link->span_id, SPAN_ID_BYTES);
        buf_varint(data, packed_text(packer->writer, link->trace_state));
        buf_varint(data, link->flags);
        packed_put_attributes(packer->writer, data, &link->attributes);
    }
}

static void put_span(struct span_packer *packer, const struct span *const *spans, uint32_t row,
                     bool sealed)
{
    const struct span *span = spans[row];
    struct packed_writer *writer = packer->writer;
    int64_t before_ns = row == 0 ? 0 : spans[row - 1]->start_ns;

    put_trace(packer, span);
    buf_append(packed_column(writer, IDS), span->span_id, SPAN_ID_BYTES);
    put_parent(packer, spans, row, sealed);
    put(packer, STARTS, zigzag((int64_t)((uint64_t)span->start_ns - (uint64_t)before_ns)));
    put(packer, DURATIONS, zigzag((int64_t)((uint64_t)span->end_ns - (uint64_t)span->start_ns)));
    put(packer, NAMES, packed_text(writer, span->name));
    put(packer, KINDS, (uint64_t)span->kind | (uint64_t)span->status << 3);
    put(packer, FLAGS, span->flags);
    put(packer, MESSAGES, packed_text(writer, span->status_message));
    put(packer, STATES, packed_text(writer, span->trace_state));
    put(packer, RESOURCE_OF, owner_of_resource(&packer->resources, writer, span->resource));
    put(packer, SCOPE_OF, owner_of_scope(&packer->scopes, writer, span->scope));
    put(packer, SHAPE_OF, packed_attributes(writer, &span->attributes));
    put(packer, DROPPED_EVENTS, span->dropped_event_count);
    put(packer, DROPPED_LINKS, span->dropped_link_count);
    put_events(packer, span);
    put_links(packer, span);
}

static void note(struct span_block_info *info, const struct span *span)
{
    int64_t duration_ns = (int64_t)((uint64_t)span->end_ns - (uint64_t)span->start_ns);

    if (span->start_ns < info->min_ns)
        info->min_ns = span->start_ns;
    if (span->start_ns > info->max_ns)
        info->max_ns = span->start_ns;
    if (duration_ns < info->duration_min_ns)
        info->duration_min_ns = duration_ns;
    if (duration_ns > info->duration_max_ns)
        info->duration_max_ns = duration_ns;
    info->errors += span->status == SPAN_STATUS_ERROR;
}

size_t span_block_encode(struct span_packer *packer, const struct span *const *spans, size_t count,
                         bool sealed, struct buf *out, struct span_block_info *ret_info)
{
    size_t most = count < SPAN_BLOCK_ROWS_MAX ? count : SPAN_BLOCK_ROWS_MAX;
    size_t row = 0;

    MUST(count > 0);
    packer_clear(packer, sealed);
    *ret_info = (struct span_block_info){
        .min_ns = INT64_MAX,
        .max_ns = INT64_MIN,
        .duration_min_ns = INT64_MAX,
        .duration_max_ns = INT64_MIN,
    };
    do {
        put_span(packer, spans, (uint32_t)row, sealed);
        note(ret_info, spans[row]);
        row++;
    } while (row < most && (row % 64 != 0 || packed_size(packer->writer) < PACKED_BYTES_MAX));
    for (size_t i = 0; i < ARRAY_COUNT(rarely_set); i++) {
        if (!packer->is_set[rarely_set[i]])
            buf_clear(packed_column(packer->writer, rarely_set[i]));
    }
    buf_str(packed_column(packer->writer, RESOURCES), buf_view(&packer->resources.bytes));
    buf_str(packed_column(packer->writer, SCOPES), buf_view(&packer->scopes.bytes));
    packed_finish(packer->writer, (uint32_t)row, sealed, out);
    ret_info->rows = (uint32_t)row;
    return row;
}

static void resource_terms(const struct resource *resource, struct terms *pairs)
{
    char scratch[TERM_TEXT_SIZE];
    struct str text;

    terms_add(pairs, term_hash(STR("service.name"), resource->service_name));
    for (size_t i = 0; i < resource->attributes.count; i++) {
        const struct attribute *item = &resource->attributes.items[i];
        if (term_text(&item->value, scratch, &text))
            terms_add(pairs, term_hash(item->key, text));
    }
}

void span_block_terms(const struct span_packer *packer, const struct span *const *spans,
                      size_t count, struct terms *traces, struct terms *pairs)
{
    const struct buf *ids = packed_column(packer->writer, TRACES);
    const struct resource *resource = NULL;
    struct str name = STR_NONE;

    terms_clear(traces);
    terms_clear(pairs);
    for (size_t i = 0; i < packer->traces_count; i++)
        terms_add(traces,
                  term_hash_id((const uint8_t *)ids->data + i * TRACE_ID_BYTES, TRACE_ID_BYTES));
    packed_terms(packer->writer, pairs);
    for (size_t i = 0; i < count; i++) {
        if (spans[i]->resource != resource)
            resource_terms(spans[i]->resource, pairs);
        resource = spans[i]->resource;
        if (!str_eq(spans[i]->name, name))
            terms_add(pairs, term_hash(TERM_NAME, spans[i]->name));
        name = spans[i]->name;
    }
}

/* ---- Reading. ---- */

enum err span_block_parse(struct str bytes, struct arena *arena, struct span_block *ret_block,
                          struct why *why)
{
    struct span_block block = {0};
    struct str ids;

    TRY(packed_parse(bytes, arena, &block.packed, why));
    if (block.packed.rows > SPAN_BLOCK_ROWS_MAX)
        return packed_corrupt("it has too many rows", why);
    TRY(packed_bytes(&block.packed, TRACES, &ids, why));
    block.traces = (const uint8_t *)ids.data;
    block.traces_count = ids.size / TRACE_ID_BYTES;
    *ret_block = block;
    return ERR_NONE;
}

enum err span_block_read_traces(struct span_block *block, struct why *why)
{
    const uint64_t *codes;
    uint64_t fresh = 0;
    uint64_t before = 0;

    if (block->trace_of != NULL)
        return ERR_NONE;
    TRY(packed_numbers(&block->packed, TRACE_OF, &codes, why));
    uint64_t *trace_of = ARENA_ARRAY_RAW(block->packed.arena, block->packed.rows, uint64_t);
    if (trace_of == NULL)
        return arena_spent(block->packed.arena, "reading spans", why);
    for (uint32_t i = 0; i < block->packed.rows; i++) {
        if (codes[i] != 0)
            before = codes[i] == 1 ? fresh++ : codes[i] - 2;
        if (before >= block->traces_count)
            return packed_corrupt("a trace id is missing", why);
        trace_of[i] = before;
    }
    block->trace_of = trace_of;
    return ERR_NONE;
}

static enum err read_times(struct span_block *block, struct why *why)
{
    uint32_t rows = block->packed.rows;
    const uint64_t *codes;
    uint64_t start = 0;

    block->start_ns = ARENA_ARRAY(block->packed.arena, rows, int64_t);
    block->duration_ns = ARENA_ARRAY(block->packed.arena, rows, int64_t);
    if (block->start_ns == NULL || block->duration_ns == NULL)
        return arena_spent(block->packed.arena, "reading spans", why);
    TRY(packed_numbers(&block->packed, STARTS, &codes, why));
    for (uint32_t i = 0; i < rows; i++) {
        start += (uint64_t)unzigzag(codes[i]);
        block->start_ns[i] = (int64_t)start;
    }
    TRY(packed_numbers(&block->packed, DURATIONS, &codes, why));
    for (uint32_t i = 0; i < rows; i++)
        block->duration_ns[i] = unzigzag(codes[i]);
    return ERR_NONE;
}

enum err span_block_read_basics(struct span_block *block, struct why *why)
{
    struct packed *packed = &block->packed;

    if (block->start_ns != NULL)
        return ERR_NONE;
    TRY(packed_read_texts(packed, why));
    TRY(packed_numbers(packed, NAMES, &block->names, why));
    TRY(packed_numbers(packed, KINDS, &block->kinds, why));
    TRY(packed_numbers(packed, RESOURCE_OF, &block->resource_of, why));
    TRY(packed_numbers(packed, SHAPE_OF, &block->shape_of, why));
    TRY(owner_read_resources(packed, RESOURCES, &block->resources, &block->resources_count, why));
    for (uint32_t i = 0; i < packed->rows; i++) {
        if (block->resource_of[i] >= block->resources_count ||
            block->names[i] >= packed->texts_count || span_block_kind(block, i) > 5 ||
            block->kinds[i] >> 3 > SPAN_STATUS_ERROR)
            return packed_corrupt("a number of a row is out of range", why);
    }
    return read_times(block, why);
}

/* What the rows are put together from. */
struct rows {
    struct span_block *block;
    const uint8_t *ids;
    const uint8_t *parent_ids;
    size_t parent_ids_left;
    const uint64_t *parents, *flags, *messages, *states, *scope_of;
    const uint64_t *dropped_events, *dropped_links, *events, *links;
    const struct scope *scopes;
    size_t scopes_count;
    struct varint_reader event_data, link_data;
    struct packed_cursor attributes;
};

enum err span_block_ids(struct span_block *block, const uint8_t **ret_ids, struct why *why)
{
    struct str bytes;

    TRY(packed_bytes(&block->packed, IDS, &bytes, why));
    if (bytes.size != (size_t)block->packed.rows * SPAN_ID_BYTES)
        return packed_corrupt("span ids are missing", why);
    *ret_ids = (const uint8_t *)bytes.data;
    return ERR_NONE;
}

static enum err rows_init(struct rows *rows, struct span_block *block, struct why *why)
{
    struct packed *packed = &block->packed;
    struct str bytes;

    *rows = (struct rows){.block = block};
    TRY(span_block_read_traces(block, why));
    TRY(span_block_read_basics(block, why));
    TRY(span_block_ids(block, &rows->ids, why));
    TRY(packed_bytes(packed, PARENT_IDS, &bytes, why));
    rows->parent_ids = (const uint8_t *)bytes.data;
    rows->parent_ids_left = bytes.size / SPAN_ID_BYTES;
    TRY(packed_numbers(packed, PARENTS, &rows->parents, why));
    TRY(packed_numbers(packed, FLAGS, &rows->flags, why));
    TRY(packed_numbers(packed, MESSAGES, &rows->messages, why));
    TRY(packed_numbers(packed, STATES, &rows->states, why));
    TRY(packed_numbers(packed, SCOPE_OF, &rows->scope_of, why));
    TRY(packed_numbers(packed, DROPPED_EVENTS, &rows->dropped_events, why));
    TRY(packed_numbers(packed, DROPPED_LINKS, &rows->dropped_links, why));
    TRY(packed_numbers(packed, EVENTS, &rows->events, why));
    TRY(packed_numbers(packed, LINKS, &rows->links, why));
    TRY(owner_read_scopes(packed, SCOPES, &rows->scopes, &rows->scopes_count, why));
    TRY(packed_bytes(packed, EVENT_DATA, &bytes, why));
    rows->event_data = varint_begin(bytes);
    TRY(packed_bytes(packed, LINK_DATA, &bytes, why));
    rows->link_data = varint_begin(bytes);
    return packed_cursor_init(&rows->attributes, packed, why);
}

/* The parent's id of the next row; must be called for every row. */
static enum err next_parent(struct rows *rows, uint32_t row, uint8_t *ret_id, struct why *why)
{
    uint64_t code = rows->parents[row];

    if (code == 0) {
        memset(ret_id, 0, SPAN_ID_BYTES);
        return ERR_NONE;
    }
    if (code == 1) {
        if (rows->parent_ids_left == 0)
            return packed_corrupt("a parent's id is missing", why);
        memcpy(ret_id, rows->parent_ids, SPAN_ID_BYTES);
        rows->parent_ids += SPAN_ID_BYTES;
        rows->parent_ids_left--;
        return ERR_NONE;
    }
    uint64_t parent = (uint64_t)row - (uint64_t)unzigzag(code - 2);
    if (parent >= rows->block->packed.rows)
        return packed_corrupt("a parent's row is missing", why);
    memcpy(ret_id, rows->ids + parent * SPAN_ID_BYTES, SPAN_ID_BYTES);
    return ERR_NONE;
}

static enum err next_events(struct rows *rows, uint32_t row, int64_t start_ns, struct span *span,
                            struct why *why)
{
    struct packed *packed = &rows->block->packed;
    struct varint_reader *reader = &rows->event_data;
    uint64_t count = rows->events[row];

    if (count == 0)
        return ERR_NONE;
    if (count > varint_left(reader))
        return packed_corrupt("events of a span are missing", why);
    struct span_event *events = ARENA_ARRAY(packed->arena, count, struct span_event);
    if (events == NULL)
        return arena_spent(packed->arena, "reading spans", why);
    for (uint64_t i = 0; i < count; i++) {
        events[i].time_ns = (int64_t)((uint64_t)start_ns + (uint64_t)unzigzag(varint_read(reader)));
        TRY(packed_text_at(packed, varint_read(reader), &events[i].name, why));
        TRY(packed_get_attributes(packed, reader, &events[i].attributes, why));
    }
    span->events = events;
    span->event_count = count;
    return ERR_NONE;
}

static enum err next_links(struct rows *rows, uint32_t row, struct span *span, struct why *why)
{
    struct packed *packed = &rows->block->packed;
    struct varint_reader *reader = &rows->link_data;
    uint64_t count = rows->links[row];

    if (count == 0)
        return ERR_NONE;
    if (count > varint_left(reader))
        return packed_corrupt("links of a span are missing", why);
    struct span_link *links = ARENA_ARRAY(packed->arena, count, struct span_link);
    if (links == NULL)
        return arena_spent(packed->arena, "reading spans", why);
    for (uint64_t i = 0; i < count; i++) {
        struct str ids = varint_bytes(reader, TRACE_ID_BYTES + SPAN_ID_BYTES);
        if (ids.data == NULL)
            return packed_corrupt("a link is cut short", why);
        memcpy(links[i].trace_id, ids.data, TRACE_ID_BYTES);
        memcpy(links[i].span_id, ids.data + TRACE_ID_BYTES, SPAN_ID_BYTES);
        TRY(packed_text_at(packed, varint_read(reader), &links[i].trace_state, why));
        links[i].flags = (uint32_t)varint_read(reader);
        TRY(packed_get_attributes(packed, reader, &links[i].attributes, why));
    }
    span->links = links;
    span->link_count = count;
    return ERR_NONE;
}

static enum err fill(struct rows *rows, uint32_t row, struct span *span, struct why *why)
{
    struct span_block *block = rows->block;
    struct packed *packed = &block->packed;

    memcpy(span->trace_id, block->traces + block->trace_of[row] * TRACE_ID_BYTES, TRACE_ID_BYTES);
    memcpy(span->span_id, rows->ids + (size_t)row * SPAN_ID_BYTES, SPAN_ID_BYTES);
    span->start_ns = block->start_ns[row];
    span->end_ns = (int64_t)((uint64_t)span->start_ns + (uint64_t)block->duration_ns[row]);
    span->name = packed->texts[block->names[row]];
    span->kind = span_block_kind(block, row);
    span->status = span_block_status(block, row);
    TRY(packed_text_at(packed, rows->messages[row], &span->status_message, why));
    TRY(packed_text_at(packed, rows->states[row], &span->trace_state, why));
    span->flags = (uint32_t)rows->flags[row];
    span->dropped_event_count = (uint32_t)rows->dropped_events[row];
    span->dropped_link_count = (uint32_t)rows->dropped_links[row];
    span->resource = &block->resources[block->resource_of[row]];
    if (rows->scope_of[row] > rows->scopes_count)
        return packed_corrupt("a scope is missing", why);
    if (rows->scope_of[row] > 0)
        span->scope = &rows->scopes[rows->scope_of[row] - 1];
    return otlp_llm_read(span, packed->arena, &span->llm, why);
}

enum err span_block_read(struct span_block *block, const bool *wanted, struct span *spans,
                         struct why *why)
{
    struct span stepped_over = {0};
    struct rows rows;
    size_t filled = 0;

    TRY(rows_init(&rows, block, why));
    for (uint32_t row = 0; row < block->packed.rows; row++) {
        bool take = wanted == NULL || wanted[row];
        struct span *span = take ? &spans[filled++] : &stepped_over;
        if (take)
            *span = (struct span){0};
        TRY(next_parent(&rows, row, span->parent_span_id, why));
        TRY(packed_cursor_next(&rows.attributes, block->shape_of[row],
                               take ? &span->attributes : NULL, why));
        TRY(next_events(&rows, row, block->start_ns[row], span, why));
        TRY(next_links(&rows, row, span, why));
        if (take)
            TRY(fill(&rows, row, span, why));
    }
    return ERR_NONE;
}

/* ---- As columns. ---- */

/* What of the rows a run needs; their attributes are left where they are. */
static enum err run_rows_init(struct rows *rows, struct span_block *block, struct why *why)
{
    struct packed *packed = &block->packed;
    struct str bytes;

    *rows = (struct rows){.block = block};
    TRY(span_block_read_basics(block, why));
    TRY(span_block_ids(block, &rows->ids, why));
    TRY(packed_bytes(packed, PARENT_IDS, &bytes, why));
    rows->parent_ids = (const uint8_t *)bytes.data;
    rows->parent_ids_left = bytes.size / SPAN_ID_BYTES;
    TRY(packed_numbers(packed, PARENTS, &rows->parents, why));
    TRY(packed_numbers(packed, EVENTS, &rows->events, why));
    TRY(packed_bytes(packed, EVENT_DATA, &bytes, why));
    rows->event_data = varint_begin(bytes);
    return ERR_NONE;
}

/* Events stand one behind the other, so those of all rows are read. */
static enum err run_events(struct rows *rows, struct span_run *run, struct why *why)
{
    struct packed *packed = &rows->block->packed;
    const struct span_event **events =
        ARENA_ARRAY(packed->arena, run->count, const struct span_event *);

    if (events == NULL)
        return arena_spent(packed->arena, "reading spans", why);
    TRY(packed_read_shapes(packed, why));
    for (uint32_t row = 0; row < packed->rows; row++) {
        struct span span = {0};
        TRY(next_events(rows, row, run->start_ns[row], &span, why));
        events[row] = span.events;
    }
    run->events = events;
    return ERR_NONE;
}

enum err span_block_run(struct span_block *block, bool with_events, struct span_run *ret_run,
                        struct why *why)
{
    struct packed *packed = &block->packed;
    struct rows rows;

    TRY(span_block_read_traces(block, why));
    TRY(run_rows_init(&rows, block, why));
    uint8_t *parents = ARENA_ARRAY(packed->arena, (size_t)packed->rows * SPAN_ID_BYTES, uint8_t);
    if (parents == NULL)
        return arena_spent(packed->arena, "reading spans", why);
    for (uint32_t row = 0; row < packed->rows; row++)
        TRY(next_parent(&rows, row, parents + (size_t)row * SPAN_ID_BYTES, why));
    *ret_run = (struct span_run){
        .count = packed->rows,
        .traces = block->traces,
        .traces_count = block->traces_count,
        .trace_of = block->trace_of,
        .ids = rows.ids,
        .parent_ids = parents,
        .start_ns = block->start_ns,
        .duration_ns = block->duration_ns,
        .kinds = block->kinds,
        .texts = packed->texts,
        .texts_count = packed->texts_count,
        .name_of = block->names,
        .resources = block->resources,
        .resources_count = block->resources_count,
        .resource_of = block->resource_of,
        .event_counts = rows.events,
    };
    return with_events ? run_events(&rows, ret_run, why) : ERR_NONE;
}
