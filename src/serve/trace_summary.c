/* SPDX-License-Identifier: Apache-2.0 */
/* Names of services and operations become numbers once per run, traces are found once per run and
 * trace: what is left for a span is to add to counters. */
#include "serve/trace_summary.h"

#include "serve/trace_sets.h"

#include "base/map.h"

#include <stdio.h>
#include <stdlib.h>

enum { KINDS = 6, STATUSES = 3 };

/* A value that is counted. */
struct facet {
    struct str value;
    uint32_t number; /* Of a service or an operation: 1 + its place among the items. */
    uint64_t count;
    uint64_t errors;
};

/* Values by their text. */
struct facets {
    struct map by_text; /* struct facet */
    struct facet **items;
    size_t count, capacity;
};

struct key {
    struct str name;
    struct facets values;
    uint64_t count;
};

struct entry {
    uint8_t id[TRACE_ID_BYTES];
    int64_t start_ns;
    int64_t duration_ns;
    uint32_t service; /* Indexes in the facets. */
    uint32_t name;
    uint32_t spans;
    uint32_t errors;
    const struct traceql_trace *found; /* Whose sets are told, or NULL. */
};

struct trace_summary {
    struct arena *arena;
    struct map traces; /* struct entry */
    struct entry **entries;
    size_t entries_count, entries_capacity;
    struct facets services;
    struct facets operations; /* By number of the service and name. */
    uint64_t kinds[KINDS];
    uint64_t kind_errors[KINDS];
    uint64_t statuses[STATUSES];
    uint64_t spans;
    uint64_t rows; /* Looked at. */
    bool is_cut;
    struct map keys; /* struct key */
    struct key **key_items;
    size_t keys_count, keys_capacity;
    uint64_t sampled;
};

struct trace_summary *trace_summary_new(struct arena *arena)
{
    struct trace_summary *summary = ARENA_NEW(arena, struct trace_summary);

    if (summary != NULL)
        summary->arena = arena;
    return summary;
}

static void facets_done(struct facets *facets)
{
    map_done(&facets->by_text);
    free(facets->items);
}

struct trace_summary *trace_summary_free(struct trace_summary *summary)
{
    if (summary != NULL) {
        map_done(&summary->traces);
        free(summary->entries);
        facets_done(&summary->services);
        facets_done(&summary->operations);
        for (size_t i = 0; i < summary->keys_count; i++)
            facets_done(&summary->key_items[i]->values);
        map_done(&summary->keys);
        free(summary->key_items);
    }
    return NULL;
}

void trace_summary_freep(struct trace_summary **summary)
{
    *summary = trace_summary_free(*summary);
}

void trace_summary_cut(struct trace_summary *summary)
{
    summary->is_cut = true;
}

static void *grown(void *items, size_t *capacity)
{
    size_t wanted = *capacity == 0 ? 64 : *capacity * 2;
    void *larger = reallocarray(items, wanted, sizeof(void *));

    if (larger == NULL)
        must_memory(wanted * sizeof(void *));
    *capacity = wanted;
    return larger;
}

static enum err spent(const struct trace_summary *summary, struct why *why)
{
    return arena_spent(summary->arena, "the overview of traces", why);
}

/* Not within a character. */
static struct str cut_text(struct str text)
{
    size_t size = text.size < TRACE_SUMMARY_TEXT_MAX ? text.size : TRACE_SUMMARY_TEXT_MAX;

    while (size < text.size && size > 0 && ((uint8_t)text.data[size] & 0xc0) == 0x80)
        size--;
    return (struct str){text.data, size};
}

/* ---- Counting values. ---- */

/* The facet with the text, made when it is new; its place among the items is its number. */
static enum err facet_of(struct trace_summary *summary, struct facets *facets, struct str text,
                         struct facet **ret_facet, struct why *why)
{
    struct facet *facet = map_get(&facets->by_text, text);

    if (facet == NULL) {
        facet = ARENA_NEW(summary->arena, struct facet);
        struct str copy = arena_str(summary->arena, text);
        if (facet == NULL || copy.data == NULL)
            return spent(summary, why);
        facet->value = copy;
        (void)map_put(&facets->by_text, copy, facet); /* Was absent. */
        if (facets->count == facets->capacity)
            facets->items = (struct facet **)grown(facets->items, &facets->capacity);
        facets->items[facets->count++] = facet;
    }
    *ret_facet = facet;
    return ERR_NONE;
}

/* Numbers stay what they are while spans are added: the items are put in order only at the end. */
static enum err service_number(struct trace_summary *summary, struct str name, uint32_t *ret_number,
                               struct why *why)
{
    struct facet *facet;
    size_t before = summary->services.count;

