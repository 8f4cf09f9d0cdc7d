/* SPDX-License-Identifier: Apache-2.0 */
/*   ExportMetricsServiceRequest { repeated ResourceMetrics resource_metrics = 1; }
 *   ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }
 *   ScopeMetrics    { InstrumentationScope scope = 1; repeated Metric metrics = 2; }
 *   Metric { string name = 1; string description = 2; string unit = 3; Gauge gauge = 5; Sum sum =
 * 7; Histogram histogram = 9; ExponentialHistogram exponential_histogram = 10; Summary summary =
 * 11; } each of these { repeated Point data_points = 1; Temporality = 2; bool is_monotonic = 3
 * (Sum); }
 *
 * The points are read by otlp_points.c into numbers; here they become series. A series sent as
 * deltas has a running total under its labels; when the daemon starts again it begins at zero,
 * which PromQL sees as the reset of a counter. */
#include "codec/otlp_metrics.h"

#include "base/map.h"
#include "codec/otlp_names.h"
#include "codec/otlp_points.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TOTALS_MAX = 200000, /* Series sent as deltas. */
    TEMPORALITY_DELTA = 1,
    FLAG_NO_VALUE = 1,
    LABELS_MAX = LABEL_COUNT_MAX - 2, /* Room for __name__ and le. */
    INFO_PAIRS_MAX = LABEL_COUNT_MAX,
};

struct total {
    double value;
    struct exponential before; /* Of an exponential histogram that is sent cumulatively. */
    uint32_t label_size;
    char labels[];
};

struct otlp_metrics {
    struct label_pool *pool;
    size_t budget_bytes;
    struct map totals;
};

struct otlp_metrics *otlp_metrics_new(size_t budget_bytes)
{
    struct otlp_metrics *metrics = calloc(1, sizeof(*metrics));

    if (metrics == NULL)
        must_memory(sizeof(*metrics));
    metrics->budget_bytes = budget_bytes;
    metrics->pool = label_pool_new(budget_bytes);
    return metrics;
}

struct otlp_metrics *otlp_metrics_free(struct otlp_metrics *metrics)
{
    if (metrics == NULL)
        return NULL;
    label_pool_unref(metrics->pool);
    MAP_EACH (&metrics->totals, entry) {
        struct total *total = entry->value;
        exponential_done(&total->before);
        free(total);
    }
    map_done(&metrics->totals);
    free(metrics);
    return NULL;
}

/* What is known while a message is read. */
struct context {
    struct otlp_metrics *metrics;
    struct otlp_reader reader;
    struct batch *out;
    struct resource resource;
    struct label base[2]; /* job and instance. */
    size_t base_count;
    int64_t newest_ms; /* Of the resource's points. */
    /* Of the metric under way. */
    struct str name; /* As Prometheus has it. */
    bool is_delta;
    bool is_monotonic;
    const struct labels *series; /* The last one that had a sample. */
};

/* ---- Labels. ---- */

static struct str keep(struct context *context, const struct buf *text)
{
    return arena_str(context->out->arena, buf_view(text));
}

static bool has_label(const struct label *pairs, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(pairs[i].name, name))
            return true;
    }
    return false;
}

/* The attributes as labels behind pairs[0 .. *count); those whose names clash are left out, the
 * first one stays. */
static enum err add_labels(struct context *context, const struct attributes *attributes,
                           struct label *pairs, size_t *count)
{
    struct buf text CLEANUP(buf_done) = {0};

    for (size_t i = 0; i < attributes->count; i++) {
        const struct attribute *item = &attributes->items[i];
        if (*count == LABELS_MAX)
            return fail(context->reader.why, ERR_LIMIT, "'%.*s' has more than %d attributes",
                        STR_ARG(context->name), LABELS_MAX);
        buf_clear(&text);
        otlp_label_name(item->key, &text);
        struct label pair = {.name = keep(context, &text)};
        buf_clear(&text);
        otlp_label_value(&item->value, &text);
        pair.value = keep(context, &text);
        if (pair.name.data == NULL || pair.value.data == NULL)
            return arena_spent(context->out->arena, "the message", context->reader.why);
        if (!str_is_utf8(pair.value))
            return fail(context->reader.why, ERR_INVALID, "an attribute of '%.*s' is not UTF-8",
                        STR_ARG(context->name));
        if (pair.name.size > 0 && !has_label(pairs, *count, pair.name))
            pairs[(*count)++] = pair;
    }
    return ERR_NONE;
}

