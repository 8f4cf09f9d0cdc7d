/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon may be another version, or no daemon: every size, place and index is checked. */
#include "cli/trace_columns_read.h"

#include "codec/json_tree.h"

#include <math.h>

enum {
    HEAD_BYTES = 8,
    KIND_MASK = 7,
    STATUS_SHIFT = 3,
    STATUS_MASK = 3,
    PARENT_MISSING = -2,
    TEXT_BYTES_MAX = 64 << 20,
};

struct reader {
    struct str columns; /* All of them. */
    const struct node *root;
    struct arena *arena;
    size_t count;
};

static enum err corrupt(struct why *why, const char *what)
{
    return fail(why, ERR_CORRUPT, "the daemon's answer is no trace in columns: %s", what);
}

/* Where the column lies: count places of `size` bytes. */
static enum err find_column(const struct reader *reader, struct str name, size_t size,
                            const char **ret_data, struct why *why)
{
    const struct node *list = node_get(reader->root, "columns");

    if (list == NULL)
        return corrupt(why, "no columns");
    NODE_EACH(list, column)
    {
        const struct node *own = node_get(column, "name");
        const struct node *place = node_get(column, "at");
        int64_t at;
        if (own == NULL || !str_eq(own->text, name))
            continue;
        if (place == NULL || node_i64(place, &at, NULL) != ERR_NONE || at < 0 ||
            (size_t)at > reader->columns.size ||
            reader->count > (reader->columns.size - (size_t)at) / size)
            return corrupt(why, "a column lies outside");
        *ret_data = reader->columns.data + at;
        return ERR_NONE;
    }
    return corrupt(why, "a column is missing");
}

/* The texts of a list, as an array. */
static enum err read_texts(const struct reader *reader, const char *key, struct str **ret_texts,
                           size_t *ret_count, struct why *why)
{
    const struct node *list = node_get(reader->root, key);
    size_t count = 0;

    if (list == NULL)
        return corrupt(why, "no names");
    struct str *texts = ARENA_ARRAY(reader->arena, (size_t)list->count + 1, struct str);
    if (texts == NULL)
        return arena_spent(reader->arena, "a trace", why);
    NODE_EACH(list, text)
    texts[count++] = text->text;
    *ret_texts = texts;
    *ret_count = count;
    return ERR_NONE;
}

struct names {
    struct str *names;
    size_t names_count;
    struct resource *services;
    size_t services_count;
};

/* Times are corrected by the daemon, so all services are of one clock here. */
static enum err read_names(const struct reader *reader, struct names *ret_names, struct why *why)
{
    static const struct attribute one_host = {{"host.id", 7},
                                              {.kind = VALUE_TEXT, .text = {"one", 3}}};
    struct names names = {.names_count = 0};
    struct str *services = NULL;

    TRY(read_texts(reader, "names", &names.names, &names.names_count, why));
    TRY(read_texts(reader, "services", &services, &names.services_count, why));
    names.services = ARENA_ARRAY(reader->arena, names.services_count + 1, struct resource);
    if (names.services == NULL)
        return arena_spent(reader->arena, "a trace", why);
    for (size_t i = 0; i < names.services_count; i++) {
        names.services[i] = (struct resource){
            .service_name = services[i],
            .attributes = {.items = &one_host, .count = 1},
        };
    }
    *ret_names = names;
    return ERR_NONE;
}

struct data {
    const char *start, *duration, *parent, *name, *service, *kind;
};

static int64_t whole_ns(double ns)
{
    return isfinite(ns) && fabs(ns) < 0x1p62 ? (int64_t)ns : 0;
}

