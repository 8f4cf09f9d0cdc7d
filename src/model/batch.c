/* SPDX-License-Identifier: Apache-2.0 */
#include "model/batch.h"

#include <stdio.h>
#include <stdlib.h>

enum { CAPACITY_FIRST = 64 };

/* The next free place of a column, or NULL when it is full. */
#define COLUMN_ADD(column)                                                     \
    ((column)->count == (column)->capacity &&                                  \
             !column_grow((void **)&(column)->items, sizeof(*(column)->items), \
                          &(column)->capacity)                                 \
         ? NULL                                                                \
         : &(column)->items[(column)->count++])

static bool column_grow(void **items, size_t size, size_t *capacity)
{
    size_t wanted = *capacity == 0 ? CAPACITY_FIRST : *capacity * 2;

    if (*capacity >= BATCH_ROWS_MAX)
        return false;
    void *grown = reallocarray(*items, wanted, size);
    if (grown == NULL)
        must_memory(wanted * size);
    *items = grown;
    *capacity = wanted;
    return true;
}

static enum err column_full(const char *what, struct why *why)
{
    return fail(why, ERR_LIMIT, "a batch holds at most %d %s; send smaller ones", BATCH_ROWS_MAX,
                what);
}

struct batch *batch_new(const char *tenant, const char *source, size_t budget_bytes)
{
    struct batch *batch = calloc(1, sizeof(*batch));

    if (batch == NULL)
        must_memory(sizeof(*batch));
    batch->arena = arena_new(budget_bytes);
    batch->source = source;
    batch->rejected_why = WHY_INIT;
    (void)snprintf(batch->tenant, sizeof(batch->tenant), "%s", tenant); /* Names fit. */
    return batch;
}

static void release_pools(struct batch *batch)
{
    for (size_t i = 0; i < batch->pools.count; i++)
        label_pool_unref(batch->pools.items[i]);
    batch->pools.count = 0;
}

struct batch *batch_free(struct batch *batch)
{
    if (batch != NULL) {
        release_pools(batch);
        free(batch->samples.items);
        free(batch->sketches.items);
        free(batch->infos.items);
        free(batch->exemplars.items);
        free(batch->spans.items);
        free(batch->profiles.items);
        free(batch->events.items);
        free(batch->pools.items);
        buf_done(&batch->payload);
        arena_free(batch->arena);
        free(batch);
    }
    return NULL;
}

void batch_freep(struct batch **batch)
{
    *batch = batch_free(*batch);
}

void batch_clear(struct batch *batch)
{
    release_pools(batch);
    batch->samples.count = 0;
    batch->sketches.count = 0;
    batch->infos.count = 0;
    batch->exemplars.count = 0;
    batch->spans.count = 0;
    batch->profiles.count = 0;
    batch->events.count = 0;
    batch->rejected_count = 0;
    batch->rejected_why = WHY_INIT;
    buf_clear(&batch->payload);
    arena_clear(batch->arena);
}

void batch_hold(struct batch *batch, struct label_pool *pool)
{
    if (batch->pools.count > 0 && batch->pools.items[batch->pools.count - 1] == pool)
        return;
    struct label_pool **place = COLUMN_ADD(&batch->pools);
    MUST(place != NULL);
    *place = label_pool_ref(pool);
}

enum err batch_sample(struct batch *batch, const struct labels *labels, int64_t time_ms,
                      double value, struct why *why)
{
    struct sample *sample = COLUMN_ADD(&batch->samples);

    if (sample == NULL)
        return column_full("samples", why);
    *sample = (struct sample){labels, time_ms, value};
    return ERR_NONE;
}

enum err batch_sketch(struct batch *batch, const struct labels *labels, int64_t time_ms,
                      struct str sketch, struct why *why)
{
    struct str kept = arena_str(batch->arena, sketch);

    if (kept.data == NULL)
        return arena_spent(batch->arena, "a batch", why);
    struct sketch_sample *sample = COLUMN_ADD(&batch->sketches);
    if (sample == NULL)
        return column_full("sketches", why);
    *sample = (struct sketch_sample){labels, time_ms, kept};
    return ERR_NONE;
}

enum err batch_exemplar(struct batch *batch, const struct exemplar *exemplar, struct why *why)
{
    struct exemplar *row = COLUMN_ADD(&batch->exemplars);

