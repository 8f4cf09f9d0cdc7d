/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_metrics - OpenTelemetry's metrics as Prometheus' series.
 *
 * Names and labels are those that Prometheus' own OTLP receiver gives: dots become underscores, the
 * unit and _total are appended; job is service.namespace/service.name, instance is
 * service.instance.id, and target_info carries the other attributes of the resource. Histograms
 * become _bucket, _sum and _count; exponential ones become a sketch; sums of deltas are added up.
 *
 * One thread at a time per object; it serves one tenant. */
#pragma once
#include "codec/otlp.h"

struct otlp_metrics;

/* budget_bytes bounds what is remembered: label sets, and the totals of series sent as deltas. */
struct otlp_metrics *otlp_metrics_new(size_t budget_bytes);
struct otlp_metrics *otlp_metrics_free(struct otlp_metrics *metrics); /* Always returns NULL. */

/* Appends samples, sketches and descriptions of an ExportMetricsServiceRequest. */
CHECKED enum err otlp_read_metrics(struct otlp_metrics *metrics, struct str message,
                                   struct batch *out, struct why *why);
