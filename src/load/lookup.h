/* SPDX-License-Identifier: Apache-2.0 */
/* lookup - asks the system's resolver for the name of one connection, beside the driver's thread.
 *
 * Only where the plan wants each connection to ask; else names are resolved before the run. */
#pragma once
#include "base/err.h"

#include <stdbool.h>

struct driver;
struct link;

/* On the driver's thread: its resolver threads. They end with workers_close. */
CHECKED enum err lookup_open(struct driver *driver, struct why *why);

/* link_resolved follows. False: too many are waiting already. */
bool lookup_begin(struct link *link);
