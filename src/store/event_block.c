/* SPDX-License-Identifier: Apache-2.0 */
/* Columns (store/packed tells what stands around them); "numbers" are one varint a row:
 *
 *     TRACES SPANS    16 and 8 bytes a row; left out when no row has a trace
 *     TIMES           numbers: zigzag of the difference to the row before, in ns
 *     OBSERVED        numbers: zigzag of observed - time, in ns
 *     SEVERITIES FLAGS RESOURCE_OF SCOPE_OF SHAPE_OF    numbers
 *     SEVERITY_TEXTS NAMES    numbers of texts
 *     BODIES          a value each, one behind the other
 *     RESOURCES SCOPES    see store/owner_table */
#include "store/event_block.h"

#include "store/owner_table.h"

#include <stdlib.h>

enum {
    TRACES,
    SPANS,
    TIMES,
    OBSERVED,
    SEVERITIES,
    FLAGS,
    SEVERITY_TEXTS,
    NAMES,
    BODIES,
    RESOURCE_OF,
    SCOPE_OF,
    SHAPE_OF,
    RESOURCES,
    SCOPES,
};

struct event_packer {
    struct packed_writer *writer;
    struct owner_table resources;
    struct owner_table scopes;
    bool has_traces;
};

struct event_packer *event_packer_new(void)
{
    struct event_packer *packer = calloc(1, sizeof(*packer));

    if (packer == NULL)
        must_memory(sizeof(*packer));
    packer->writer = packed_writer_new();
    return packer;
}

struct event_packer *event_packer_free(struct event_packer *packer)
{
    if (packer != NULL) {
        packed_writer_free(packer->writer);
        owner_table_done(&packer->resources);
        owner_table_done(&packer->scopes);
        free(packer);
    }
    return NULL;
}

static void put(struct event_packer *packer, unsigned column, uint64_t number)
{
    buf_varint(packed_column(packer->writer, column), number);
}

static void put_event(struct event_packer *packer, const struct event *event, int64_t before_ns)
{
    static const uint8_t none[TRACE_ID_BYTES];
    struct packed_writer *writer = packer->writer;

    /* Some name a span without its trace. */
    packer->has_traces |= memcmp(event->trace_id, none, TRACE_ID_BYTES) != 0 ||
                          memcmp(event->span_id, none, SPAN_ID_BYTES) != 0;
    buf_append(packed_column(writer, TRACES), event->trace_id, TRACE_ID_BYTES);
    buf_append(packed_column(writer, SPANS), event->span_id, SPAN_ID_BYTES);
    put(packer, TIMES, zigzag((int64_t)((uint64_t)event->time_ns - (uint64_t)before_ns)));
    put(packer, OBSERVED,
        zigzag((int64_t)((uint64_t)event->observed_ns - (uint64_t)event->time_ns)));
    put(packer, SEVERITIES, (uint64_t)(uint32_t)event->severity);
    put(packer, FLAGS, event->flags);
    put(packer, SEVERITY_TEXTS, packed_text(writer, event->severity_text));
    put(packer, NAMES, packed_text(writer, event->name));
    packed_put_value(writer, packed_column(writer, BODIES), &event->body);
    put(packer, RESOURCE_OF, owner_of_resource(&packer->resources, writer, event->resource));
    put(packer, SCOPE_OF, owner_of_scope(&packer->scopes, writer, event->scope));
    put(packer, SHAPE_OF, packed_attributes(writer, &event->attributes));
}

size_t event_block_encode(struct event_packer *packer, const struct event *const *events,
                          size_t count, bool sealed, struct buf *out,
                          struct event_block_info *ret_info)
{
    size_t most = count < EVENT_BLOCK_ROWS_MAX ? count : EVENT_BLOCK_ROWS_MAX;
    size_t row = 0;

    MUST(count > 0);
    packed_clear(packer->writer);
    owner_table_clear(&packer->resources);
    owner_table_clear(&packer->scopes);
    packer->has_traces = false;
    *ret_info = (struct event_block_info){INT64_MAX, INT64_MIN, 0};
    do {
        int64_t time_ns = events[row]->time_ns;
        put_event(packer, events[row], row == 0 ? 0 : events[row - 1]->time_ns);
        ret_info->min_ns = time_ns < ret_info->min_ns ? time_ns : ret_info->min_ns;
        ret_info->max_ns = time_ns > ret_info->max_ns ? time_ns : ret_info->max_ns;
        row++;
    } while (row < most && (row % 64 != 0 || packed_size(packer->writer) < PACKED_BYTES_MAX));
    if (!packer->has_traces) {
        buf_clear(packed_column(packer->writer, TRACES));
        buf_clear(packed_column(packer->writer, SPANS));
    }
    buf_str(packed_column(packer->writer, RESOURCES), buf_view(&packer->resources.bytes));
    buf_str(packed_column(packer->writer, SCOPES), buf_view(&packer->scopes.bytes));
    packed_finish(packer->writer, (uint32_t)row, sealed, out);
    ret_info->rows = (uint32_t)row;
    return row;
}

/* ---- Reading. ---- */