static const struct value *scalar(const struct attributes *attributes, struct str key)
{
    const struct value *value = attributes_get(attributes, key);

    return value != NULL && value->kind == VALUE_TEXT && value->text.size > 0 ? value : NULL;
}

/* job is "namespace/name", instance the instance's id, as far as the resource has them. */
static enum err set_base(struct context *context)
{
    const struct attributes *attributes = &context->resource.attributes;
    const struct value *name = scalar(attributes, STR("service.name"));
    const struct value *space = scalar(attributes, STR("service.namespace"));
    const struct value *instance = scalar(attributes, STR("service.instance.id"));

    context->base_count = 0;
    if (name != NULL) {
        struct str job = name->text;
        if (space != NULL) {
            char *both = arena_printf(context->out->arena, "%.*s/%.*s", STR_ARG(space->text),
                                      STR_ARG(name->text));
            if (both == NULL)
                return arena_spent(context->out->arena, "the message", context->reader.why);
            job = str_of(both);
        }
        context->base[context->base_count++] = (struct label){STR("job"), job};
    }
    if (instance != NULL)
        context->base[context->base_count++] = (struct label){STR("instance"), instance->text};
    return ERR_NONE;
}

/* ---- Samples. ---- */

static enum err find_labels(struct context *context, struct label *pairs, size_t count,
                            const struct labels **ret_labels)
{
    struct otlp_metrics *metrics = context->metrics;
    enum err err = label_pool_get(metrics->pool, pairs, count, ret_labels, context->reader.why);

    if (err != ERR_LIMIT || label_pool_count(metrics->pool) == 0)
        return err;
    label_pool_unref(metrics->pool); /* The old one lives as long as batches hold it. */
    metrics->pool = label_pool_new(metrics->budget_bytes);
    batch_hold(context->out, metrics->pool);
    return label_pool_get(metrics->pool, pairs, count, ret_labels, context->reader.why);
}

static enum err find_total(struct context *context, const struct labels *labels,
                           struct total **ret_total)
{
    struct otlp_metrics *metrics = context->metrics;
    struct str key = labels_bytes(labels);
    struct total *total = map_get(&metrics->totals, key);

    if (total == NULL) {
        if (metrics->totals.count == TOTALS_MAX) {
            enum err err = fail(context->reader.why, ERR_LIMIT,
                                "%d series sent as deltas are remembered already", TOTALS_MAX);
            hint(context->reader.why, "let the sender use cumulative temporality");
            return err;
        }
        total = calloc(1, sizeof(*total) + key.size);
        if (total == NULL)
            must_memory(sizeof(*total) + key.size);
        memcpy(total->labels, key.data, key.size);
        total->label_size = (uint32_t)key.size;
        (void)map_put(&metrics->totals, (struct str){total->labels, key.size}, total);
    }
    *ret_total = total;
    return ERR_NONE;
}

/* One more label than pairs, "quantile" or "le", where extra.name is not empty. */
static enum err emit(struct context *context, const struct label *pairs, size_t count,
                     const char *suffix, struct label extra, int64_t time_ms, double value,
                     bool accumulate)
{
    struct label all[LABEL_COUNT_MAX + 4];
    char name[LABEL_NAME_BYTES];
    const struct labels *labels;
    struct total *total;
    size_t used = 0;

    int size = snprintf(name, sizeof(name), "%.*s%s", STR_ARG(context->name), suffix);
    if (size < 0 || (size_t)size >= sizeof(name))
        return fail(context->reader.why, ERR_LIMIT, "a metric's name has more than %d bytes",
                    LABEL_NAME_BYTES);
    all[used++] = (struct label){LABEL_NAME, {name, (size_t)size}};
    for (size_t i = 0; i < count; i++)
        all[used++] = pairs[i];
    if (extra.name.size > 0)
        all[used++] = extra;
    TRY(find_labels(context, all, used, &labels));
    context->series = labels;
    if (accumulate) {
        TRY(find_total(context, labels, &total));
        total->value += value;
        value = total->value;
    }
    return batch_sample(context->out, labels, time_ms, value, context->reader.why);
}

