/* SPDX-License-Identifier: Apache-2.0 */
/* trace_digest - what is kept of each trace when many are looked at: how long, and how much of it
 * was waited for in which operation.
 *
 * Operations are shared: service, span name and, of calls, what is asked with values taken out.
 * Everything lives in the arena of the digests; the traces may end. One thread. */
#pragma once
#include "analysis/trace_explain.h"
#include "base/map.h"

#define TRACE_DIGEST_OPERATIONS_MAX 20000 /* Further ones are one, named "(others)". */
#define TRACE_GROUP_MAX             1000  /* Traces of a group. */
#define TRACE_TALLY_IDS             10
#define TRACE_TALLY_MAX             1000 /* Different findings. */

struct digest_operation {
    struct str service;
    struct str name;
    struct str text; /* What a call asks; "" when it is none. */
};

struct digest_part {
    uint32_t operation;
    uint32_t calls;
    uint32_t errors;
    int64_t critical_ns;
};

struct trace_digest {
    uint8_t trace_id[TRACE_ID_BYTES];
    int64_t duration_ns; /* Of what was explained. */
    uint32_t spans;
    bool failed; /* What was explained ended in error. */
    struct digest_part *parts;
    uint32_t parts_count;
};

struct trace_group {
    struct trace_digest items[TRACE_GROUP_MAX];
    size_t count;
};

/* A finding, and in how many traces it was met. */
struct trace_tally {
    struct trace_finding finding; /* Of the trace where it took most; no nodes. */
    uint32_t traces;
    double share_sum;
    int64_t time_sum_ns;
    uint8_t trace_ids[TRACE_TALLY_IDS][TRACE_ID_BYTES];
    size_t trace_ids_count;
};

struct trace_digests {
    struct arena *arena;
    struct digest_operation *operations;
    uint32_t operations_count;
    uint32_t operations_capacity;
    struct map by_key; /* To the operation + 1, as a pointer. */
    struct buf key;
};

void trace_digests_init(struct trace_digests *digests, struct arena *arena);
void trace_digests_done(struct trace_digests *digests); /* For CLEANUP; the arena stays. */

/* Adds the trace to the group; over TRACE_GROUP_MAX it is left out. ERR_LIMIT: the arena. */
CHECKED enum err trace_digests_add(struct trace_digests *digests, struct trace_group *group,
                                   const uint8_t trace_id[TRACE_ID_BYTES],
                                   const struct trace_explained *explained, struct why *why);

/* One value a trace of the group, in its order: time on the critical path in ms, or calls; 0 where
 * it is not there. */
void trace_group_times_ms(const struct trace_group *group, uint32_t operation, double *ret_values);
void trace_group_calls(const struct trace_group *group, uint32_t operation, double *ret_values);
/* In how many traces it is. */
uint32_t trace_group_having(const struct trace_group *group, uint32_t operation);

/* Findings of one trace after the other, by their id. */
struct trace_tallies {
    struct arena *arena;
    struct trace_tally **items; /* Most frequent first, after trace_tallies_sort. */
    size_t count;
    struct map by_id;
};

CHECKED enum err trace_tallies_init(struct trace_tallies *tallies, struct arena *arena,
                                    struct why *why);
void trace_tallies_done(struct trace_tallies *tallies); /* For CLEANUP. */
CHECKED enum err trace_tallies_add(struct trace_tallies *tallies,
                                   const uint8_t trace_id[TRACE_ID_BYTES],
                                   const struct trace_explained *explained, struct why *why);
/* By severity, then by how many traces have it, then by time. */
void trace_tallies_sort(struct trace_tallies *tallies);
