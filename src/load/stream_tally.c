/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and differences, as in tally.c: the counters in front are an unbroken run of uint64_t. */
#include "load/stream_tally.h"

#include <stddef.h>

enum { COUNTERS = offsetof(struct stream_tally, ttft) / sizeof(uint64_t) };

_Static_assert(COUNTERS == 7, "counters stand in a row");

static bool is_kept(int64_t measured_ns, int64_t bound_ns)
{
    return bound_ns == 0 || measured_ns <= bound_ns;
}

void stream_tally_add(struct stream_tally *tally, const struct stream *stream, int64_t sent_ns,
                      const struct slo *slo)
{
    int64_t ttft_ns = stream->first_ns - sent_ns;
    int64_t e2e_ns = stream->last_ns - sent_ns;
    uint64_t tokens = stream_tokens(stream);
    int64_t tpot_ns = tokens > 1 ? (e2e_ns - ttft_ns) / (int64_t)(tokens - 1) : 0;

    COUNTER_ADD(tally->streams, 1);
    COUNTER_ADD(tally->chunks, stream->chunks);
    COUNTER_ADD(tally->tokens_in, stream_tokens_in(stream));
    COUNTER_ADD(tally->tokens_cached, stream_tokens_cached(stream));
    COUNTER_ADD(tally->tokens_out, tokens);
    COUNTER_ADD(tally->told, stream->told);
    histogram_add(&tally->ttft, ttft_ns);
    histogram_add(&tally->e2e, e2e_ns);
    if (tokens > 1)
        histogram_add(&tally->tpot, tpot_ns);
    if (is_kept(ttft_ns, slo->ttft_ns) && is_kept(tpot_ns, slo->tpot_ns) &&
        is_kept(e2e_ns, slo->e2e_ns))
        COUNTER_ADD(tally->good, 1);
}

void stream_tally_merge(struct stream_tally *into, const struct stream_tally *from)
{
    uint64_t *sums = &into->streams;
    const uint64_t *more = &from->streams;

    for (size_t i = 0; i < COUNTERS; i++)
        sums[i] += more[i];
    histogram_merge(&into->ttft, &from->ttft);
    histogram_merge(&into->gap, &from->gap);
    histogram_merge(&into->tpot, &from->tpot);
    histogram_merge(&into->e2e, &from->e2e);
}

void stream_tally_drain(const struct stream_tally *live, struct stream_tally *seen,
                        struct stream_tally *into)
{
    const uint64_t *counts = &live->streams;
    uint64_t *old = &seen->streams;
    uint64_t *sums = &into->streams;

    for (size_t i = 0; i < COUNTERS; i++) {
        uint64_t count = COUNTER_GET(counts[i]);
        sums[i] += count - old[i];
        old[i] = count;
    }
    histogram_drain(&live->ttft, &seen->ttft, &into->ttft);
    histogram_drain(&live->gap, &seen->gap, &into->gap);
    histogram_drain(&live->tpot, &seen->tpot, &into->tpot);
    histogram_drain(&live->e2e, &seen->e2e, &into->e2e);
}

double stream_tally_cost(const struct stream_tally *tally, const struct price *price)
{
    double cached = (double)tally->tokens_cached;
    double fresh = (double)tally->tokens_in - cached;
    double cached_price = price->cached > 0 ? price->cached : price->input;

    return (fresh * price->input + cached * cached_price +
            (double)tally->tokens_out * price->output) /
           1e6;
}
