/* SPDX-License-Identifier: Apache-2.0 */
/* Both formats look alike; they differ in what a counter is called. In OpenMetrics the metric is
 * "http_requests" and its sample "http_requests_total"; in Prometheus' text both are
 * "http_requests_total". A counter without that ending is no counter to OpenMetrics: it is told as
 * unknown there. OpenMetrics says seconds where Prometheus says milliseconds.
 *
 * Names may be any text since Prometheus 3, but not every reader knows it: whatever is no letter,
 * digit or '_' (or ':' in a metric's name) is written as '_'. Samples are sorted by the names as
 * written, so that two which become one there still stand under one TYPE line. */
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

/* --- names ----------------------------------------------------------------------------------- */

static bool is_plain(char c, bool first, bool is_metric)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (c == ':' && is_metric) || (c >= '0' && c <= '9' && !first);
}

/* The name as it is written, a byte at a time; '\0' at its end. */
struct plain_name {
    struct str name;
    size_t at;
    bool is_metric;
};

static char plain_next(struct plain_name *plain)
{
    if (plain->at >= plain->name.size)
        return '\0';
    char c = plain->name.data[plain->at++];
    if (is_plain(c, plain->at == 1, plain->is_metric))
        return c;
    /* One '_' for all bytes of a character. */
    while (plain->at < plain->name.size && (plain->name.data[plain->at] & 0xc0) == 0x80)
        plain->at++;
    return '_';
}

static void write_name(struct buf *out, struct str name, bool is_metric)
{
    struct plain_name plain = {name, 0, is_metric};

    for (char c = plain_next(&plain); c != '\0'; c = plain_next(&plain))
        buf_byte(out, (uint8_t)c);
}

static int compare_names(struct str left, struct str right)
{
    struct plain_name a = {left, 0, true};
    struct plain_name b = {right, 0, true};

    if (str_eq(left, right))
        return 0;
    for (;;) {
        char one = plain_next(&a);
        char two = plain_next(&b);
        if (one != two || one == '\0')
            return (one > two) - (one < two);
    }
}

/* --- lines ----------------------------------------------------------------------------------- */

static void write_escaped(struct buf *out, struct str text, bool quotes)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
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
        buf_text(out, "# HELP ");
        write_name(out, name, true);
        buf_byte(out, ' ');
        write_escaped(out, info->help, open);
        buf_byte(out, '\n');
    }
    buf_text(out, "# TYPE ");
    write_name(out, name, true);
    buf_printf(out, " %s\n", kind_name(format, info));
    /* OpenMetrics wants the name to end with the unit. */
    if (open && info->unit.size > 0 && str_ends(name, info->unit)) {
        buf_text(out, "# UNIT ");
        write_name(out, name, true);
        buf_byte(out, ' ');
        write_name(out, info->unit, true);
        buf_byte(out, '\n');
    }
}

static void write_labels(struct buf *out, const struct labels *labels)
{
    struct label label;
    char before = '{';

    write_name(out, labels_get(labels, LABEL_NAME), true);
    for (size_t at = 0; labels_next(labels, &at, &label);) {
        if (str_eq(label.name, LABEL_NAME))
            continue;
        buf_byte(out, (uint8_t)before);
        before = ',';
        write_name(out, label.name, false);
        buf_text(out, "=\"");
        write_escaped(out, label.value, true);
        buf_byte(out, '"');
    }
    if (before == ',')
        buf_byte(out, '}');
}

void prometheus_write_sample(struct buf *out, enum prometheus_format format,
                             const struct labels *labels, double value, int64_t time_ms)
{
    write_labels(out, labels);
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
    int order = compare_names(labels_get(a->labels, LABEL_NAME), labels_get(b->labels, LABEL_NAME));

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
    int order = compare_names(a->family, b->family);

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
        if (family.data == NULL || compare_names(family, keyed[i].family) != 0) {
            struct metric_info untyped = {.name = keyed[i].family};
            family = keyed[i].family;
            prometheus_write_info(out, format, keyed[i].info == NULL ? &untyped : keyed[i].info);
        }
        prometheus_write_sample(out, format, keyed[i].sample.labels, keyed[i].sample.value,
                                times ? keyed[i].sample.time_ms : -1);
    }
    prometheus_write_end(out, format);
}