/* size bytes a row, or zeros when the column is left out. */
static enum err read_ids(struct packed *packed, unsigned column, size_t size,
                         const uint8_t **ret_ids, struct why *why)
{
    struct str bytes;

    TRY(packed_bytes(packed, column, &bytes, why));
    if (bytes.size == 0) {
        *ret_ids = ARENA_ARRAY(packed->arena, packed->rows * size, uint8_t);
        return *ret_ids == NULL ? arena_spent(packed->arena, "reading events", why) : ERR_NONE;
    }
    if (bytes.size != packed->rows * size)
        return packed_corrupt("ids are missing", why);
    *ret_ids = (const uint8_t *)bytes.data;
    return ERR_NONE;
}

enum err event_block_parse(struct str bytes, struct arena *arena, struct event_block *ret_block,
                           struct why *why)
{
    struct event_block block = {0};
    const uint64_t *codes;
    uint64_t time = 0;

    TRY(packed_parse(bytes, arena, &block.packed, why));
    if (block.packed.rows > EVENT_BLOCK_ROWS_MAX)
        return packed_corrupt("it has too many rows", why);
    TRY(read_ids(&block.packed, TRACES, TRACE_ID_BYTES, &block.traces, why));
    TRY(packed_numbers(&block.packed, TIMES, &codes, why));
    block.time_ns = ARENA_ARRAY(arena, block.packed.rows, int64_t);
    if (block.time_ns == NULL)
        return arena_spent(arena, "reading events", why);
    for (uint32_t i = 0; i < block.packed.rows; i++) {
        time += (uint64_t)unzigzag(codes[i]);
        block.time_ns[i] = (int64_t)time;
    }
    *ret_block = block;
    return ERR_NONE;
}

struct rows {
    struct event_block *block;
    const uint8_t *spans;
    const uint64_t *observed, *severities, *flags, *severity_texts, *names;
    const uint64_t *resource_of, *scope_of, *shape_of;
    const struct resource *resources;
    size_t resources_count;
    const struct scope *scopes;
    size_t scopes_count;
    struct varint_reader bodies;
    struct packed_cursor attributes;
};

static enum err rows_init(struct rows *rows, struct event_block *block, struct why *why)
{
    struct packed *packed = &block->packed;
    struct str bytes;

    *rows = (struct rows){.block = block};
    TRY(packed_cursor_init(&rows->attributes, packed, why));
    TRY(read_ids(packed, SPANS, SPAN_ID_BYTES, &rows->spans, why));
    TRY(packed_numbers(packed, OBSERVED, &rows->observed, why));
    TRY(packed_numbers(packed, SEVERITIES, &rows->severities, why));
    TRY(packed_numbers(packed, FLAGS, &rows->flags, why));
    TRY(packed_numbers(packed, SEVERITY_TEXTS, &rows->severity_texts, why));
    TRY(packed_numbers(packed, NAMES, &rows->names, why));
    TRY(packed_numbers(packed, RESOURCE_OF, &rows->resource_of, why));
    TRY(packed_numbers(packed, SCOPE_OF, &rows->scope_of, why));
    TRY(packed_numbers(packed, SHAPE_OF, &rows->shape_of, why));
    TRY(owner_read_resources(packed, RESOURCES, &rows->resources, &rows->resources_count, why));
    TRY(owner_read_scopes(packed, SCOPES, &rows->scopes, &rows->scopes_count, why));
    TRY(packed_bytes(packed, BODIES, &bytes, why));
    rows->bodies = varint_begin(bytes);
    return ERR_NONE;
}

static enum err fill(struct rows *rows, uint32_t row, struct event *event, struct why *why)
{
    struct packed *packed = &rows->block->packed;

    memcpy(event->trace_id, rows->block->traces + (size_t)row * TRACE_ID_BYTES, TRACE_ID_BYTES);
    memcpy(event->span_id, rows->spans + (size_t)row * SPAN_ID_BYTES, SPAN_ID_BYTES);
    event->time_ns = rows->block->time_ns[row];
    event->observed_ns =
        (int64_t)((uint64_t)event->time_ns + (uint64_t)unzigzag(rows->observed[row]));
    event->severity = (int32_t)rows->severities[row];
    event->flags = (uint32_t)rows->flags[row];
    TRY(packed_text_at(packed, rows->severity_texts[row], &event->severity_text, why));
    TRY(packed_text_at(packed, rows->names[row], &event->name, why));
    if (rows->resource_of[row] >= rows->resources_count || rows->scope_of[row] > rows->scopes_count)
        return packed_corrupt("a resource or scope is missing", why);
    event->resource = &rows->resources[rows->resource_of[row]];
    if (rows->scope_of[row] > 0)
        event->scope = &rows->scopes[rows->scope_of[row] - 1];
    return ERR_NONE;
}

enum err event_block_read(struct event_block *block, const bool *wanted, struct event *events,
                          struct why *why)
{
    struct rows rows;
    size_t filled = 0;

    TRY(rows_init(&rows, block, why));
    for (uint32_t row = 0; row < block->packed.rows; row++) {
        bool take = wanted == NULL || wanted[row];
        struct event event = {0};
        TRY(packed_get_value(&block->packed, &rows.bodies, &event.body, why));
        TRY(packed_cursor_next(&rows.attributes, rows.shape_of[row],
                               take ? &event.attributes : NULL, why));
        if (!take)
            continue;
        TRY(fill(&rows, row, &event, why));
        events[filled++] = event;
    }
    return ERR_NONE;
}
