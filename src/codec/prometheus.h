/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus - reads exposition text, Prometheus 0.0.4 or OpenMetrics 1.0, into a batch.
 *
 * A sender repeats its series, so what a line calls its series is looked up by its bytes in a
 * label_memo; only what is new is parsed. An error names line and column; rows of the lines before
 * it are in the batch, which the caller then drops.
 *
 * Read leniently, as Prometheus does: blanks between words, comments, CRLF, a missing last newline.
 * Exemplars are passed over. Any thread, with a memo of its own. */
#pragma once
#include "base/err.h"
#include "codec/prometheus_write.h"
#include "model/batch.h"

struct prometheus_options {
    enum prometheus_format format;
    int64_t now_ms;           /* The time of samples that carry none. */
    const struct label *base; /* Put on every series; wins over a label of the same name … */
    size_t base_count;        /* … which then is kept as exported_<name>. */
    bool ignore_times;        /* All samples get now_ms. */
    bool describe;            /* Also read HELP, TYPE and UNIT into infos. */
};

#define PROMETHEUS_BASE_MAX 32

/* The format that a Content-Type names; text when it names none. */
enum prometheus_format prometheus_format_of(struct str content_type);

/* Appends the samples of text to the batch. The memo must serve one sender and one set of base
 * labels. `what` names the input in errors ("node.prom"). ERR_INVALID: a line cannot be read.
 * ERR_LIMIT: too many labels or rows. */
CHECKED enum err prometheus_read(struct str text, const char *what,
                                 const struct prometheus_options *options, struct label_memo *memo,
                                 struct batch *out, struct why *why);