static enum err read_span(const struct data *data, const struct names *names, size_t row,
                          size_t count, int64_t start_ns, struct span *span, struct why *why)
{
    double start, duration;
    int32_t parent;
    uint32_t name, service;
    uint8_t kind = (uint8_t)data->kind[row];
    uint64_t id = row + 1;

    memcpy(&start, data->start + row * sizeof(start), sizeof(start));
    memcpy(&duration, data->duration + row * sizeof(duration), sizeof(duration));
    memcpy(&parent, data->parent + row * sizeof(parent), sizeof(parent));
    memcpy(&name, data->name + row * sizeof(name), sizeof(name));
    memcpy(&service, data->service + row * sizeof(service), sizeof(service));
    if (name >= names->names_count || service >= names->services_count || parent < PARENT_MISSING ||
        parent >= (int64_t)count || (kind & KIND_MASK) > SPAN_KIND_CONSUMER ||
        (kind >> STATUS_SHIFT & STATUS_MASK) > SPAN_STATUS_ERROR)
        return corrupt(why, "a span has a number that names nothing");
    uint64_t parent_id = parent == PARENT_MISSING ? UINT64_MAX : (uint64_t)(parent + 1);
    *span = (struct span){
        .start_ns = (int64_t)((uint64_t)start_ns + (uint64_t)whole_ns(start)),
        .name = names->names[name],
        .kind = (enum span_kind)(kind & KIND_MASK),
        .status = (enum span_status)(kind >> STATUS_SHIFT & STATUS_MASK),
        .resource = &names->services[service],
    };
    span->end_ns = (int64_t)((uint64_t)span->start_ns + (uint64_t)whole_ns(duration));
    memcpy(span->span_id, &id, sizeof(id));
    memcpy(span->parent_span_id, &parent_id, sizeof(parent_id));
    return ERR_NONE;
}

static enum err read_spans(const struct reader *reader, struct column_trace *trace, struct why *why)
{
    struct names names = {.names_count = 0};
    struct data data = {NULL};
    const char *ids = NULL;

    TRY(read_names(reader, &names, why));
    TRY(find_column(reader, STR("id"), SPAN_ID_BYTES, &ids, why));
    TRY(find_column(reader, STR("start"), 8, &data.start, why));
    TRY(find_column(reader, STR("duration"), 8, &data.duration, why));
    TRY(find_column(reader, STR("parent"), 4, &data.parent, why));
    TRY(find_column(reader, STR("name"), 4, &data.name, why));
    TRY(find_column(reader, STR("service"), 4, &data.service, why));
    TRY(find_column(reader, STR("kind"), 1, &data.kind, why));
    trace->spans = ARENA_ARRAY_RAW(reader->arena, reader->count + 1, struct span);
    if (trace->spans == NULL)
        return arena_spent(reader->arena, "a trace", why);
    for (size_t i = 0; i < reader->count; i++)
        TRY(read_span(&data, &names, i, reader->count, trace->start_ns, &trace->spans[i], why));
    trace->ids = (const uint8_t(*)[SPAN_ID_BYTES])ids;
    trace->count = reader->count;
    return ERR_NONE;
}

enum err trace_columns_read(struct str body, struct arena *arena, struct column_trace *ret_trace,
                            struct why *why)
{
    struct reader reader = {.arena = arena};
    struct column_trace trace = {.count = 0};
    uint32_t size;
    int64_t count;

    if (body.size < HEAD_BYTES || memcmp(body.data, "SPN1", 4) != 0)
        return corrupt(why, "its first bytes");
    memcpy(&size, body.data + 4, sizeof(size));
    if (size > body.size - HEAD_BYTES)
        return corrupt(why, "it is cut off");
    struct str text = {body.data + HEAD_BYTES, size};
    reader.columns = (struct str){text.data + size, body.size - HEAD_BYTES - size};
    TRY(json_read(text, "the daemon's answer", TEXT_BYTES_MAX, arena, &reader.root, why));
    const struct node *spans = node_get(reader.root, "spans");
    const struct node *start = node_get(reader.root, "start_ns");
    if (spans == NULL || start == NULL || node_i64(spans, &count, NULL) != ERR_NONE || count < 0 ||
        !str_to_i64(start->text, &trace.start_ns))
        return corrupt(why, "its numbers");
    reader.count = (size_t)count;
    TRY(read_spans(&reader, &trace, why));
    *ret_trace = trace;
    return ERR_NONE;
}
