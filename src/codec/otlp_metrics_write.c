/* SPDX-License-Identifier: Apache-2.0 */
/* Samples come as they were collected: those of one job and instance together, those of one metric
 * together, and the buckets, sum and count of a histogram one behind the other. So one pass that
 * looks at its neighbours is enough, and where they stand apart each is told by itself. */
#include "codec/otlp_metrics_write.h"

#include "base/map.h"
#include "codec/otlp_exemplars.h"
#include "sketch/quantile.h"

#include <math.h>
#include <stdlib.h>

enum {
    TEMPORALITY_DELTA = 1,
    TEMPORALITY_CUMULATIVE = 2,
    POINT_NO_VALUE = 1, /* A flag: the series ended. */
    BUCKETS_MAX = 512,  /* Of one point. */
};

struct otlp_metrics_writer {
    struct arena *arena;
    struct map infos; /* Name to struct metric_info. */
    /* Those of the batch that was noted last, by the place of their labels in memory. */
    const struct exemplar **exemplars;
    size_t exemplars_count;
    size_t exemplars_capacity;
};

struct otlp_metrics_writer *otlp_metrics_writer_new(size_t budget_bytes)
{
    struct otlp_metrics_writer *writer = calloc(1, sizeof(*writer));

    if (writer == NULL)
        must_memory(sizeof(*writer));
    writer->arena = arena_new(budget_bytes);
    return writer;
}

struct otlp_metrics_writer *otlp_metrics_writer_free(struct otlp_metrics_writer *writer)
{
    if (writer == NULL)
        return NULL;
    map_done(&writer->infos);
    arena_free(writer->arena);
    free(writer->exemplars);
    free(writer);
    return NULL;
}

static int compare_series(const void *a, const void *b)
{
    const struct exemplar *one = *(const struct exemplar *const *)a;
    const struct exemplar *two = *(const struct exemplar *const *)b;

    if (one->labels != two->labels)
        return (uintptr_t)one->labels < (uintptr_t)two->labels ? -1 : 1;
    return one < two ? -1 : one > two; /* As they came. */
}

static void note_exemplars(struct otlp_metrics_writer *writer, const struct batch *batch)
{
    size_t count = batch->exemplars.count;

    if (count > writer->exemplars_capacity) {
        free(writer->exemplars);
        writer->exemplars = calloc(count, sizeof(*writer->exemplars));
        if (writer->exemplars == NULL)
            must_memory(count * sizeof(*writer->exemplars));
        writer->exemplars_capacity = count;
    }
    for (size_t i = 0; i < count; i++)
        writer->exemplars[i] = &batch->exemplars.items[i];
    if (count > 1)
        qsort(writer->exemplars, count, sizeof(*writer->exemplars), compare_series);
    writer->exemplars_count = count;
}

void otlp_metrics_writer_note(struct otlp_metrics_writer *writer, const struct batch *batch)
{
    note_exemplars(writer, batch);
    for (size_t i = 0; i < batch->infos.count; i++) {
        const struct metric_info *info = &batch->infos.items[i];
        struct metric_info *known = map_get(&writer->infos, info->name);
        if (known != NULL) {
            known->kind = info->kind;
            continue;
        }
        struct metric_info *kept = ARENA_NEW(writer->arena, struct metric_info);
        struct str name = arena_str(writer->arena, info->name);
        struct str help = arena_str(writer->arena, info->help);
        if (kept == NULL || name.data == NULL || help.data == NULL)
            return; /* The budget is spent. */
        *kept = (struct metric_info){.name = name, .help = help, .kind = info->kind};
        (void)map_put(&writer->infos, name, kept); /* Was absent. */
    }
}

/* ---- What a series is part of. ---- */

/* The metric that the series `name` belongs to: "x" of "x_bucket" when x is a histogram. */
static const struct metric_info *info_of(const struct otlp_metrics_writer *writer, struct str name,
                                         struct str *ret_part)
{
    static const struct {
        const char *text;
        size_t size;
    } parts[] = {{"_bucket", 7}, {"_sum", 4}, {"_count", 6}};
    const struct metric_info *info = map_get(&writer->infos, name);

    *ret_part = STR("");
    for (size_t i = 0; info == NULL && i < ARRAY_COUNT(parts); i++) {
        struct str part = {parts[i].text, parts[i].size};
        if (!str_ends(name, part))
            continue;
        info = map_get(&writer->infos, (struct str){name.data, name.size - part.size});
        if (info != NULL && info->kind != METRIC_HISTOGRAM && info->kind != METRIC_SUMMARY)
            info = NULL;
        *ret_part = info == NULL ? STR("") : part;
    }
    return info;
}

