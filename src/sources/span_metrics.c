/* SPDX-License-Identifier: Apache-2.0 */
/* A series of spans is found by its four labels' bytes, an edge by its three; each keeps its counts
 * and the label sets that it is told with.
 *
 * Halves of edges wait in a table of fixed size: two that want one place push one another out,
 * which is counted. So a flood of spans without partners costs nothing but edges. */
#include "sources/span_metrics.h"

#include "base/buf.h"
#include "base/map.h"
#include "sketch/quantile.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    BUCKETS = 16,
    BUCKETS_MS = 10000, /* How often classic buckets are told, as a scrape would see them. */
    ALL_MS = 60000,     /* How often what did not change is told all the same. */
    KEY_SIZE = 3 * SPAN_METRICS_TEXT_MAX + 16,
    EDGE_LABELS = 3,
    SPAN_LABELS = 4,
    POOL_BYTES = 256 << 20,
};

/* Seconds; doubling from 1 ms. */
static const double bounds[BUCKETS] = {0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064,  0.128,
                                       0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384, 32.768};

struct durations {
    uint64_t counts[BUCKETS + 1];
    double sum_s;
};

struct series {
    struct label labels[SPAN_LABELS];
    size_t labels_count;
    uint64_t calls;
    uint64_t failed;         /* Of an edge. */
    struct durations client; /* Of spans: their own. */
    struct durations server;
    struct quantile *since; /* Of spans: durations in seconds since they were told. */
    uint64_t told_calls;
    bool is_edge;
    bool changed;
    bool buckets_changed;
    bool told; /* Once at least. */
    size_t key_size;
    char bytes[]; /* The key, then the labels' values. */
};

struct half {
    uint8_t trace_id[TRACE_ID_BYTES];
    uint8_t span_id[SPAN_ID_BYTES]; /* The client's. */
    char service[SPAN_METRICS_TEXT_MAX];
    double duration_s;
    bool is_client;
    bool failed;
    bool used;
};

struct span_metrics {
    struct map series; /* Of spans. */
    struct map edges;
    struct half *halves; /* Made when the first one waits. */
    uint64_t pushed_out;
    struct label_pool *pool;
    int64_t buckets_ms; /* When buckets were told. */
    int64_t all_ms;     /* When everything was told. */
};

struct span_metrics *span_metrics_new(void)
{
    struct span_metrics *metrics = calloc(1, sizeof(*metrics));

    if (metrics == NULL)
        must_memory(sizeof(*metrics));
    metrics->pool = label_pool_new(POOL_BYTES);
    return metrics;
}

static void free_series(struct map *map)
{
    MAP_EACH (map, entry) {
        struct series *series = entry->value;
        quantile_free(series->since);
        free(series);
    }
    map_done(map);
}

struct span_metrics *span_metrics_free(struct span_metrics *metrics)
{
    if (metrics != NULL) {
        free_series(&metrics->series);
        free_series(&metrics->edges);
        free(metrics->halves);
        label_pool_unref(metrics->pool);
        free(metrics);
    }
    return NULL;
}

/* ---- Finding a series. ---- */

static struct str cut(struct str text)
{
    if (text.size > SPAN_METRICS_TEXT_MAX - 1)
        text.size = SPAN_METRICS_TEXT_MAX - 1;
    while (text.size > 0 && !str_is_utf8(text)) /* A character cut in two, or no UTF-8 at all. */
        text.size--;
    return text;
}

/* Sizes and texts, one behind the other. */
static size_t make_key(const struct str *values, size_t count, char key[KEY_SIZE])
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        uint16_t length = (uint16_t)values[i].size;
        MUST(size + sizeof(length) + length <= KEY_SIZE);
        memcpy(key + size, &length, sizeof(length));
        size += sizeof(length);
        if (length > 0)
            memcpy(key + size, values[i].data, length);
        size += length;
    }
    return size;
}

static struct series *add_series(struct map *map, const struct str *names, const struct str *values,
                                 size_t count, struct str key)
{
    struct series *series = calloc(1, sizeof(*series) + key.size);
    size_t at = 0;

    if (series == NULL)
        must_memory(sizeof(*series) + key.size);
    memcpy(series->bytes, key.data, key.size);
    series->key_size = key.size;
    for (size_t i = 0; i < count; i++) {
        at += sizeof(uint16_t);
        series->labels[i] = (struct label){names[i], {series->bytes + at, values[i].size}};
        at += values[i].size;
    }
    series->labels_count = count;
    (void)map_put(map, (struct str){series->bytes, key.size}, series);
    return series;
}

/* NULL: there are as many as there may be. */
static struct series *find_series(struct map *map, size_t most, const struct str *names,
                                  const struct str *values, size_t count)
{
    char bytes[KEY_SIZE];
    struct str key = {bytes, make_key(values, count, bytes)};
    struct series *series = map_get(map, key);

    if (series == NULL && map->count < most)
        series = add_series(map, names, values, count, key);
    return series;
}

