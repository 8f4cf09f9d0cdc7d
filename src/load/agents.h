/* SPDX-License-Identifier: Apache-2.0 */
/* agents - one load, carried out by several machines: each has its part of the plan (plan.h), all
 * start at the same moment, and what they measure is added up here, bucket by bucket and second by
 * second, as if they were threads of this process.
 *
 * The same moment: every agent is told how long from now, less half of the time that a word and its
 * answer took, so that no clocks are compared. What they differ by is at most half of that time.
 *
 * Blocking; one thread. */
#pragma once
#include "load/engine.h"
#include "load/parcel.h"

struct agents_options {
    const struct str *names; /* "HOST" or "HOST:PORT", "[IPV6]:PORT". */
    size_t count;            /* 1 … PLAN_PARTS_MAX. */
    struct str secret;
    struct str version; /* Of this program; theirs must be the same. */
};

/* Is that the name of a place? ERR_INVALID. */
CHECKED enum err agents_check(const struct agents_options *options, struct why *why);

/* As engine_run; the plan is finished, with as many parts as there are agents, and parcel is what
 * it was made of. plan->threads becomes what all of them use. Of watch, start and brought are not
 * called. Before the start any agent that cannot is an error that names it, and nothing is
 * requested; one that is lost later is told in outcome->agents, and the others go on. */
CHECKED enum err agents_run(const struct agents_options *options, struct plan *plan,
                            struct parcel *parcel, const struct engine_watch *watch,
                            struct outcome *ret_outcome, struct why *why);