/* Those of the point that lie in (above, up_to] go with `series`, each once. */
static enum err emit_exemplars(struct context *context, const struct labels *series,
                               const struct point *point, double above, double up_to)
{
    for (size_t i = 0; i < point->exemplars_count; i++) {
        struct exemplar *exemplar = &point->exemplars[i];
        bool is_within = exemplar->value > above && exemplar->value <= up_to;
        if (exemplar->labels != NULL || !is_within)
            continue;
        exemplar->labels = series;
        if (exemplar->time_ms == 0)
            exemplar->time_ms = point->time_ms;
        TRY(batch_exemplar(context->out, exemplar, context->reader.why));
    }
    return ERR_NONE;
}

static enum err emit_all_exemplars(struct context *context, const struct labels *series,
                                   const struct point *point)
{
    return emit_exemplars(context, series, point, -INFINITY, INFINITY);
}

static const struct label none = {{NULL, 0}, {NULL, 0}};

static enum err emit_number(struct context *context, const struct point *point,
                            const struct label *pairs, size_t count)
{
    TRY(emit(context, pairs, count, "", none, point->time_ms, point->value, context->is_delta));
    return emit_all_exemplars(context, context->series, point);
}

/* As in Prometheus an exemplar is that of the smallest bucket which has it. */
static enum err emit_histogram(struct context *context, const struct point *point,
                               const struct label *pairs, size_t count)
{
    char text[STR_DOUBLE_SIZE];
    double above = -INFINITY;
    uint64_t below = 0;

    if (point->counts_count > 0 && point->counts_count != point->bounds_count + 1)
        return fail(context->reader.why, ERR_INVALID,
                    "a histogram of '%.*s' has %zu counts for %zu bounds", STR_ARG(context->name),
                    point->counts_count, point->bounds_count);
    for (size_t i = 0; i < point->bounds_count && point->counts_count > 0; i++) {
        below += point->counts[i];
        struct label le = {STR("le"), {text, str_from_double(text, point->bounds[i])}};
        TRY(emit(context, pairs, count, "_bucket", le, point->time_ms, (double)below,
                 context->is_delta));
        TRY(emit_exemplars(context, context->series, point, above, point->bounds[i]));
        above = point->bounds[i];
    }
    TRY(emit(context, pairs, count, "_bucket", (struct label){STR("le"), STR("+Inf")},
             point->time_ms, (double)point->count, context->is_delta));
    TRY(emit_exemplars(context, context->series, point, above, INFINITY));
    if (point->has_sum)
        TRY(emit(context, pairs, count, "_sum", none, point->time_ms, point->sum,
                 context->is_delta));
    return emit(context, pairs, count, "_count", none, point->time_ms, (double)point->count,
                context->is_delta);
}

static enum err emit_summary(struct context *context, const struct point *point,
                             const struct label *pairs, size_t count)
{
    char text[STR_DOUBLE_SIZE];

    for (size_t i = 0; i < point->quantiles_count; i++) {
        struct label quantile = {STR("quantile"),
                                 {text, str_from_double(text, point->quantiles[i].quantile)}};
        TRY(emit(context, pairs, count, "", quantile, point->time_ms, point->quantiles[i].value,
                 false));
    }
    TRY(emit(context, pairs, count, "_sum", none, point->time_ms, point->sum, false));
    return emit(context, pairs, count, "_count", none, point->time_ms, (double)point->count, false);
}

/* A sketch tells of what came since the one before, so cumulative ones are subtracted. */
static enum err emit_exponential(struct context *context, const struct point *point,
                                 const struct label *pairs, size_t count)
{
    struct label all[LABEL_COUNT_MAX + 4];
    struct buf bytes CLEANUP(buf_done) = {0};
    const struct labels *labels;
    struct total *total = NULL;

    memcpy(all, pairs, count * sizeof(*pairs));
    all[count] = (struct label){LABEL_NAME, context->name};
    TRY(find_labels(context, all, count + 1, &labels));
    if (!context->is_delta)
        TRY(find_total(context, labels, &total));
    TRY(exponential_sketch(&point->exponential, total == NULL ? NULL : &total->before, &bytes,
                           context->reader.why));
    TRY(batch_sketch(context->out, labels, point->time_ms, buf_view(&bytes), context->reader.why));
    TRY(emit_all_exemplars(context, labels, point));
    if (point->has_sum)
        TRY(emit(context, pairs, count, "_sum", none, point->time_ms, point->sum,
                 context->is_delta));
    return emit(context, pairs, count, "_count", none, point->time_ms, (double)point->count,
                context->is_delta);
}

static enum err emit_point(struct context *context, enum point_kind kind, const struct point *point)
{
    struct label pairs[LABEL_COUNT_MAX];
    size_t count = context->base_count;