/* "_sum" and "_count" of a sketch: its points have both. */
static bool is_of_sketch(const struct otlp_metrics_writer *writer, struct str name)
{
    size_t tail = str_ends(name, STR("_sum")) ? 4 : str_ends(name, STR("_count")) ? 6 : 0;
    const struct metric_info *info =
        tail == 0 ? NULL : map_get(&writer->infos, (struct str){name.data, name.size - tail});

    return info != NULL && info->kind == METRIC_SKETCH;
}

static bool is_counter(const struct metric_info *info, struct str name)
{
    return info == NULL || info->kind == METRIC_UNKNOWN ? str_ends(name, STR("_total"))
                                                        : info->kind == METRIC_COUNTER;
}

/* The next pair that is an attribute of the point. */
static bool next_attribute(const struct labels *labels, size_t *at, bool whole,
                           struct label *ret_label)
{
    while (labels_next(labels, at, ret_label)) {
        struct str name = ret_label->name;
        if (str_eq(name, LABEL_NAME) || str_eq(name, STR("job")) || str_eq(name, STR("instance")))
            continue;
        if (!whole || !(str_eq(name, STR("le")) || str_eq(name, STR("quantile"))))
            return true;
    }
    return false;
}

/* Equal but for the name and the bucket. */
static bool same_point(const struct labels *a, const struct labels *b)
{
    size_t at = 0;
    size_t other_at = 0;
    struct label label;
    struct label other;

    for (;;) {
        bool more = next_attribute(a, &at, true, &label);
        if (more != next_attribute(b, &other_at, true, &other))
            return false;
        if (!more)
            return true;
        if (!str_eq(label.name, other.name) || !str_eq(label.value, other.value))
            return false;
    }
}

static bool same_owner(const struct labels *a, const struct labels *b)
{
    return str_eq(labels_get(a, STR("job")), labels_get(b, STR("job"))) &&
           str_eq(labels_get(a, STR("instance")), labels_get(b, STR("instance")));
}

/* ---- Writing. ---- */

static void put_pair(struct buf *out, uint32_t number, struct str key, struct str text)
{
    const struct value value = {.kind = VALUE_TEXT, .text = text};
    size_t place = otlp_open(out, number);

    otlp_put_bytes(out, 1, key);
    otlp_put_value(out, 2, &value);
    otlp_close(out, place);
}

static void put_owner(struct buf *out, const struct labels *labels)
{
    struct str job = labels_get(labels, STR("job"));
    struct str instance = labels_get(labels, STR("instance"));
    size_t place = otlp_open(out, 1);

    if (job.size > 0)
        put_pair(out, 1, STR("service.name"), job);
    if (instance.size > 0)
        put_pair(out, 1, STR("service.instance.id"), instance);
    otlp_close(out, place);
}

static void put_point_attributes(struct buf *out, uint32_t number, const struct labels *labels,
                                 bool whole)
{
    size_t at = 0;
    struct label label;

    while (next_attribute(labels, &at, whole, &label))
        put_pair(out, number, label.name, label.value);
}

static uint64_t time_of(int64_t time_ms)
{
    return time_ms <= 0 ? 0 : (uint64_t)time_ms * 1000000;
}

/* Those of the series, into an open point. */
static void put_exemplars(const struct otlp_metrics_writer *writer, const struct labels *labels,
                          uint32_t number, struct buf *out)
{
    size_t from = 0;

    for (size_t to = writer->exemplars_count; from < to;) {
        size_t middle = from + (to - from) / 2;
        if ((uintptr_t)writer->exemplars[middle]->labels < (uintptr_t)labels)
            from = middle + 1;
        else
            to = middle;
    }
    while (from < writer->exemplars_count && writer->exemplars[from]->labels == labels)
        otlp_put_exemplar(out, number, writer->exemplars[from++]);
}

static void put_number_point(const struct otlp_metrics_writer *writer, const struct sample *sample,
                             struct buf *out)
{
    size_t place = otlp_open(out, 1);

    otlp_put_fixed64(out, 3, time_of(sample->time_ms));
    if (metric_is_stale(sample->value))
        otlp_put_varint(out, 8, POINT_NO_VALUE);
    else
        otlp_put_double(out, 4, sample->value);
    put_exemplars(writer, sample->labels, 5, out);
    put_point_attributes(out, 7, sample->labels, false);
    otlp_close(out, place);
}

/* The series of one point of a histogram or summary. */
struct point {
    const struct sample *first;
    size_t parts; /* How many from it on. */
    struct str base;
    double bounds[BUCKETS_MAX]; /* Or quantiles. */
    double values[BUCKETS_MAX];
    size_t count;
    double total; /* Of _count. */
    double sum;
    bool has_total;
    bool has_sum;
};

