/* SPDX-License-Identifier: Apache-2.0 */
/* span_metrics - spans become metrics as they arrive, before any is sampled away: rate, errors and
 * durations by service, operation, kind and status; and the edges of the service map.
 *
 *     traces_span_metrics_calls_total{service,span_name,span_kind,status_code}
 *     traces_span_metrics_duration_seconds_{bucket,sum,count}{the same}
 *     traces_span_metrics_duration_seconds{the same}: sketches of what came since the one before
 *     traces_service_graph_request_total{client,server,connection_type}
 *     traces_service_graph_request_failed_total{the same}
 *     traces_service_graph_request_{client,server}_seconds_{bucket,sum,count}{the same}
 *
 * An edge is a client's span and the server's span that has it for its parent; they come in either
 * order, from different senders. A call to a database has only the client's half.
 *
 * Serves one tenant; one thread at a time. */
#pragma once
#include "base/err.h"
#include "model/batch.h"

#define SPAN_METRICS_SERIES_MAX 5000 /* Of spans; the rest is counted under one name. */
#define SPAN_METRICS_EDGES_MAX  2000
#define SPAN_METRICS_HALVES     65536      /* Waiting for their other half; a power of two. */
#define SPAN_METRICS_TEXT_MAX   256        /* Bytes of a name; longer ones are cut. */
#define SPAN_METRICS_OTHERS     "(others)" /* The name for what is over the bounds. */

struct span_metrics;

struct span_metrics *span_metrics_new(void);
struct span_metrics *span_metrics_free(struct span_metrics *metrics); /* Always returns NULL. */

void span_metrics_add(struct span_metrics *metrics, const struct span *spans, size_t count);

/* One series and what was counted of it since it was last told. The labels are borrowed for the
 * call: service, span_name, span_kind, status_code; of an edge client, server, connection_type. */
struct span_series {
    const struct label *labels;
    size_t labels_count;
    bool is_edge;
    uint64_t untold_calls;
};
typedef void span_metrics_visit(void *self, const struct span_series *series);
void span_metrics_each(const struct span_metrics *metrics, span_metrics_visit *visit, void *self);

/* Appends the samples of what has changed since the last call, of everything once in a minute;
 * classic buckets every ten seconds at most. To be called about each second. A series that is new
 * begins with zero a millisecond before, so that its first calls are an increase like any other. */
CHECKED enum err span_metrics_write(struct span_metrics *metrics, int64_t now_ms, struct batch *out,
                                    struct why *why);
