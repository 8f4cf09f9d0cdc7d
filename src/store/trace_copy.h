/* SPDX-License-Identifier: Apache-2.0 */
/* trace_copy - spans and events into the answer: what was read of a block dies with the block.
 *
 * A row is filled in by its reader and then made to last: afterwards it points into the arena only.
 * ERR_LIMIT: the arena is spent. */
#pragma once
#include "base/arena.h"
#include "model/event.h"

/* Neighbours mostly share resource and scope: one copy serves both. All zero at the start of a
 * block. */
struct trace_owners {
    const struct resource *resource_from, *resource;
    const struct scope *scope_from, *scope;
};

CHECKED enum err trace_copy_span(struct arena *arena, struct trace_owners *owners,
                                 struct span *span, struct why *why);
CHECKED enum err trace_copy_event(struct arena *arena, struct trace_owners *owners,
                                  struct event *event, struct why *why);
