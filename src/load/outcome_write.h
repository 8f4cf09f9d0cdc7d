/* SPDX-License-Identifier: Apache-2.0 */
/* outcome_write - an outcome as machines and people read it. One thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "load/outcome.h"

struct document;
struct judgement;

/* One JSON object. Its names are an interface: `requests`, `errors`, `latency_ms` and
 * `service_time_ms` with their percentiles, `errors_by_kind`, `generator`, `timeline`, `steps`.
 * judgement may be NULL. */
void outcome_write_json(const struct outcome *outcome, const struct judgement *judgement,
                        struct buf *out);

/* The same as a document (document/document.h), the caller's to free. */
struct document *outcome_document(const struct outcome *outcome, const struct judgement *judgement);

/* JUnit XML: a test case for each criterion, and one for the run itself. */
void outcome_write_junit(const struct outcome *outcome, const struct judgement *judgement,
                         struct buf *out);

/* A share of the seconds, as CSV with a head: one line an interval. */
void outcome_write_csv(const struct outcome *outcome, struct buf *out);

/* The percentiles that are told everywhere. */
struct outcome_quantile {
    const char *name; /* "p99.9" */
    double q;
};
enum { OUTCOME_QUANTILES = 7 };
extern const struct outcome_quantile outcome_quantiles[OUTCOME_QUANTILES];
