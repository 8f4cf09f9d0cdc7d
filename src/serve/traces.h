/* SPDX-License-Identifier: Apache-2.0 */
/* traces - what the addresses about traces share. On a worker, with the call's view. */
#pragma once
#include "serve/call.h"
#include "store/trace_read.h"

/* The parameters service, name, min_duration, max_duration, status, attribute, start, end, limit.
 * ERR_INVALID names the one that is wrong. */
CHECKED enum err traces_read_query(struct call *call, struct trace_query *query, struct why *why);

/* ERR_NOT_FOUND when the tenant keeps no traces: call->view->ops->traces is there otherwise. */
CHECKED enum err traces_needed(const struct call *call, struct why *why);
