/* SPDX-License-Identifier: Apache-2.0 */
/* Both formats look alike; they differ in what a counter is called. In OpenMetrics the metric is
 * "http_requests" and its sample "http_requests_total"; in Prometheus' text both are
 * "http_requests_total". A counter without that ending is no counter to OpenMetrics: it is told as
 * unknown there. OpenMetrics says seconds where Prometheus says milliseconds. */
#include "codec/prometheus_write.h"

#include "base/map.h"

#include <inttypes.h>
#include <stdlib.h>

#define TOTAL STR("_total")

const char *prometheus_content_type(enum prometheus_format format)
{
    return format == PROMETHEUS_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

enum prometheus_format prometheus_negotiate(struct str accept)
{
    return str_find_str(accept, STR("application/openmetrics-text")) >= 0 ? PROMETHEUS_OPENMETRICS
                                                                          : PROMETHEUS_TEXT;
}

static void write_help(struct buf *out, struct str help, bool quotes)
{
    for (size_t i = 0; i < help.size; i++) {
        char c = help.data[i];
        if (c == '\n') {
            buf_text(out, "\\n");
            continue;
        }
        if (c == '\\' || (quotes && c == '"'))
            buf_byte(out, '\\');
        buf_byte(out, (uint8_t)c);
    }
}

static const char *kind_name(enum prometheus_format format, const struct metric_info *info)
{
    if (format == PROMETHEUS_OPENMETRICS) {
        if (info->kind == METRIC_COUNTER && !str_ends(info->name, TOTAL))
            return "unknown";
        return info->kind == METRIC_UNKNOWN ? "unknown" : metric_kind_name(info->kind);
    }
    return info->kind == METRIC_UNKNOWN ? "untyped" : metric_kind_name(info->kind);
}

void prometheus_write_info(struct buf *out, enum prometheus_format format,
                           const struct metric_info *info)
{
    struct str name = info->name;
    bool open = format == PROMETHEUS_OPENMETRICS;

    if (open && info->kind == METRIC_COUNTER && str_ends(name, TOTAL))
        name.size -= TOTAL.size;
    if (info->help.size > 0) {
        buf_printf(out, "# HELP %.*s ", STR_ARG(name));
        write_help(out, info->help, open);
        buf_byte(out, '\n');
    }
    buf_printf(out, "# TYPE %.*s %s\n", STR_ARG(name), kind_name(format, info));
    /* OpenMetrics wants the name to end with the unit. */
    if (open && info->unit.size > 0 && str_ends(name, info->unit))
        buf_printf(out, "# UNIT %.*s %.*s\n", STR_ARG(name), STR_ARG(info->unit));
}

void prometheus_write_sample(struct buf *out, enum prometheus_format format,
                             const struct labels *labels, double value, int64_t time_ms)
{
    labels_write(out, labels);
    buf_byte(out, ' ');
    out->size += str_from_double(buf_reserve(out, STR_DOUBLE_SIZE), value);
    if (time_ms >= 0 && format == PROMETHEUS_OPENMETRICS)
        buf_printf(out, " %" PRId64 ".%03" PRId64, time_ms / 1000, time_ms % 1000);
    else if (time_ms >= 0)
        buf_printf(out, " %" PRId64, time_ms);
    buf_byte(out, '\n');
}

void prometheus_write_end(struct buf *out, enum prometheus_format format)
{
    if (format == PROMETHEUS_OPENMETRICS)
        buf_text(out, "# EOF\n");
}

static int compare_samples(const void *left, const void *right)
{
    const struct sample *a = left;
    const struct sample *b = right;
    int order = str_compare(labels_get(a->labels, LABEL_NAME), labels_get(b->labels, LABEL_NAME));

    if (order == 0)
        order = labels_compare(a->labels, b->labels);
    return order != 0 ? order : (a->time_ms > b->time_ms) - (a->time_ms < b->time_ms);
}

static const struct metric_info *base_info(const struct map *by_name, struct str name,
                                           struct str suffix)
{
    if (!str_ends(name, suffix))
        return NULL;
    name.size -= suffix.size;
    const struct metric_info *info = map_get(by_name, name);
    bool whole = info != NULL && (info->kind == METRIC_HISTOGRAM || info->kind == METRIC_SKETCH ||
                                  info->kind == METRIC_SUMMARY);
    return whole ? info : NULL;
}

/* The info of a sample's metric, or NULL. */
static const struct metric_info *info_of(const struct map *by_name, struct str name)
{
    static const struct str suffixes[] = {STR("_bucket"), STR("_sum"), STR("_count")};
    const struct metric_info *info = map_get(by_name, name);

    for (size_t i = 0; info == NULL && i < ARRAY_COUNT(suffixes); i++)
        info = base_info(by_name, name, suffixes[i]);
    return info;
}

/* Names sort "x_bucket", "x_count", "x_sum" with other metrics between them; a histogram must stand
 * together, so samples are put in order of their metric's name first. */
struct keyed {
    struct str family;
    struct sample sample;
    const struct metric_info *info;
};

static int compare_keyed(const void *left, const void *right)
{
    const struct keyed *a = left;
    const struct keyed *b = right;
    int order = str_compare(a->family, b->family);

    return order != 0 ? order : compare_samples(&a->sample, &b->sample);
}

void prometheus_write(struct buf *out, enum prometheus_format format,
                      const struct metric_info *infos, size_t info_count,
                      const struct sample *samples, size_t sample_count, bool times)
{
    struct map by_name CLEANUP(map_done) = {0};
    struct buf memory CLEANUP(buf_done) = {0};
    struct keyed *keyed = (struct keyed *)buf_reserve(&memory, (sample_count + 1) * sizeof(*keyed));
    size_t count = 0;
    struct str family = STR_NONE;

    for (size_t i = 0; i < info_count; i++)
        (void)map_put(&by_name, infos[i].name, (void *)&infos[i]); /* The last one counts. */
    for (size_t i = 0; i < sample_count; i++) {
        if (metric_is_stale(samples[i].value))
            continue;
        struct str name = labels_get(samples[i].labels, LABEL_NAME);
        const struct metric_info *info = info_of(&by_name, name);
        keyed[count++] = (struct keyed){info == NULL ? name : info->name, samples[i], info};
    }
    qsort(keyed, count, sizeof(*keyed), compare_keyed);
    for (size_t i = 0; i < count; i++) {
        if (family.data == NULL || !str_eq(family, keyed[i].family)) {
            struct metric_info untyped = {.name = keyed[i].family};
            family = keyed[i].family;
            prometheus_write_info(out, format, keyed[i].info == NULL ? &untyped : keyed[i].info);
        }
        prometheus_write_sample(out, format, keyed[i].sample.labels, keyed[i].sample.value,
                                times ? keyed[i].sample.time_ms : -1);
    }
    prometheus_write_end(out, format);
}