    if (row == NULL)
        return column_full("exemplars", why);
    *row = *exemplar;
    return ERR_NONE;
}

enum err batch_info(struct batch *batch, const struct metric_info *info, struct why *why)
{
    struct metric_info kept = {
        .name = arena_str(batch->arena, info->name),
        .unit = arena_str(batch->arena, info->unit),
        .help = arena_str(batch->arena, info->help),
        .kind = info->kind,
    };

    if (kept.name.data == NULL || kept.unit.data == NULL || kept.help.data == NULL)
        return arena_spent(batch->arena, "a batch", why);
    struct metric_info *row = COLUMN_ADD(&batch->infos);
    if (row == NULL)
        return column_full("metric descriptions", why);
    *row = kept;
    return ERR_NONE;
}

/* One series of a histogram: name with a suffix, and "le" where it is a bucket. */
static enum err histogram_sample(struct batch *batch, struct label_pool *pool,
                                 const struct histogram *histogram, const char *suffix,
                                 struct str le, double value, struct why *why)
{
    struct label pairs[LABEL_COUNT_MAX + 2];
    char name[LABEL_NAME_BYTES];
    const struct labels *labels;
    size_t count = 0;

    int size = snprintf(name, sizeof(name), "%.*s%s", STR_ARG(histogram->name), suffix);
    if (size < 0 || (size_t)size >= sizeof(name) || histogram->base_count > LABEL_COUNT_MAX - 2)
        return fail(why, ERR_LIMIT, "the histogram '%.*s' has too long a name or too many labels",
                    STR_ARG(histogram->name));
    pairs[count++] = (struct label){LABEL_NAME, {name, (size_t)size}};
    if (histogram->base_count > 0)
        memcpy(pairs + count, histogram->base, histogram->base_count * sizeof(*pairs));
    count += histogram->base_count;
    if (le.size > 0)
        pairs[count++] = (struct label){STR("le"), le};
    TRY(label_pool_get(pool, pairs, count, &labels, why));
    return batch_sample(batch, labels, histogram->time_ms, value, why);
}

enum err batch_histogram(struct batch *batch, struct label_pool *pool,
                         const struct histogram *histogram, struct why *why)
{
    char le[STR_DOUBLE_SIZE];
    uint64_t total = 0;

    batch_hold(batch, pool);
    for (size_t i = 0; i < histogram->bound_count; i++) {
        total += histogram->counts[i];
        struct str text = {le, str_from_double(le, histogram->bounds[i])};
        TRY(histogram_sample(batch, pool, histogram, "_bucket", text, (double)total, why));
    }
    total += histogram->counts[histogram->bound_count];
    TRY(histogram_sample(batch, pool, histogram, "_bucket", STR("+Inf"), (double)total, why));
    TRY(histogram_sample(batch, pool, histogram, "_sum", STR_NONE, histogram->sum, why));
    return histogram_sample(batch, pool, histogram, "_count", STR_NONE, (double)total, why);
}

enum err batch_span(struct batch *batch, struct span **ret_span, struct why *why)
{
    struct span *span = COLUMN_ADD(&batch->spans);

    if (span == NULL)
        return column_full("spans", why);
    *span = (struct span){0};
    *ret_span = span;
    return ERR_NONE;
}

enum err batch_profile(struct batch *batch, struct profile_sample **ret_sample, struct why *why)
{
    struct profile_sample *sample = COLUMN_ADD(&batch->profiles);

    if (sample == NULL)
        return column_full("profile samples", why);
    *sample = (struct profile_sample){0};
    *ret_sample = sample;
    return ERR_NONE;
}

enum err batch_event(struct batch *batch, struct event **ret_event, struct why *why)
{
    struct event *event = COLUMN_ADD(&batch->events);

    if (event == NULL)
        return column_full("events", why);
    *event = (struct event){0};
    *ret_event = event;
    return ERR_NONE;
}

size_t batch_row_count(const struct batch *batch)
{
    return batch->samples.count + batch->sketches.count + batch->spans.count +
           batch->profiles.count + batch->events.count;
}

void batch_reject(struct batch *batch, uint64_t count, const struct why *why)
{
    batch->rejected_count += count;
    if (why != NULL)
        batch->rejected_why = *why;
}
