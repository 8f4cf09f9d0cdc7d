/* SPDX-License-Identifier: Apache-2.0 */
/* exemplars - the newest exemplars of each series, in memory only, as in Prometheus.
 *
 * Of a series the newest EXEMPLARS_OF_SERIES stay, of all the EXEMPLARS_MAX that came last; they
 * end with the daemon, and after keep_ms. exemplars_accept and exemplars_tick have the shape of a
 * sink's calls (hub/sink.h, self is the object): it stands behind the store, so that nothing is
 * kept of a batch that the store refused. Any thread may ask. */
#pragma once
#include "model/batch.h"

#define EXEMPLARS_MAX       32768 /* About 300 bytes each. */
#define EXEMPLARS_OF_SERIES 32

struct exemplars;

/* keep_ms 0: until newer ones come. */
struct exemplars *exemplars_new(int64_t keep_ms);
struct exemplars *exemplars_free(struct exemplars *exemplars); /* Always returns NULL. */
void exemplars_set_keep(struct exemplars *exemplars, int64_t keep_ms);

enum err exemplars_accept(void *self, struct batch *batch, struct why *why);
void exemplars_tick(void *self, int64_t now_ms);

/* Those of the tenant's series in [from_ms, to_ms], oldest first, copied to the arena; their labels
 * are the ones asked for. ERR_LIMIT: the arena is spent. */
struct exemplar_question {
    const char *tenant;
    const struct labels *labels;
    int64_t from_ms;
    int64_t to_ms;
};
CHECKED enum err exemplars_find(struct exemplars *exemplars,
                                const struct exemplar_question *question, struct arena *arena,
                                struct exemplar **ret_items, size_t *ret_count, struct why *why);

struct exemplars_stats {
    uint64_t kept;     /* Now. */
    uint64_t accepted; /* Since the start. */
    uint64_t replaced; /* By newer ones, or too old to take their place. */
    uint64_t expired;
};

void exemplars_read_stats(struct exemplars *exemplars, struct exemplars_stats *ret_stats);