static bool take_part(struct point *point, const struct sample *sample, struct str part)
{
    struct str label = labels_get(sample->labels, part.size == 0 ? STR("quantile") : STR("le"));
    double bound;

    if (metric_is_stale(sample->value))
        return false;
    if (str_eq(part, STR("_sum"))) {
        point->sum = sample->value;
        point->has_sum = true;
        return true;
    }
    if (str_eq(part, STR("_count"))) {
        point->total = sample->value;
        point->has_total = true;
        return true;
    }
    if (point->count == BUCKETS_MAX || !str_to_double(label, &bound))
        return false;
    point->bounds[point->count] = bound;
    point->values[point->count++] = sample->value;
    return true;
}

/* How many samples from `samples` on make one point of a histogram or summary; 0: none. */
static size_t gather_point(const struct otlp_metrics_writer *writer, const struct sample *samples,
                           size_t count, struct point *point)
{
    const struct metric_info *metric = NULL;
    size_t taken = 0;

    *point = (struct point){.first = samples};
    for (; taken < count; taken++) {
        struct str part;
        const struct sample *sample = &samples[taken];
        const struct metric_info *info =
            info_of(writer, labels_get(sample->labels, LABEL_NAME), &part);
        bool is_whole =
            info != NULL &&
            (info->kind == METRIC_HISTOGRAM ? part.size > 0 : info->kind == METRIC_SUMMARY);
        if (!is_whole || (metric != NULL && info != metric) ||
            sample->time_ms != samples->time_ms || !same_owner(sample->labels, samples->labels) ||
            !same_point(sample->labels, samples->labels) || !take_part(point, sample, part))
            break;
        metric = info;
    }
    if (metric == NULL || !point->has_total || !(point->total >= 0 && point->total < 0x1p63))
        return 0;
    point->base = metric->name;
    point->parts = taken;
    return metric->kind == METRIC_HISTOGRAM && point->count == 0 ? 0 : taken;
}

static void put_point_head(struct buf *out, const struct point *point)
{
    otlp_put_fixed64(out, 3, time_of(point->first->time_ms));
    otlp_put_fixed64(out, 4, (uint64_t)point->total);
    if (point->has_sum)
        otlp_put_double(out, 5, point->sum);
}

/* Bounds ascend in every exposition; one that does not is told as it is, for the receiver. */
static void put_histogram(const struct otlp_metrics_writer *writer, const struct point *point,
                          struct buf *out)
{
    size_t metric = otlp_open(out, 9);
    size_t place = otlp_open(out, 1);
    double before = 0;

    put_point_head(out, point);
    size_t counts = otlp_open(out, 6);
    for (size_t i = 0; i < point->count; i++) {
        double own = point->values[i] - before;
        before = point->values[i];
        if (isfinite(point->bounds[i]) || point->bounds[i] < 0)
            buf_u64(out, own > 0 && own < 0x1p63 ? (uint64_t)own : 0);
    }
    /* What lies above the last bound. */
    size_t last = point->count - 1;
    double below = isfinite(point->bounds[last]) ? point->values[last]
                   : last > 0                    ? point->values[last - 1]
                                                 : 0;
    buf_u64(out, point->total > below ? (uint64_t)(point->total - below) : 0);
    otlp_close(out, counts);
    size_t bounds = otlp_open(out, 7);
    for (size_t i = 0; i < point->count; i++) {
        uint64_t bits;
        memcpy(&bits, &point->bounds[i], sizeof(bits));
        if (isfinite(point->bounds[i]) || point->bounds[i] < 0)
            buf_u64(out, bits);
    }
    otlp_close(out, bounds);
    for (size_t i = 0; i < point->parts; i++)
        put_exemplars(writer, point->first[i].labels, 8, out);
    put_point_attributes(out, 9, point->first->labels, true);
    otlp_close(out, place);
    otlp_put_varint(out, 2, TEMPORALITY_CUMULATIVE);
    otlp_close(out, metric);
}

static void put_summary(struct buf *out, const struct point *point)
{
    size_t metric = otlp_open(out, 11);
    size_t place = otlp_open(out, 1);

    put_point_head(out, point);
    for (size_t i = 0; i < point->count; i++) {
        size_t value = otlp_open(out, 6);
        otlp_put_double(out, 1, point->bounds[i]);
        otlp_put_double(out, 2, point->values[i]);
        otlp_close(out, value);
    }
    put_point_attributes(out, 7, point->first->labels, true);
    otlp_close(out, place);
    otlp_close(out, metric);
}

static size_t put_whole(const struct otlp_metrics_writer *writer, const struct sample *samples,
                        size_t count, struct buf *out)
{
    struct point point;
    size_t taken = gather_point(writer, samples, count, &point);

    if (taken == 0)
        return 0;
    const struct metric_info *info = map_get(&writer->infos, point.base);
    size_t place = otlp_open(out, 2);
    otlp_put_bytes(out, 1, point.base);
    otlp_put_text(out, 2, info->help);
    if (info->kind == METRIC_HISTOGRAM)
        put_histogram(writer, &point, out);
    else
        put_summary(out, &point);
    otlp_close(out, place);
    return taken;
}