    TRY(facet_of(summary, &summary->services, cut_text(name), &facet, why));
    if (summary->services.count > before)
        facet->number = (uint32_t)summary->services.count;
    *ret_number = facet->number - 1;
    return ERR_NONE;
}

/* An operation is a service and a name: its text here begins with the number of the service. */
static enum err operation_number(struct trace_summary *summary, uint32_t service, struct str name,
                                 uint32_t *ret_number, struct why *why)
{
    char text[sizeof(service) + TRACE_SUMMARY_TEXT_MAX];
    struct str cut = cut_text(name);
    struct facets *operations = &summary->operations;
    size_t before = operations->count;
    struct facet *facet;

    memcpy(text, &service, sizeof(service));
    if (cut.size > 0)
        memcpy(text + sizeof(service), cut.data, cut.size);
    TRY(facet_of(summary, operations, (struct str){text, sizeof(service) + cut.size}, &facet, why));
    if (operations->count > before)
        facet->number = (uint32_t)operations->count;
    *ret_number = facet->number - 1;
    return ERR_NONE;
}

static uint32_t operation_service(const struct facet *operation)
{
    uint32_t service;

    memcpy(&service, operation->value.data, sizeof(service));
    return service;
}

static struct str operation_name(const struct facet *operation)
{
    return (struct str){operation->value.data + sizeof(uint32_t),
                        operation->value.size - sizeof(uint32_t)};
}

/* ---- Traces. ---- */

static enum err entry_of(struct trace_summary *summary, const uint8_t *id, struct entry **ret_entry,
                         struct why *why)
{
    struct str key = {(const char *)id, TRACE_ID_BYTES};
    struct entry *entry = map_get(&summary->traces, key);

    if (entry == NULL && summary->entries_count < TRACE_SUMMARY_TRACES_MAX) {
        entry = ARENA_NEW(summary->arena, struct entry);
        if (entry == NULL)
            return spent(summary, why);
        memcpy(entry->id, id, TRACE_ID_BYTES);
        entry->duration_ns = INT64_MIN;
        (void)map_put(&summary->traces, (struct str){(char *)entry->id, TRACE_ID_BYTES},
                      entry); /* Was absent. */
        if (summary->entries_count == summary->entries_capacity)
            summary->entries = (struct entry **)grown(summary->entries, &summary->entries_capacity);
        summary->entries[summary->entries_count++] = entry;
    }
    summary->is_cut |= entry == NULL;
    *ret_entry = entry;
    return ERR_NONE;
}

struct seen {
    int64_t start_ns;
    int64_t duration_ns;
    uint32_t service;
    uint32_t operation;
    unsigned kind;
    bool is_error;
};

static void count_span(struct trace_summary *summary, struct entry *entry, unsigned status,
                       const struct seen *seen)
{
    struct facet *service = summary->services.items[seen->service];
    struct facet *operation = summary->operations.items[seen->operation];

    summary->spans++;
    service->count++;
    service->errors += seen->is_error;
    operation->count++;
    operation->errors += seen->is_error;
    summary->kinds[seen->kind]++;
    summary->kind_errors[seen->kind] += seen->is_error;
    summary->statuses[status]++;
    if (entry == NULL)
        return;
    entry->spans++;
    entry->errors += seen->is_error;
    if (seen->duration_ns < entry->duration_ns)
        return;
    if (seen->duration_ns == entry->duration_ns && seen->start_ns >= entry->start_ns)
        return;
    entry->start_ns = seen->start_ns;
    entry->duration_ns = seen->duration_ns;
    entry->service = seen->service;
    entry->name = seen->operation;
}

/* What of a run has its number already; 0: not yet, else 1 + number. */
struct translation {
    uint32_t *services;    /* By resource. */
    struct entry **traces; /* By trace. */
};

static enum err show_row(struct trace_summary *summary, const struct span_run *run, size_t at,
                         const struct translation *translation, struct why *why)
{
    uint32_t *service = &translation->services[run->resource_of[at]];
    struct entry **entry = &translation->traces[run->trace_of[at]];
    unsigned status = (unsigned)(run->kinds[at] >> 3);
    struct seen seen = {
        .start_ns = run->start_ns[at],
        .duration_ns = run->duration_ns[at],
        .kind = run->kinds[at] & 7,
        .is_error = status == SPAN_STATUS_ERROR,
    };

    if (*service == 0) {
        TRY(service_number(summary, run->resources[run->resource_of[at]].service_name, service,
                           why));
        ++*service;
    }
    seen.service = *service - 1;
    TRY(operation_number(summary, seen.service, run->texts[run->name_of[at]], &seen.operation,
                         why));
    if (*entry == NULL)
        TRY(entry_of(summary, run->traces + run->trace_of[at] * TRACE_ID_BYTES, entry, why));
    count_span(summary, *entry, status, &seen);
    return ERR_NONE;
}

