/* SPDX-License-Identifier: Apache-2.0 */
/* outcome_write - an outcome as machines and people read it. One thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "load/outcome.h"

struct document;
struct judgement;
struct table;

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

/* The suite alone, for those who put several into one file. */
void outcome_write_junit_suite(const struct outcome *outcome, const struct judgement *judgement,
                               struct buf *out);

/* A share of the seconds, as CSV with a head: one line an interval. */
void outcome_write_csv(const struct outcome *outcome, struct buf *out);

/* For those who write parts of these. */
struct json;
void outcome_add_histogram(struct json *json, const char *key, const struct histogram *histogram);
void outcome_add_phase(struct table *table, const char *name, const struct histogram *histogram);
struct table *outcome_phase_table(struct document *document, const char *key, const char *title);
/* Of the machines that made the load; nothing where it was this one. */
void outcome_add_agents(struct json *json, const struct outcome *outcome);
void outcome_document_agents(struct document *document, const struct outcome *outcome);
/* Of token streams; nothing where there were none. */
void outcome_add_streams(struct json *json, const struct outcome *outcome);
void outcome_document_streams(struct document *document, const struct outcome *outcome);
void outcome_document_streams_course(struct document *document, const struct outcome *outcome);

/* Of the stages of the load; nothing where it was one. */
void outcome_add_stages(struct json *json, const struct outcome *outcome);
void outcome_document_stages(struct document *document, const struct outcome *outcome);

/* The percentiles that are told everywhere. */
struct outcome_quantile {
    const char *name; /* "p99.9" */
    double q;
};
enum { OUTCOME_QUANTILES = 7 };
extern const struct outcome_quantile outcome_quantiles[OUTCOME_QUANTILES];
