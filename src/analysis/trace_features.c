/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs are found by the bytes "scope service key value". What is in every trace, or in so few that
 * no test could tell, is not tested: each test costs all others some certainty. */
#include "analysis/trace_features.h"

#include "analysis/trace_call.h"
#include "stats/compare.h"
#include "stats/contingency.h"

#include <math.h>
#include <stdlib.h>

#define SIGNIFICANT 0.05

void trace_features_init(struct trace_features *features, struct arena *arena)
{
    *features = (struct trace_features){.arena = arena};
}

void trace_features_done(struct trace_features *features)
{
    map_done(&features->by_key);
    buf_done(&features->key);
}

/* ---- Values as texts. ---- */

static bool is_one_of(struct str key, const struct str *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(key, keys[i]))
            return true;
    }
    return false;
}

static void write_text(struct str key, struct str text, struct buf *out)
{
    static const struct str statements[] = {{"db.statement", 12}, {"db.query.text", 13}};
    static const struct str paths[] = {
        {"url.full", 8}, {"http.url", 8}, {"url.path", 8}, {"http.target", 11}};

    if (is_one_of(key, statements, ARRAY_COUNT(statements)))
        trace_statement_normalise(text, out);
    else if (is_one_of(key, paths, ARRAY_COUNT(paths)))
        trace_path_normalise(text, out);
    else
        buf_str(out, text);
}

/* False: lists, maps and bytes are not compared. */
static bool write_value(const struct attribute *attribute, struct buf *out)
{
    char number[STR_DOUBLE_SIZE];

    switch (attribute->value.kind) {
    case VALUE_TEXT:
        write_text(attribute->key, attribute->value.text, out);
        return true;
    case VALUE_BOOL:
        buf_text(out, attribute->value.boolean ? "true" : "false");
        return true;
    case VALUE_INTEGER:
        buf_printf(out, "%lld", (long long)attribute->value.integer);
        return true;
    case VALUE_DOUBLE:
        buf_append(out, number, str_from_double(number, attribute->value.number));
        return true;
    default:
        return false;
    }
}

/* ---- Counting. ---- */

static bool make_room(struct trace_features *features)
{
    if (features->count < features->capacity)
        return true;
    uint32_t capacity = features->capacity == 0 ? 256 : features->capacity * 2;
    struct trace_feature *larger = ARENA_ARRAY_RAW(features->arena, capacity, struct trace_feature);
    if (larger == NULL)
        return false;
    if (features->count > 0)
        memcpy(larger, features->items, features->count * sizeof(*larger));
    features->items = larger;
    features->capacity = capacity;
    return true;
}

/* features->key holds the key; *_at are where its parts begin. */
static bool add_feature(struct trace_features *features, size_t service_size, size_t key_at,
                        size_t value_at, uint32_t *ret_index)
{
    struct str kept = arena_str(features->arena, buf_view(&features->key));

    if (kept.data == NULL || !make_room(features))
        return false;
    *ret_index = features->count++;
    features->items[*ret_index] = (struct trace_feature){
        .of_resource = kept.data[0] == 'r',
        .service = {kept.data + 1, service_size},
        .key = {kept.data + key_at, value_at - key_at - 1},
        .value = {kept.data + value_at, kept.size - value_at},
    };
    (void)map_put(&features->by_key, kept, /* Was absent. */
                  (void *)(uintptr_t)features->count);
    return true;
}

struct counting {
    struct trace_features *features;
    int group;
    uint32_t trace; /* Its number, from 1. */
};

static bool count_pair(struct counting *counting, bool of_resource, struct str service,
                       const struct attribute *attribute)
{
    struct trace_features *features = counting->features;
    struct buf *key = &features->key;
    uint32_t index;

    buf_clear(key);
    buf_byte(key, of_resource ? 'r' : 's');
    buf_str(key, service);
    buf_byte(key, 0);
    size_t key_at = key->size;
    buf_str(key, attribute->key);
    buf_byte(key, 0);
    size_t value_at = key->size;
    if (!write_value(attribute, key) || key->size - value_at > TRACE_FEATURE_BYTES_MAX)
        return true;
    uintptr_t found = (uintptr_t)map_get(&features->by_key, buf_view(key));
    if (found != 0) {
        index = (uint32_t)found - 1;
    } else if (features->count >= TRACE_FEATURES_MAX) {
        features->left_out++;
        return true;
    } else if (!add_feature(features, service.size, key_at, value_at, &index)) {
        return false;
    }
    struct trace_feature *feature = &features->items[index];
    feature->traces[counting->group] += feature->last_trace != counting->trace;
    feature->last_trace = counting->trace;
    return true;
}

