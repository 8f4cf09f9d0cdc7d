/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and differences of counters. The counters in front of the histograms are an unbroken run of
 * uint64_t, which the loops below rely on and the assertions hold. */
#include "load/tally.h"

#include <stddef.h>
#include <string.h>

enum {
    TALLY_COUNTERS = offsetof(struct tally, latency) / sizeof(uint64_t),
    LINKS_COUNTERS = offsetof(struct tally_links, backlog_max) / sizeof(uint64_t),
};

_Static_assert(TALLY_COUNTERS == 5 + FAULT_COUNT + TALLY_STATUS_MAX, "counters stand in a row");
_Static_assert(LINKS_COUNTERS == 8, "counters stand in a row");

void tally_clear(struct tally *tally)
{
    memset(tally, 0, offsetof(struct tally, latency));
    histogram_clear(&tally->latency);
    histogram_clear(&tally->service);
    histogram_clear(&tally->first_byte);
}

void tally_links_clear(struct tally_links *links)
{
    memset(links, 0, offsetof(struct tally_links, dns));
    histogram_clear(&links->dns);
    histogram_clear(&links->connect);
    histogram_clear(&links->tls);
    histogram_clear(&links->lateness);
    histogram_clear(&links->queued);
}

void tally_merge(struct tally *into, const struct tally *from)
{
    uint64_t *sums = &into->requests;
    const uint64_t *more = &from->requests;

    for (size_t i = 0; i < TALLY_COUNTERS; i++)
        sums[i] += more[i];
    histogram_merge(&into->latency, &from->latency);
    histogram_merge(&into->service, &from->service);
    histogram_merge(&into->first_byte, &from->first_byte);
}

void tally_links_merge(struct tally_links *into, const struct tally_links *from)
{
    uint64_t *sums = &into->connects;
    const uint64_t *more = &from->connects;

    for (size_t i = 0; i < LINKS_COUNTERS; i++)
        sums[i] += COUNTER_GET(more[i]);
    /* Threads reach their longest queues at about the same time, when the target stalls. */
    into->backlog_max += COUNTER_GET(from->backlog_max);
    into->backlog += COUNTER_GET(from->backlog);
    into->users_active += COUNTER_GET(from->users_active);
    into->connections_open += COUNTER_GET(from->connections_open);
    histogram_merge(&into->dns, &from->dns);
    histogram_merge(&into->connect, &from->connect);
    histogram_merge(&into->tls, &from->tls);
    histogram_merge(&into->lateness, &from->lateness);
    histogram_merge(&into->queued, &from->queued);
}

void tally_drain(const struct tally *live, struct tally *seen, struct tally *into)
{
    const uint64_t *counts = &live->requests;
    uint64_t *old = &seen->requests;
    uint64_t *sums = &into->requests;

    for (size_t i = 0; i < TALLY_COUNTERS; i++) {
        uint64_t count = COUNTER_GET(counts[i]);
        sums[i] += count - old[i];
        old[i] = count;
    }
    histogram_drain(&live->latency, &seen->latency, &into->latency);
    histogram_drain(&live->service, &seen->service, &into->service);
    histogram_drain(&live->first_byte, &seen->first_byte, &into->first_byte);
}