static void add_duration(struct durations *durations, double duration_s)
{
    size_t bucket = 0;

    while (bucket < BUCKETS && duration_s > bounds[bucket])
        bucket++;
    durations->counts[bucket]++;
    durations->sum_s += duration_s;
}

/* ---- Spans. ---- */

static double duration_s(const struct span *span)
{
    int64_t ns = (int64_t)((uint64_t)span->end_ns - (uint64_t)span->start_ns);

    return ns > 0 ? (double)ns / 1e9 : 0; /* Clocks are what they are. */
}

static void count_span(struct span_metrics *metrics, const struct span *span)
{
    static const struct str names[SPAN_LABELS] = {STR("service"), STR("span_name"),
                                                  STR("span_kind"), STR("status_code")};
    static const struct str kinds[] = {STR("SPAN_KIND_UNSPECIFIED"), STR("SPAN_KIND_INTERNAL"),
                                       STR("SPAN_KIND_SERVER"),      STR("SPAN_KIND_CLIENT"),
                                       STR("SPAN_KIND_PRODUCER"),    STR("SPAN_KIND_CONSUMER")};
    static const struct str statuses[] = {STR("STATUS_CODE_UNSET"), STR("STATUS_CODE_OK"),
                                          STR("STATUS_CODE_ERROR")};
    struct str values[SPAN_LABELS] = {cut(span->resource->service_name), cut(span->name),
                                      kinds[span->kind], statuses[span->status]};
    struct series *series =
        find_series(&metrics->series, SPAN_METRICS_SERIES_MAX, names, values, SPAN_LABELS);

    if (series == NULL) {
        values[0] = values[1] = STR(SPAN_METRICS_OTHERS);
        series = find_series(&metrics->series, SIZE_MAX, names, values, SPAN_LABELS);
    }
    series->calls++;
    series->changed = true;
    add_duration(&series->client, duration_s(span));
    if (series->since == NULL)
        series->since = quantile_new(0, 0);
    quantile_add(series->since, duration_s(span));
}

/* ---- Edges. ---- */

static struct series *find_edge(struct span_metrics *metrics, struct str client, struct str server,
                                struct str type)
{
    static const struct str names[EDGE_LABELS] = {STR("client"), STR("server"),
                                                  STR("connection_type")};
    const struct str values[EDGE_LABELS] = {cut(client), cut(server), type};
    struct series *edge =
        find_series(&metrics->edges, SPAN_METRICS_EDGES_MAX, names, values, EDGE_LABELS);

    if (edge != NULL) {
        edge->is_edge = true;
        edge->changed = true;
        edge->calls++;
    }
    return edge;
}

static struct str text_of(const struct span *span, struct str key)
{
    const struct value *value = attributes_get(&span->attributes, key);

    return value != NULL && value->kind == VALUE_TEXT ? value->text : STR_NONE;
}

/* True: it is a call to a database, whose other half nobody sends. */
static bool count_database(struct span_metrics *metrics, const struct span *span)
{
    struct str system = text_of(span, STR("db.system"));
    struct str name = text_of(span, STR("db.name"));

    if (system.size == 0)
        system = text_of(span, STR("db.system.name"));
    if (system.size == 0)
        return false;
    if (name.size == 0)
        name = text_of(span, STR("db.namespace"));
    struct series *edge = find_edge(metrics, span->resource->service_name,
                                    name.size > 0 ? name : system, STR("database"));
    if (edge == NULL)
        return true;
    edge->failed += span->status == SPAN_STATUS_ERROR;
    add_duration(&edge->client, duration_s(span));
    return true;
}

static struct half *half_place(struct span_metrics *metrics, const uint8_t *trace_id,
                               const uint8_t *span_id)
{
    char key[TRACE_ID_BYTES + SPAN_ID_BYTES];

    if (metrics->halves == NULL) {
        metrics->halves = calloc(SPAN_METRICS_HALVES, sizeof(*metrics->halves));
        if (metrics->halves == NULL)
            must_memory(SPAN_METRICS_HALVES * sizeof(*metrics->halves));
    }
    memcpy(key, trace_id, TRACE_ID_BYTES);
    memcpy(key + TRACE_ID_BYTES, span_id, SPAN_ID_BYTES);
    uint64_t hash = str_hash((struct str){key, sizeof(key)}, 3);
    return &metrics->halves[hash & (SPAN_METRICS_HALVES - 1)];
}