enum err trace_summary_show(void *self, const struct span_run *run, bool *is_enough,
                            struct why *why)
{
    struct trace_summary *summary = self;
    struct translation translation = {
        ARENA_ARRAY(summary->arena, run->resources_count, uint32_t),
        ARENA_ARRAY(summary->arena, run->traces_count, struct entry *),
    };

    if (translation.services == NULL || translation.traces == NULL)
        return spent(summary, why);
    for (size_t at = 0; at < run->count; at++) {
        if (run->wanted[at])
            TRY(show_row(summary, run, at, &translation, why));
    }
    summary->rows += run->count;
    *is_enough = summary->rows >= TRACE_SUMMARY_ROWS_MAX || summary->is_cut;
    summary->is_cut |= *is_enough;
    return ERR_NONE;
}

enum err trace_summary_add(struct trace_summary *summary, const struct span *span, struct why *why)
{
    struct seen seen = {
        .start_ns = span->start_ns,
        .duration_ns = (int64_t)((uint64_t)span->end_ns - (uint64_t)span->start_ns),
        .kind = span->kind,
        .is_error = span->status == SPAN_STATUS_ERROR,
    };
    struct entry *entry;

    TRY(service_number(summary, span->resource->service_name, &seen.service, why));
    TRY(operation_number(summary, seen.service, span->name, &seen.operation, why));
    TRY(entry_of(summary, span->trace_id, &entry, why));
    count_span(summary, entry, span->status, &seen);
    return ERR_NONE;
}

/* ---- Attributes. ---- */

static enum err key_of(struct trace_summary *summary, struct str name, struct key **ret_key,
                       struct why *why)
{
    struct key *key = map_get(&summary->keys, name);

    if (key == NULL) {
        key = ARENA_NEW(summary->arena, struct key);
        struct str copy = arena_str(summary->arena, name);
        if (key == NULL || copy.data == NULL)
            return spent(summary, why);
        key->name = copy;
        (void)map_put(&summary->keys, copy, key); /* Was absent. */
        if (summary->keys_count == summary->keys_capacity)
            summary->key_items = (struct key **)grown(summary->key_items, &summary->keys_capacity);
        summary->key_items[summary->keys_count++] = key;
    }
    *ret_key = key;
    return ERR_NONE;
}

/* As a search for the attribute would spell it; false: lists, maps and long texts are no facets. */
static bool value_text(const struct value *value, char scratch[STR_DOUBLE_SIZE],
                       struct str *ret_text)
{
    switch (value->kind) {
    case VALUE_TEXT:
        *ret_text = value->text;
        return value->text.size > 0 && value->text.size <= TRACE_SUMMARY_TEXT_MAX;
    case VALUE_BOOL:
        *ret_text = value->boolean ? STR("true") : STR("false");
        return true;
    case VALUE_INTEGER:
        (void)snprintf(scratch, STR_DOUBLE_SIZE, "%lld", (long long)value->integer); /* Fits. */
        *ret_text = str_of(scratch);
        return true;
    default:
        return false;
    }
}

static enum err sample_attributes(struct trace_summary *summary,
                                  const struct attributes *attributes, bool is_error,
                                  struct why *why)
{
    char scratch[STR_DOUBLE_SIZE];

    for (size_t i = 0; i < attributes->count; i++) {
        const struct attribute *item = &attributes->items[i];
        struct facet *facet;
        struct str text;
        struct key *key = NULL;
        if (item->key.size > TRACE_SUMMARY_TEXT_MAX || str_eq(item->key, STR("service.name")) ||
            !value_text(&item->value, scratch, &text))
            continue;
        TRY(key_of(summary, item->key, &key, why));
        TRY(facet_of(summary, &key->values, text, &facet, why));
        facet->count++;
        facet->errors += is_error;
        key->count++;
    }
    return ERR_NONE;
}

enum err trace_summary_sample(struct trace_summary *summary, const struct span *span,
                              struct why *why)
{
    bool is_error = span->status == SPAN_STATUS_ERROR;

    summary->sampled++;
    TRY(sample_attributes(summary, &span->attributes, is_error, why));
    return sample_attributes(summary, &span->resource->attributes, is_error, why);
}

/* ---- The answer. ---- */

