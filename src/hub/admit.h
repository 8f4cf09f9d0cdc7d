/* SPDX-License-Identifier: Apache-2.0 */
/* admit - what may enter: names and sizes within limits, times not in the future, spans sampled.
 *
 * Looks at a batch on its submitter's thread and takes out the rows that may not go on, each
 * counted and the last one's reason kept (batch_reject). Limits that need memory of what is
 * already there, such as series per metric, are the store's. */
#pragma once
#include "hub/hub.h"

/* ERR_INVALID: the tenant's name is none. ERR_LIMIT: rows were there and none may go on. */
CHECKED enum err admit_batch(const struct hub_limits *limits, int64_t now_ms, struct batch *batch,
                             struct why *why);

/* 1 … 63 of a-z, 0-9, '-' and '_', beginning with a letter or digit: it becomes a folder. */
bool admit_is_tenant(struct str name);
