/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_metrics_write - samples as an ExportMetricsServiceRequest: the way back of otlp_metrics.
 *
 * A sample says nothing of what its metric is; that is told now and then by a batch's infos, which
 * the writer remembers. Counters become cumulative sums, the series of a histogram or summary that
 * stand together become one data point, sketches become exponential histograms (deltas, which hold
 * what their "_sum" and "_count" series say), everything else is a gauge. job and instance become
 * service.name and service.instance.id. One thread at a time. */
#pragma once
#include "codec/otlp.h"

struct otlp_metrics_writer;

/* budget_bytes bounds what is remembered; metrics beyond it are told by their names: "…_total". */
struct otlp_metrics_writer *otlp_metrics_writer_new(size_t budget_bytes);
struct otlp_metrics_writer *otlp_metrics_writer_free(struct otlp_metrics_writer *writer);

/* Appends the samples [from, from + count) of the batch. */
void otlp_write_samples(struct otlp_metrics_writer *writer, const struct batch *batch, size_t from,
                        size_t count, struct buf *out);
/* Returns how many: not those of what is a histogram with buckets as well. */
size_t otlp_write_sketches(struct otlp_metrics_writer *writer, const struct batch *batch,
                           struct buf *out);
/* First: what the batch says of metrics, and its exemplars, which are written with the samples and
 * sketches of their series. Until the next note only that batch is written. */
void otlp_metrics_writer_note(struct otlp_metrics_writer *writer, const struct batch *batch);