static bool count_span(struct counting *counting, const struct span *span)
{
    static const struct attribute failed = {{"status", 6},
                                            {.kind = VALUE_TEXT, .text = {"error", 5}}};
    struct str service = span->resource->service_name;

    for (size_t i = 0; i < span->attributes.count; i++) {
        if (!count_pair(counting, false, service, &span->attributes.items[i]))
            return false;
    }
    return span->status != SPAN_STATUS_ERROR || count_pair(counting, false, service, &failed);
}

static bool count_resource(struct counting *counting, const struct resource *resource)
{
    for (size_t i = 0; i < resource->attributes.count; i++) {
        if (!count_pair(counting, true, resource->service_name, &resource->attributes.items[i]))
            return false;
    }
    return true;
}

enum err trace_features_add(struct trace_features *features, int group, const struct span *spans,
                            size_t count, struct why *why)
{
    struct counting counting = {features, group, features->traces[0] + features->traces[1] + 1};
    const struct resource *last = NULL;

    features->traces[group]++;
    for (size_t i = 0; i < count; i++) {
        bool is_kept = count_span(&counting, &spans[i]);
        if (is_kept && spans[i].resource != last)
            is_kept = count_resource(&counting, spans[i].resource);
        last = spans[i].resource;
        if (!is_kept)
            return arena_spent(features->arena, "the attributes of traces", why);
    }
    return ERR_NONE;
}

/* ---- Testing. ---- */

double trace_feature_difference(const struct trace_features *features,
                                const struct trace_feature *feature)
{
    double shares[2];

    for (int i = 0; i < 2; i++)
        shares[i] =
            features->traces[i] == 0 ? 0 : (double)feature->traces[i] / (double)features->traces[i];
    return shares[1] - shares[0];
}

static struct contingency table_of(const struct trace_features *features,
                                   const struct trace_feature *feature)
{
    return (struct contingency){
        feature->traces[0],
        features->traces[0] - feature->traces[0],
        feature->traces[1],
        features->traces[1] - feature->traces[1],
    };
}

/* The difference of a feature is kept beside it while sorting: qsort has no room for the sums. */
struct told {
    struct trace_feature *feature;
    double size;
};

static int most_telling_first(const void *a, const void *b)
{
    const struct told *left = a;
    const struct told *right = b;

    if (left->size != right->size)
        return left->size > right->size ? -1 : 1;
    if (left->feature->p != right->feature->p)
        return left->feature->p < right->feature->p ? -1 : 1;
    int order = str_compare(left->feature->key, right->feature->key);
    if (order == 0)
        order = str_compare(left->feature->value, right->feature->value);
    return order != 0 ? order : str_compare(left->feature->service, right->feature->service);
}

/* Moves those that are tested to the front, with their p. */
static size_t test_all(struct trace_features *features, struct told *told)
{
    uint32_t all = features->traces[0] + features->traces[1];
    size_t tested = 0;

    for (uint32_t i = 0; i < features->count; i++) {
        struct trace_feature *feature = &features->items[i];
        struct contingency table = table_of(features, feature);
        if (feature->traces[0] + feature->traces[1] == all ||
            contingency_fisher_min(table) > SIGNIFICANT)
            continue;
        feature->p = contingency_fisher(table);
        feature->odds_ratio = contingency_odds_ratio(table);
        told[tested++] = (struct told){feature, fabs(trace_feature_difference(features, feature))};
    }
    return tested;
}

static size_t keep_significant(struct told *told, size_t tested, double *p, double *adjusted)
{
    size_t kept = 0;

    for (size_t i = 0; i < tested; i++)
        p[i] = told[i].feature->p;
    compare_adjust(p, tested, adjusted);
    for (size_t i = 0; i < tested; i++) {
        told[i].feature->p_adjusted = adjusted[i];
        if (adjusted[i] <= SIGNIFICANT)
            told[kept++] = told[i];
    }
    qsort(told, kept, sizeof(*told), most_telling_first);
    return kept < TRACE_FEATURES_SHOWN_MAX ? kept : TRACE_FEATURES_SHOWN_MAX;
}

enum err trace_features_telling(struct trace_features *features,
                                const struct trace_feature **ret_items, size_t *ret_count,
                                size_t *ret_tested, struct why *why)
{
    size_t count = features->count;
    struct told *told = ARENA_ARRAY(features->arena, count + 1, struct told);
    double *p = ARENA_ARRAY(features->arena, count + 1, double);
    double *adjusted = ARENA_ARRAY(features->arena, count + 1, double);
    struct trace_feature *items =
        ARENA_ARRAY(features->arena, TRACE_FEATURES_SHOWN_MAX, struct trace_feature);

    if (told == NULL || p == NULL || adjusted == NULL || items == NULL)
        return arena_spent(features->arena, "the attributes of traces", why);
    size_t tested = test_all(features, told);
    size_t shown = keep_significant(told, tested, p, adjusted);
    for (size_t i = 0; i < shown; i++)
        items[i] = *told[i].feature;
    *ret_items = items;
    *ret_count = shown;
    *ret_tested = tested;
    return ERR_NONE;
}