    memcpy(pairs, context->base, count * sizeof(*pairs));
    TRY(add_labels(context, &point->attributes, pairs, &count));
    if (point->time_ms > context->newest_ms)
        context->newest_ms = point->time_ms;
    if ((point->flags & FLAG_NO_VALUE) != 0)
        return kind == POINT_NUMBER
                   ? emit(context, pairs, count, "", none, point->time_ms, metric_stale(), false)
                   : ERR_NONE;
    switch (kind) {
    case POINT_NUMBER:
        return emit_number(context, point, pairs, count);
    case POINT_HISTOGRAM:
        return emit_histogram(context, point, pairs, count);
    case POINT_EXPONENTIAL:
        return emit_exponential(context, point, pairs, count);
    case POINT_SUMMARY:
        return emit_summary(context, point, pairs, count);
    }
    return ERR_NONE;
}

/* ---- The message. ---- */

static bool is_bytes(const struct protobuf_field *field, uint32_t number)
{
    return field->number == number && field->wire == PROTOBUF_BYTES;
}

static enum err read_point(struct context *context, enum point_kind kind, struct str bytes)
{
    struct point point;
    struct why why = WHY_INIT;
    struct why *outer = context->reader.why;

    TRY(point_read(&context->reader, kind, bytes, &point));
    context->reader.why = &why;
    enum err err = point.time_ms == 0 ? fail(&why, ERR_INVALID, "a point of '%.*s' has no time",
                                             STR_ARG(context->name))
                                      : emit_point(context, kind, &point);
    context->reader.why = outer;
    if (err == ERR_INVALID ||
        (err == ERR_LIMIT && arena_used(context->out->arena) < arena_budget(context->out->arena))) {
        batch_reject(context->out, 1, &why); /* The point's own trouble. */
        return ERR_NONE;
    }
    if (err != ERR_NONE && outer != NULL)
        *outer = why;
    return err;
}

static enum err read_points(struct context *context, enum point_kind kind, struct str bytes)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;

    while (protobuf_next(&message, &field)) {
        if (is_bytes(&field, 1))
            TRY(read_point(context, kind, field.bytes));
    }
    return message.broken ? otlp_broken(&context->reader, "a metric's data") : ERR_NONE;
}

/* Temporality and monotonicity stand behind the points on the wire, so they are looked for first.
 */
static enum err read_shape(struct context *context, struct str bytes)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;

    context->is_delta = context->is_monotonic = false;
    while (protobuf_next(&message, &field)) {
        if (field.number == 2 && field.wire == PROTOBUF_VARINT)
            context->is_delta = field.value == TEMPORALITY_DELTA;
        else if (field.number == 3 && field.wire == PROTOBUF_VARINT)
            context->is_monotonic = field.value != 0;
    }
    return message.broken ? otlp_broken(&context->reader, "a metric's data") : ERR_NONE;
}

struct metric_head {
    struct str name, description, unit;
    uint32_t kind; /* Number of the field that holds the data; 0: none. */
    struct str data;
};

static enum err read_head(struct context *context, struct str bytes, struct metric_head *head)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;

    *head = (struct metric_head){.name = STR(""), .description = STR(""), .unit = STR("")};
    while (protobuf_next(&message, &field)) {
        if (is_bytes(&field, 1)) {
            head->name = field.bytes;
        } else if (is_bytes(&field, 2)) {
            head->description = field.bytes;
        } else if (is_bytes(&field, 3)) {
            head->unit = field.bytes;
        } else if (field.wire == PROTOBUF_BYTES && (field.number == 5 || field.number == 7 ||
                                                    (field.number >= 9 && field.number <= 11))) {
            head->kind = field.number;
            head->data = field.bytes;
        }
    }
    return message.broken ? otlp_broken(&context->reader, "a metric") : ERR_NONE;
}

static enum err describe(struct context *context, const struct metric_head *head,
                         enum metric_kind kind)
{
    struct buf unit CLEANUP(buf_done) = {0};

    otlp_unit_name(head->unit, &unit);
    struct metric_info info = {
        .name = context->name, .unit = buf_view(&unit), .help = head->description, .kind = kind};
    if (!str_is_utf8(info.help))
        info.help = STR("");
    return batch_info(context->out, &info, context->reader.why);
}

static enum err read_metric(struct context *context, struct str bytes)
{
    struct buf name CLEANUP(buf_done) = {0};
    struct metric_head head;
    enum metric_kind kind = METRIC_GAUGE;
    enum point_kind points = POINT_NUMBER;
    enum otlp_name_kind name_kind = OTLP_NAME_OTHER;