enum err trace_summary_found(struct trace_summary *summary, const struct traceql_trace *trace,
                             bool with_sets, struct why *why)
{
    struct entry *entry;
    uint64_t beside = 0;

    for (size_t set = 0; set < trace->set_count; set++) {
        const struct traceql_set *of = &trace->sets[set];
        for (size_t i = 0; i < of->span_count; i++) {
            TRY(trace_summary_add(summary, of->spans[i].span, why));
            TRY(trace_summary_sample(summary, of->spans[i].span, why));
        }
        beside += of->matched_count - of->span_count;
    }
    if (trace->set_count == 0)
        return ERR_NONE;
    TRY(entry_of(summary, trace->trace_id, &entry, why));
    summary->spans += beside;
    if (entry != NULL) {
        entry->spans += (uint32_t)beside;
        entry->found = with_sets ? trace : NULL;
    }
    return ERR_NONE;
}

static int by_count(const void *a, const void *b)
{
    const struct facet *left = *(const struct facet *const *)a;
    const struct facet *right = *(const struct facet *const *)b;

    if (left->count != right->count)
        return left->count > right->count ? -1 : 1;
    return str_compare(left->value, right->value);
}

static int newest(const struct entry *left, const struct entry *right)
{
    if (left->start_ns != right->start_ns)
        return left->start_ns > right->start_ns ? -1 : 1;
    return memcmp(left->id, right->id, TRACE_ID_BYTES);
}

static int slowest(const struct entry *left, const struct entry *right)
{
    if (left->duration_ns != right->duration_ns)
        return left->duration_ns > right->duration_ns ? -1 : 1;
    return newest(left, right);
}

static int by_newest(const void *a, const void *b)
{
    return newest(*(const struct entry *const *)a, *(const struct entry *const *)b);
}

static int by_slowest(const void *a, const void *b)
{
    return slowest(*(const struct entry *const *)a, *(const struct entry *const *)b);
}

static int by_errors(const void *a, const void *b)
{
    const struct entry *left = *(const struct entry *const *)a;
    const struct entry *right = *(const struct entry *const *)b;

    if ((left->errors > 0) != (right->errors > 0))
        return left->errors > 0 ? -1 : 1;
    return slowest(left, right);
}

static void sort_entries(struct trace_summary *summary, enum trace_order order)
{
    static int (*const orders[])(const void *, const void *) = {
        [TRACE_ORDER_NEWEST] = by_newest,
        [TRACE_ORDER_SLOWEST] = by_slowest,
        [TRACE_ORDER_ERRORS] = by_errors,
    };

    if (summary->entries_count > 1)
        qsort(summary->entries, summary->entries_count, sizeof(struct entry *), orders[order]);
}