/* Samples of one name, as a sum or a gauge. */
static size_t put_numbers(const struct otlp_metrics_writer *writer, const struct sample *samples,
                          size_t count, struct buf *out)
{
    struct str name = labels_get(samples->labels, LABEL_NAME);
    struct str part;
    const struct metric_info *info = info_of(writer, name, &part);
    bool counter = part.size == 0 && is_counter(info, name);
    size_t place = otlp_open(out, 2);
    size_t done = 0;

    otlp_put_bytes(out, 1, name);
    if (info != NULL)
        otlp_put_text(out, 2, info->help);
    size_t data = otlp_open(out, counter ? 7 : 5);
    do {
        put_number_point(writer, &samples[done++], out);
    } while (done < count && str_eq(labels_get(samples[done].labels, LABEL_NAME), name) &&
             same_owner(samples[done].labels, samples->labels));
    if (counter) {
        otlp_put_varint(out, 2, TEMPORALITY_CUMULATIVE);
        otlp_put_varint(out, 3, 1);
    }
    otlp_close(out, data);
    otlp_close(out, place);
    return done;
}

static size_t put_metric(const struct otlp_metrics_writer *writer, const struct sample *samples,
                         size_t count, struct buf *out)
{
    size_t taken = put_whole(writer, samples, count, out);

    return taken > 0 ? taken : put_numbers(writer, samples, count, out);
}

static size_t open_owner(struct buf *out, const struct labels *labels, size_t *ret_scope)
{
    size_t place = otlp_open(out, 1);

    put_owner(out, labels);
    *ret_scope = otlp_open(out, 2);
    size_t scope = otlp_open(out, 1);
    otlp_put_bytes(out, 1, STR("sonde"));
    otlp_close(out, scope);
    return place;
}

void otlp_write_samples(struct otlp_metrics_writer *writer, const struct batch *batch, size_t from,
                        size_t count, struct buf *out)
{
    const struct sample *samples = batch->samples.items + from;

    MUST(from + count <= batch->samples.count);
    for (size_t done = 0; done < count;) {
        const struct labels *owner = samples[done].labels;
        size_t scope;
        size_t place = open_owner(out, owner, &scope);
        size_t end = done;
        while (end < count && same_owner(samples[end].labels, owner))
            end++;
        while (done < end)
            done += is_of_sketch(writer, labels_get(samples[done].labels, LABEL_NAME))
                        ? 1
                        : put_metric(writer, samples + done, end - done, out);
        otlp_close(out, scope);
        otlp_close(out, place);
    }
}

/* What was added since the last one: a delta. */
static void put_sketch(const struct otlp_metrics_writer *writer, const struct sketch_sample *sample,
                       const struct quantile *sketch, struct buf *out)
{
    struct str name = labels_get(sample->labels, LABEL_NAME);
    const struct metric_info *info = map_get(&writer->infos, name);
    size_t scope;
    size_t owner = open_owner(out, sample->labels, &scope);
    size_t place = otlp_open(out, 2);

    otlp_put_bytes(out, 1, name);
    if (info != NULL)
        otlp_put_text(out, 2, info->help);
    size_t histogram = otlp_open(out, 10);
    size_t point = otlp_open(out, 1);
    otlp_put_fixed64(out, 3, time_of(sample->time_ms));
    otlp_put_sketch(out, sketch);
    put_exemplars(writer, sample->labels, 11, out);
    put_point_attributes(out, 1, sample->labels, false);
    otlp_close(out, point);
    otlp_put_varint(out, 2, TEMPORALITY_DELTA);
    otlp_close(out, histogram);
    otlp_close(out, place);
    otlp_close(out, scope);
    otlp_close(out, owner);
}

size_t otlp_write_sketches(struct otlp_metrics_writer *writer, const struct batch *batch,
                           struct buf *out)
{
    size_t written = 0;

    for (size_t i = 0; i < batch->sketches.count; i++) {
        const struct sketch_sample *sample = &batch->sketches.items[i];
        const struct metric_info *info =
            map_get(&writer->infos, labels_get(sample->labels, LABEL_NAME));
        struct quantile *sketch CLEANUP(quantile_freep) = NULL;
        if (info != NULL && info->kind == METRIC_HISTOGRAM)
            continue; /* It is told by its buckets; nothing is two kinds of histogram. */
        if (quantile_read(sample->sketch, &sketch, NULL) != ERR_NONE)
            continue; /* The store told. */
        put_sketch(writer, sample, sketch, out);
        written++;
    }
    return written;
}
