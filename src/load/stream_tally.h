/* SPDX-License-Identifier: Apache-2.0 */
/* stream_tally - what one thread counts of token streams, beside the tally of their requests.
 *
 * Reads like tally.h: one thread counts, others may drain meanwhile. Times run from the first byte
 * sent. What counts as good keeps all promises of the plan's slo. */
#pragma once
#include "load/histogram.h"
#include "load/plan.h"
#include "load/stream.h"

struct stream_tally {
    uint64_t streams; /* Complete, with at least one token. */
    uint64_t good;    /* Of those: keep every promise. */
    uint64_t chunks;  /* With tokens. */
    uint64_t tokens_in;
    uint64_t tokens_cached;
    uint64_t tokens_out;
    uint64_t told;         /* Streams that told their tokens themselves. */
    struct histogram ttft; /* To the first token chunk. */
    struct histogram gap;  /* Between token chunks. */
    struct histogram tpot; /* (e2e - ttft) / (tokens out - 1), of streams with two or more. */
    struct histogram e2e;  /* To the last token chunk. */
};

/* A complete stream whose request was sent at sent_ns. */
void stream_tally_add(struct stream_tally *tally, const struct stream *stream, int64_t sent_ns,
                      const struct slo *slo);

void stream_tally_merge(struct stream_tally *into, const struct stream_tally *from);
void stream_tally_drain(const struct stream_tally *live, struct stream_tally *seen,
                        struct stream_tally *into);

/* US dollars; 0 without prices. */
double stream_tally_cost(const struct stream_tally *tally, const struct price *price);
