/* SPDX-License-Identifier: Apache-2.0 */
/* account - keeps an outcome while a run goes on, interval by interval: whoever learns what came
 * (the engine from its drivers, agents.h from other machines) adds it step by step, and closes the
 * interval.
 *
 * One thread. */
#pragma once
#include "load/outcome.h"

struct account {
    const struct plan *plan;
    struct outcome *outcome;
    struct tally *interval;                /* What the interval brought. */
    struct stream_tally *streams_interval; /* The same of token streams, or NULL. */
    int64_t interval_ns;                   /* How long one is meant to be. */
    int64_t point_ns;                      /* End of the last one, since the start of the clock. */
};

/* Begins the outcome, all zero before, of the plan; both outlive the account. */
void account_open(struct account *account, const struct plan *plan, struct outcome *ret_outcome);
void account_close(struct account *account); /* The outcome stays. */

/* What came to a step since the last time; streams may be NULL. */
void account_add(struct account *account, size_t step, const struct tally *tally,
                 const struct stream_tally *streams);
/* The interval ends at until_ns since the start of the clock; outcome->links is up to date. */
void account_end_interval(struct account *account, int64_t until_ns);