static void count_pair(struct span_metrics *metrics, const struct half *half,
                       const struct span *span)
{
    struct str own = span->resource->service_name;
    struct str other = str_of(half->service);
    struct series *edge = half->is_client ? find_edge(metrics, other, own, STR(""))
                                          : find_edge(metrics, own, other, STR(""));

    if (edge == NULL)
        return;
    edge->failed += half->failed || span->status == SPAN_STATUS_ERROR;
    add_duration(&edge->client, half->is_client ? half->duration_s : duration_s(span));
    add_duration(&edge->server, half->is_client ? duration_s(span) : half->duration_s);
}

static void keep_half(struct span_metrics *metrics, struct half *half, const struct span *span,
                      const uint8_t *client_id, bool is_client)
{
    struct str service = cut(span->resource->service_name);

    metrics->pushed_out += half->used;
    memcpy(half->trace_id, span->trace_id, TRACE_ID_BYTES);
    memcpy(half->span_id, client_id, SPAN_ID_BYTES);
    memcpy(half->service, service.data, service.size);
    half->service[service.size] = '\0';
    half->duration_s = duration_s(span);
    half->failed = span->status == SPAN_STATUS_ERROR;
    half->is_client = is_client;
    half->used = true;
}

static void count_half(struct span_metrics *metrics, const struct span *span, bool is_client)
{
    const uint8_t *client_id = is_client ? span->span_id : span->parent_span_id;
    struct half *half = half_place(metrics, span->trace_id, client_id);

    if (half->used && half->is_client != is_client &&
        memcmp(half->trace_id, span->trace_id, TRACE_ID_BYTES) == 0 &&
        memcmp(half->span_id, client_id, SPAN_ID_BYTES) == 0) {
        count_pair(metrics, half, span);
        half->used = false;
        return;
    }
    keep_half(metrics, half, span, client_id, is_client);
}

static bool has_parent(const struct span *span)
{
    static const uint8_t none[SPAN_ID_BYTES];

    return memcmp(span->parent_span_id, none, SPAN_ID_BYTES) != 0;
}

static void count_edge(struct span_metrics *metrics, const struct span *span)
{
    bool calls = span->kind == SPAN_KIND_CLIENT || span->kind == SPAN_KIND_PRODUCER;
    bool is_called = span->kind == SPAN_KIND_SERVER || span->kind == SPAN_KIND_CONSUMER;

    if (calls && !count_database(metrics, span))
        count_half(metrics, span, true);
    else if (is_called && has_parent(span))
        count_half(metrics, span, false);
}

void span_metrics_add(struct span_metrics *metrics, const struct span *spans, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        count_span(metrics, &spans[i]);
        count_edge(metrics, &spans[i]);
    }
}

static void visit_map(const struct map *map, span_metrics_visit *visit, void *self)
{
    MAP_EACH (map, entry) {
        const struct series *series = entry->value;
        const struct span_series seen = {series->labels, series->labels_count, series->is_edge,
                                         series->calls - series->told_calls};
        visit(self, &seen);
    }
}

void span_metrics_each(const struct span_metrics *metrics, span_metrics_visit *visit, void *self)
{
    visit_map(&metrics->series, visit, self);
    visit_map(&metrics->edges, visit, self);
}

/* ---- Telling. ---- */

struct telling {
    struct span_metrics *metrics;
    struct batch *out;
    int64_t time_ms;
    bool buckets; /* They are due. */
    struct why *why;
};

static enum err tell_count(const struct telling *telling, const struct series *series,
                           struct str name, uint64_t count)
{
    struct label pairs[SPAN_LABELS + 1];
    const struct labels *labels;

    memcpy(pairs, series->labels, series->labels_count * sizeof(*pairs));
    pairs[series->labels_count] = (struct label){LABEL_NAME, name};
    TRY(label_pool_get(telling->metrics->pool, pairs, series->labels_count + 1, &labels,
                       telling->why));
    return batch_sample(telling->out, labels, telling->time_ms, (double)count, telling->why);
}

static enum err tell_durations(const struct telling *telling, const struct series *series,
                               struct str name, const struct durations *durations)
{
    const struct histogram histogram = {
        .name = name,
        .base = series->labels,
        .base_count = series->labels_count,
        .bounds = bounds,
        .counts = durations->counts,
        .bound_count = BUCKETS,
        .sum = durations->sum_s,
        .time_ms = telling->time_ms,
    };

    return batch_histogram(telling->out, telling->metrics->pool, &histogram, telling->why);
}

/* The same durations as a sketch, for quantiles that are near the truth: one percent, where buckets
 * that double tell a factor of two. It goes once told, and its memory with it: most of the many
 * operations that a machine may have rest most of the time. */
static enum err tell_sketch(const struct telling *telling, struct series *series)
{
    struct quantile *since CLEANUP(quantile_freep) = TAKE(series->since);
    struct buf bytes CLEANUP(buf_done) = {0};
    struct label pairs[SPAN_LABELS + 1];
    const struct labels *labels;

