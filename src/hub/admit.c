/* SPDX-License-Identifier: Apache-2.0 */
/* A label set that a sink has found before (its slot is set) was admitted then, so the usual row
 * costs two comparisons. */
#include "hub/admit.h"

const struct hub_limits hub_limits_default = {
    .labels_per_series_max = 40,
    .label_name_bytes_max = 256,
    .label_value_bytes_max = 2048,
    .future_ms_max = 10 * 60 * 1000,
};

bool admit_is_tenant(struct str name)
{
    if (name.size == 0 || name.size >= BATCH_TENANT_BYTES || name.data[0] == '-' ||
        name.data[0] == '_')
        return false;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return true;
}

static enum err check_labels(const struct hub_limits *limits, const struct labels *labels,
                             struct why *why)
{
    struct str metric = labels_get(labels, LABEL_NAME);
    struct label label;

    if (metric.size > 128)
        metric.size = 128;
    if (labels->count > limits->labels_per_series_max)
        return fail(why, ERR_LIMIT, "a series of '%.*s' has %u labels, more than the limit of %u",
                    STR_ARG(metric), labels->count, limits->labels_per_series_max);
    for (size_t at = 0; labels_next(labels, &at, &label);) {
        if (label.name.size > limits->label_name_bytes_max)
            return fail(why, ERR_LIMIT, "a label name of '%.*s' has %zu bytes, the limit is %u",
                        STR_ARG(metric), label.name.size, limits->label_name_bytes_max);
        if (label.value.size > limits->label_value_bytes_max)
            return fail(why, ERR_LIMIT, "label '%.*s' of '%.*s' has %zu bytes, the limit is %u",
                        STR_ARG(label.name), STR_ARG(metric), label.value.size,
                        limits->label_value_bytes_max);
    }
    return ERR_NONE;
}

static enum err check_row(const struct hub_limits *limits, int64_t latest_ms,
                          const struct labels *labels, int64_t time_ms, struct why *why)
{
    if (time_ms > latest_ms) {
        struct str metric = labels_get(labels, LABEL_NAME);
        return fail(why, ERR_INVALID,
                    "a sample of '%.*s' lies %lld ms further in the future than is accepted; set "
                    "the sender's clock",
                    STR_ARG(metric), (long long)(time_ms - latest_ms));
    }
    if (atomic_load_explicit(&labels->slot, memory_order_relaxed) != 0)
        return ERR_NONE;
    return check_labels(limits, labels, why);
}

static void admit_samples(const struct hub_limits *limits, int64_t latest_ms, struct batch *batch)
{
    struct why why = WHY_INIT;
    size_t kept = 0;

    for (size_t i = 0; i < batch->samples.count; i++) {
        const struct sample *sample = &batch->samples.items[i];
        if (check_row(limits, latest_ms, sample->labels, sample->time_ms, &why) != ERR_NONE) {
            batch_reject(batch, 1, &why);
            continue;
        }
        if (kept != i)
            batch->samples.items[kept] = *sample;
        kept++;
    }
    batch->samples.count = kept;
}

static void admit_sketches(const struct hub_limits *limits, int64_t latest_ms, struct batch *batch)
{
    struct why why = WHY_INIT;
    size_t kept = 0;

    for (size_t i = 0; i < batch->sketches.count; i++) {
        struct sketch_sample sketch = batch->sketches.items[i];
        if (check_row(limits, latest_ms, sketch.labels, sketch.time_ms, &why) != ERR_NONE)
            batch_reject(batch, 1, &why);
        else
            batch->sketches.items[kept++] = sketch;
    }
    batch->sketches.count = kept;
}

/* An exemplar goes with its sample, whose sender has been told already. */
static void admit_exemplars(const struct hub_limits *limits, int64_t latest_ms, struct batch *batch)
{
    size_t kept = 0;

    for (size_t i = 0; i < batch->exemplars.count; i++) {
        struct exemplar exemplar = batch->exemplars.items[i];
        if (check_row(limits, latest_ms, exemplar.labels, exemplar.time_ms, NULL) == ERR_NONE)
            batch->exemplars.items[kept++] = exemplar;
    }
    batch->exemplars.count = kept;
}

enum err admit_batch(const struct hub_limits *limits, int64_t now_ms, struct batch *batch,
                     struct why *why)
{
    struct str tenant = str_of(batch->tenant);
    size_t before = batch_row_count(batch);

    if (!admit_is_tenant(tenant)) {
        enum err err = fail(why, ERR_INVALID, "'%.*s' is no tenant name", STR_ARG(tenant));
        hint(why, "use up to %d lower-case letters, digits, '-' and '_'", BATCH_TENANT_BYTES - 1);
        return err;
    }
    admit_samples(limits, now_ms + limits->future_ms_max, batch);
    admit_sketches(limits, now_ms + limits->future_ms_max, batch);
    admit_exemplars(limits, now_ms + limits->future_ms_max, batch);
    if (before > 0 && batch_row_count(batch) == 0 && batch->rejected_count > 0) {
        if (why != NULL)
            *why = batch->rejected_why;
        return batch->rejected_why.err;
    }
    return ERR_NONE;
}
