/* SPDX-License-Identifier: Apache-2.0 */
/* sampler - which traces stay, when not all can: tail sampling.
 *
 * A trace stays when one of its spans failed, has an attribute that was asked for, is a request
 * slower than most of its operation, or is one of the first of its operation in this minute (so
 * that nothing rare is lost); of the rest, a share by trace id, the same share everywhere. The
 * first of these reasons is noted when the span arrives, long before the verdict is asked for.
 *
 * Verdicts are remembered for late spans, as many as SAMPLER_TRACES. Metrics that are made of spans
 * have counted everything before. The hub's writer thread; sampler_self from any. */
#pragma once
#include "hub/self.h"
#include "hub/sink.h"
#include "model/span.h"

#define SAMPLER_TRACES         (1u << 18) /* Whose verdict is remembered. */
#define SAMPLER_OPERATIONS_MAX 5000       /* Told apart; those beyond have no slow or rare ones. */
#define SAMPLER_RULES_MAX      64
#define SAMPLER_COUNT_MIN      100 /* Requests that tell what is slow. */

struct sampler_rule {
    struct str key;   /* Of the span or its resource. */
    struct str value; /* As text; data is NULL: any. */
};

struct sampler_options {
    double ratio;         /* Of the rest, 0 … 1. */
    double slow_quantile; /* A request above it is slow; 1: none is. */
    uint32_t rare_per_minute;
    uint32_t spans_max; /* Of a trace that stays; 0: no bound. */
    struct sampler_rule rules[SAMPLER_RULES_MAX];
    size_t rules_count;
};

struct sampler;

/* "key" or "key=value"; text lives as long as options. ERR_INVALID; ERR_LIMIT. */
CHECKED enum err sampler_add_rule(struct sampler_options *options, struct str text,
                                  struct why *why);

/* options are copied, the texts of the rules are not. */
struct sampler *sampler_new(const struct sampler_options *options);
struct sampler *sampler_free(struct sampler *sampler); /* Always returns NULL. */

/* Looks at the spans of each batch. Before the store, with the sampler as self. */
extern const struct sink_ops sampler_sink;

/* As the sink does with each span. self is the sampler. */
void sampler_note(void *self, const char *tenant, const struct span *span);
/* The verdict on its trace, for good but for spans that came later. */
bool sampler_keeps(void *self, const char *tenant, const struct span *span);

/* Its numbers; part is the sampler. */
CHECKED enum err sampler_self(void *part, struct self_report *report, struct why *why);
