/* SPDX-License-Identifier: Apache-2.0 */
/* trace_skeleton - the spans of a trace without attributes, events and links: what is left of one
 * that does not fit into the memory of a question. Of resources service and host are kept. */
#pragma once
#include "base/arena.h"
#include "store/trace_read.h"

/* All of it lives in the arena. A span that was sent twice may be there twice. ERR_LIMIT. */
CHECKED enum err trace_skeleton_read(struct store_view *view,
                                     const uint8_t trace_id[TRACE_ID_BYTES], struct arena *arena,
                                     struct span_list *ret_spans, struct why *why);