    if (since == NULL)
        return ERR_NONE;
    quantile_write(since, &bytes);
    memcpy(pairs, series->labels, series->labels_count * sizeof(*pairs));
    pairs[series->labels_count] =
        (struct label){LABEL_NAME, STR("traces_span_metrics_duration_seconds")};
    TRY(label_pool_get(telling->metrics->pool, pairs, series->labels_count + 1, &labels,
                       telling->why));
    return batch_sketch(telling->out, labels, telling->time_ms, buf_view(&bytes), telling->why);
}

static enum err tell_span_numbers(const struct telling *telling, const struct series *series)
{
    TRY(tell_count(telling, series, STR("traces_span_metrics_calls_total"), series->calls));
    if (!telling->buckets)
        return ERR_NONE;
    return tell_durations(telling, series, STR("traces_span_metrics_duration_seconds"),
                          &series->client);
}

static enum err tell_edge_numbers(const struct telling *telling, const struct series *series)
{
    TRY(tell_count(telling, series, STR("traces_service_graph_request_total"), series->calls));
    TRY(tell_count(telling, series, STR("traces_service_graph_request_failed_total"),
                   series->failed));
    if (!telling->buckets)
        return ERR_NONE;
    TRY(tell_durations(telling, series, STR("traces_service_graph_request_client_seconds"),
                       &series->client));
    return tell_durations(telling, series, STR("traces_service_graph_request_server_seconds"),
                          &series->server);
}

static enum err tell_numbers(const struct telling *telling, const struct series *series)
{
    return series->is_edge ? tell_edge_numbers(telling, series)
                           : tell_span_numbers(telling, series);
}

static enum err tell_beginning(const struct telling *telling, const struct series *series)
{
    struct telling before = *telling;
    struct series zero = *series; /* Its labels point into the series itself. */

    before.time_ms--;
    zero.calls = 0;
    zero.failed = 0;
    zero.client = (struct durations){0};
    zero.server = (struct durations){0};
    return tell_numbers(&before, &zero);
}

static enum err tell_series(const struct telling *telling, struct series *series)
{
    struct telling now = *telling;

    now.buckets |= !series->told;
    if (!series->told)
        TRY(tell_beginning(&now, series));
    series->told = true;
    series->changed = false;
    series->buckets_changed = series->buckets_changed && !now.buckets;
    series->told_calls = series->calls;
    TRY(tell_sketch(&now, series));
    return tell_numbers(&now, series);
}

static enum err tell_map(const struct telling *telling, struct map *map, bool all)
{
    MAP_EACH (map, entry) {
        struct series *series = entry->value;
        series->buckets_changed |= series->changed;
        if (series->changed || all || (telling->buckets && series->buckets_changed))
            TRY(tell_series(telling, series));
    }
    return ERR_NONE;
}

static enum err describe(const struct telling *telling)
{
    static const struct metric_info infos[] = {
        {STR("traces_span_metrics_calls_total"), STR(""), STR("Spans that arrived."),
         METRIC_COUNTER},
        {STR("traces_span_metrics_duration_seconds"), STR("seconds"), STR("How long spans took."),
         METRIC_HISTOGRAM},
        {STR("traces_service_graph_request_total"), STR(""), STR("Calls between services."),
         METRIC_COUNTER},
        {STR("traces_service_graph_request_failed_total"), STR(""),
         STR("Calls between services that failed."), METRIC_COUNTER},
        {STR("traces_service_graph_request_client_seconds"), STR("seconds"),
         STR("How long calls took for who made them."), METRIC_HISTOGRAM},
        {STR("traces_service_graph_request_server_seconds"), STR("seconds"),
         STR("How long calls took where they were answered."), METRIC_HISTOGRAM},
    };

    for (size_t i = 0; i < ARRAY_COUNT(infos); i++)
        TRY(batch_info(telling->out, &infos[i], telling->why));
    return ERR_NONE;
}

enum err span_metrics_write(struct span_metrics *metrics, int64_t now_ms, struct batch *out,
                            struct why *why)
{
    bool all = now_ms - metrics->all_ms >= ALL_MS || now_ms < metrics->all_ms;
    bool buckets =
        all || now_ms - metrics->buckets_ms >= BUCKETS_MS || now_ms < metrics->buckets_ms;
    const struct telling telling = {metrics, out, now_ms, buckets, why};

    if (metrics->series.count == 0)
        return ERR_NONE;
    batch_hold(out, metrics->pool);
    if (buckets)
        metrics->buckets_ms = now_ms;
    if (all) {
        metrics->all_ms = now_ms;
        TRY(describe(&telling));
    }
    TRY(tell_map(&telling, &metrics->series, all));
    return tell_map(&telling, &metrics->edges, all);
}
