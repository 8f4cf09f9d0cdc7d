/* SPDX-License-Identifier: Apache-2.0 */
/* Exposition text with times, as `promtool tsdb create-blocks-from` and import routes read it. A
 * series that an expression made has lost its name and gets the report's; characters that no
 * metric name may have become '_'. */
#include "report/report.h"

#include "codec/prometheus_write.h"
#include "model/label.h"

static struct str metric_name(struct arena *arena, struct str name)
{
    struct str copied = arena_str(arena, name);
    char *at = (char *)copied.data;

    for (size_t i = 0; copied.data != NULL && i < copied.size; i++) {
        bool is_letter =
            ((at[i] | 0x20) >= 'a' && (at[i] | 0x20) <= 'z') || at[i] == '_' || at[i] == ':';
        bool is_digit = at[i] >= '0' && at[i] <= '9';
        if (!is_letter && (!is_digit || i == 0))
            at[i] = '_';
    }
    return copied;
}

/* The labels of the series with a name among them. */
static enum err named_labels(const struct report_series *series, struct arena *arena,
                             const struct labels **ret_labels, struct why *why)
{
    struct label pairs[LABEL_COUNT_MAX + 1];
    struct label label;
    size_t count = 0;
    size_t at = 0;

    if (series->labels != NULL && labels_get(series->labels, LABEL_NAME).size > 0) {
        *ret_labels = series->labels;
        return ERR_NONE;
    }
    pairs[count++] = (struct label){LABEL_NAME, metric_name(arena, series->name)};
    while (series->labels != NULL && count < ARRAY_COUNT(pairs) &&
           labels_next(series->labels, &at, &label))
        pairs[count++] = label;
    TRY(labels_arrange(pairs, count, &count, why));
    void *memory = arena_alloc(arena, labels_size(pairs, count));
    if (memory == NULL)
        return arena_spent(arena, "the report", why);
    *ret_labels = labels_build(memory, pairs, count);
    return ERR_NONE;
}

static enum err prometheus_report_write(const struct report_data *data, struct arena *arena,
                                        struct buf *out, struct why *why)
{
    size_t total = report_points_count(data);
    struct sample *samples = ARENA_ARRAY(arena, total + 1, struct sample);
    size_t count = 0;

    if (samples == NULL)
        return arena_spent(arena, "the report", why);
    for (size_t i = 0; i < data->count; i++) {
        const struct report_series *series = &data->series[i];
        const struct labels *labels;
        TRY(named_labels(series, arena, &labels, why));
        for (size_t j = 0; j < series->count; j++)
            samples[count++] = (struct sample){labels, series->times_ms[j], series->values[j]};
    }
    prometheus_write(out, PROMETHEUS_TEXT, NULL, 0, samples, count, true);
    return ERR_NONE;
}

const struct report_kind report_prometheus = {
    .name = "prometheus",
    .summary = "Prometheus' text format with times.",
    .media_type = "text/plain; version=0.0.4; charset=utf-8",
    .suffix = ".prom",
    .write = prometheus_report_write,
};
