/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_write - samples as exposition text: Prometheus 0.0.4 or OpenMetrics 1.0.
 *
 * Writes what `promtool check metrics` parses: one block per metric, HELP and TYPE before its
 * samples. Any thread; the caller owns everything. */
#pragma once
#include "base/buf.h"
#include "model/metric.h"

enum prometheus_format {
    PROMETHEUS_TEXT,
    PROMETHEUS_OPENMETRICS,
};

/* The value of the HTTP header Content-Type. */
const char *prometheus_content_type(enum prometheus_format format);

/* What the header Accept asks for. Text unless OpenMetrics is named. */
enum prometheus_format prometheus_negotiate(struct str accept);

/* "# HELP …", "# TYPE …" and, for OpenMetrics, "# UNIT …". */
void prometheus_write_info(struct buf *out, enum prometheus_format format,
                           const struct metric_info *info);

/* One line. time_ms < 0: without a time. */
void prometheus_write_sample(struct buf *out, enum prometheus_format format,
                             const struct labels *labels, double value, int64_t time_ms);

/* "# EOF" for OpenMetrics, else nothing. */
void prometheus_write_end(struct buf *out, enum prometheus_format format);

/* A whole document: sorts the samples by metric and labels, puts each under the info of its
 * name (or of the histogram or summary that it belongs to; untyped without one), leaves stale
 * markers out. infos may repeat a name; the last one counts. */
void prometheus_write(struct buf *out, enum prometheus_format format,
                      const struct metric_info *infos, size_t info_count,
                      const struct sample *samples, size_t sample_count, bool times);
