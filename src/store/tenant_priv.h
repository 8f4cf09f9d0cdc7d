/* SPDX-License-Identifier: Apache-2.0 */
/* tenant_priv - what the parts of the way in share: tenant.c accepts, tenant_series.c makes new
 * series, tenant_room.c moves what is full to blocks, tenant_commit.c commits. Writer thread. */
#pragma once
#include "store/tenant.h"

#define TENANT_NAME_SHOWN 128 /* Bytes of a metric's name in a sentence. */

/* An array grows to `first` items, then to twice as many. */
void tenant_grow(void **items, size_t *capacity, size_t first, size_t size);

/* The track of a set that carries no slot of ours; makes it where it is new. ERR_LIMIT. */
CHECKED enum err tenant_resolve(struct tenant *tenant, const struct labels *labels,
                                uint32_t neighbour, uint32_t *ret_number, struct why *why);
void tenant_activate(struct tenant *tenant, struct track *track);

/* Before a batch: what is held beyond its measure goes to blocks. */
CHECKED enum err tenant_make_room(struct tenant *tenant, struct why *why);
/* Chunks from now on have room for what the head may hold of each active series. */
void tenant_fit_chunks(struct tenant *tenant);