static void write_list(const struct trace_summary *summary, size_t count, struct json *json)
{
    json_key(json, "list");
    json_open(json, '[');
    for (size_t i = 0; i < count; i++) {
        const struct entry *entry = summary->entries[i];
        char id[2 * TRACE_ID_BYTES + 1] = "";
        for (size_t byte = 0; byte < TRACE_ID_BYTES; byte++)
            (void)snprintf(id + 2 * byte, 3, "%02x", entry->id[byte]); /* Two digits each. */
        json_open(json, '{');
        json_put_text(json, "trace_id", id);
        json_put_double(json, "start_ms", (double)(entry->start_ns / 1000) / 1e3);
        json_put_i64(json, "duration_ns", entry->duration_ns);
        json_put_str(json, "service", summary->services.items[entry->service]->value);
        json_put_str(json, "name", operation_name(summary->operations.items[entry->name]));
        json_put_u64(json, "spans", entry->spans);
        json_put_u64(json, "errors", entry->errors);
        if (entry->found != NULL)
            trace_sets_write(entry->found, json);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_value(struct json *json, struct str value, uint64_t count, uint64_t errors)
{
    json_open(json, '{');
    json_put_str(json, "value", value);
    json_put_u64(json, "count", count);
    json_put_u64(json, "errors", errors);
}

/* A sorted copy of the items, for their places are numbers that others hold. */
static struct facet **sorted(const struct trace_summary *summary, const struct facets *facets)
{
    struct facet **items = ARENA_ARRAY(summary->arena, facets->count, struct facet *);

    if (items != NULL && facets->count > 0) {
        memcpy(items, facets->items, facets->count * sizeof(struct facet *));
        qsort(items, facets->count, sizeof(struct facet *), by_count);
    }
    return items;
}

static size_t shown(const struct facets *facets)
{
    return facets->count < TRACE_SUMMARY_FACETS_MAX ? facets->count : TRACE_SUMMARY_FACETS_MAX;
}

static enum err write_services(const struct trace_summary *summary, struct json *json,
                               struct why *why)
{
    struct facet **items = sorted(summary, &summary->services);

    if (items == NULL)
        return spent(summary, why);
    json_key(json, "service");
    json_open(json, '[');
    for (size_t i = 0; i < shown(&summary->services); i++) {
        write_value(json, items[i]->value, items[i]->count, items[i]->errors);
        json_close(json, '}');
    }
    json_close(json, ']');
    return ERR_NONE;
}

static enum err write_operations(const struct trace_summary *summary, struct json *json,
                                 struct why *why)
{
    struct facet **items = sorted(summary, &summary->operations);

    if (items == NULL)
        return spent(summary, why);
    json_key(json, "operation");
    json_open(json, '[');
    for (size_t i = 0; i < shown(&summary->operations); i++) {
        write_value(json, operation_name(items[i]), items[i]->count, items[i]->errors);
        json_put_str(json, "service", summary->services.items[operation_service(items[i])]->value);
        json_close(json, '}');
    }
    json_close(json, ']');
    return ERR_NONE;
}

static void write_kinds(const struct trace_summary *summary, struct json *json)
{
    static const char *const kinds[KINDS] = {"unspecified", "internal", "server",
                                             "client",      "producer", "consumer"};
    static const char *const statuses[STATUSES] = {"unset", "ok", "error"};

    json_key(json, "kind");
    json_open(json, '[');
    for (size_t i = 0; i < KINDS; i++) {
        if (summary->kinds[i] == 0)
            continue;
        write_value(json, str_of(kinds[i]), summary->kinds[i], summary->kind_errors[i]);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_key(json, "status");
    json_open(json, '[');
    for (size_t i = 0; i < STATUSES; i++) {
        uint64_t count = summary->statuses[i];
        if (count == 0)
            continue;
        write_value(json, str_of(statuses[i]), count, i == SPAN_STATUS_ERROR ? count : 0);
        json_close(json, '}');
    }
    json_close(json, ']');
}

/* Attributes that divide: those with as many values as spans are ids, and say nothing here. */
static bool divides(const struct trace_summary *summary, const struct key *key)
{
    size_t values = key->values.count;

    return values <= TRACE_SUMMARY_FACETS_MAX && (values < 2 || values * 2 <= key->count) &&
           (values > 1 || key->count < summary->sampled);
}

static int by_use(const void *a, const void *b)
{
    const struct key *left = *(const struct key *const *)a;
    const struct key *right = *(const struct key *const *)b;

    if (left->count != right->count)
        return left->count > right->count ? -1 : 1;
    return str_compare(left->name, right->name);
}

static enum err write_key(const struct trace_summary *summary, const struct key *key,
                          struct json *json, struct why *why)
{
    struct facet **items = sorted(summary, &key->values);

    if (items == NULL)
        return spent(summary, why);
    json_open(json, '{');
    json_put_str(json, "key", key->name);
    json_put_u64(json, "count", key->count);
    json_key(json, "values");
    json_open(json, '[');
    for (size_t i = 0; i < key->values.count; i++) {
        write_value(json, items[i]->value, items[i]->count, items[i]->errors);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
    return ERR_NONE;
}

static enum err write_keys(struct trace_summary *summary, struct json *json, struct why *why)
{
    size_t written = 0;

    if (summary->keys_count > 1)
        qsort(summary->key_items, summary->keys_count, sizeof(struct key *), by_use);
    json_put_u64(json, "sampled", summary->sampled);
    json_key(json, "attributes");
    json_open(json, '[');
    for (size_t i = 0; i < summary->keys_count && written < TRACE_SUMMARY_KEYS_MAX; i++) {
        if (!divides(summary, summary->key_items[i]))
            continue;
        TRY(write_key(summary, summary->key_items[i], json, why));
        written++;
    }
    json_close(json, ']');
    return ERR_NONE;
}

enum err trace_summary_write(struct trace_summary *summary, enum trace_order order, size_t limit,
                             struct json *json, struct why *why)
{
    size_t count = summary->entries_count < limit ? summary->entries_count : limit;

    sort_entries(summary, order);
    json_put_u64(json, "spans", summary->spans);
    json_put_u64(json, "traces", summary->entries_count);
    json_put_bool(json, "is_cut", summary->is_cut);
    write_list(summary, count, json);
    json_key(json, "facets");
    json_open(json, '{');
    TRY(write_services(summary, json, why));
    TRY(write_operations(summary, json, why));
    write_kinds(summary, json);
    TRY(write_keys(summary, json, why));
    json_close(json, '}');
    return ERR_NONE;
}