    TRY(read_head(context, bytes, &head));
    if (head.kind == 0)
        return ERR_NONE;
    TRY(read_shape(context, head.data));
    if (head.kind == 5) {
        context->is_delta = false;
        name_kind = OTLP_NAME_GAUGE;
    } else if (head.kind == 7) {
        kind = context->is_monotonic ? METRIC_COUNTER : METRIC_GAUGE;
        name_kind = context->is_monotonic ? OTLP_NAME_COUNTER : OTLP_NAME_OTHER;
    } else if (head.kind == 9) {
        kind = METRIC_HISTOGRAM;
        points = POINT_HISTOGRAM;
    } else if (head.kind == 10) {
        kind = METRIC_SKETCH;
        points = POINT_EXPONENTIAL;
    } else {
        kind = METRIC_SUMMARY;
        points = POINT_SUMMARY;
    }
    otlp_metric_name(head.name, head.unit, name_kind, &name);
    context->name = keep(context, &name);
    if (context->name.data == NULL)
        return arena_spent(context->out->arena, "the message", context->reader.why);
    TRY(describe(context, &head, kind));
    return read_points(context, points, head.data);
}

static enum err read_scope_metrics(struct context *context, struct str bytes)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;

    while (protobuf_next(&message, &field)) {
        if (is_bytes(&field, 2))
            TRY(read_metric(context, field.bytes));
    }
    return message.broken ? otlp_broken(&context->reader, "the metrics of a scope") : ERR_NONE;
}

static bool is_identity(struct str key)
{
    return str_eq(key, STR("service.name")) || str_eq(key, STR("service.namespace")) ||
           str_eq(key, STR("service.instance.id"));
}

/* target_info: what else is known of the sender, once a message. */
static enum err emit_target(struct context *context)
{
    struct attribute others[INFO_PAIRS_MAX];
    struct attributes rest = {others, 0, 0};
    struct label pairs[LABEL_COUNT_MAX];
    size_t count = context->base_count;

    for (size_t i = 0; i < context->resource.attributes.count; i++) {
        const struct attribute *item = &context->resource.attributes.items[i];
        if (!is_identity(item->key) && rest.count < LABELS_MAX - count)
            others[rest.count++] = *item;
    }
    if (context->base_count == 0 || rest.count == 0 || context->newest_ms == 0)
        return ERR_NONE;
    context->name = STR("target_info");
    memcpy(pairs, context->base, count * sizeof(*pairs));
    TRY(add_labels(context, &rest, pairs, &count));
    struct metric_info info = {.name = context->name,
                               .unit = STR(""),
                               .help = STR("What is known of the sender."),
                               .kind = METRIC_GAUGE};
    TRY(batch_info(context->out, &info, context->reader.why));
    return emit(context, pairs, count, "", none, context->newest_ms, 1, false);
}

static enum err read_resource_metrics(struct context *context, struct str bytes)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;

    context->resource = (struct resource){0};
    context->newest_ms = 0;
    while (protobuf_next(&message, &field)) {
        if (is_bytes(&field, 1))
            TRY(otlp_read_resource(&context->reader, field.bytes, &context->resource));
    }
    if (message.broken)
        return otlp_broken(&context->reader, "the metrics of a resource");
    TRY(set_base(context));
    message = protobuf_of(bytes);
    while (protobuf_next(&message, &field)) {
        if (is_bytes(&field, 2))
            TRY(read_scope_metrics(context, field.bytes));
    }
    return emit_target(context);
}

static enum err read_request(struct context *context, struct str bytes)
{
    struct protobuf message = protobuf_of(bytes);
    struct protobuf_field field;

    while (protobuf_next(&message, &field)) {
        if (is_bytes(&field, 1))
            TRY(read_resource_metrics(context, field.bytes));
    }
    return message.broken ? otlp_broken(&context->reader, "the export request") : ERR_NONE;
}

enum err otlp_read_metrics(struct otlp_metrics *metrics, struct str message, struct batch *out,
                           struct why *why)
{
    struct context context = {.metrics = metrics, .out = out};

    batch_hold(out, metrics->pool);
    otlp_reader_init(&context.reader, out->arena, why);
    enum err err = message.size == 0 ? ERR_NONE : read_request(&context, message);
    otlp_reader_done(&context.reader);
    return err;
}
