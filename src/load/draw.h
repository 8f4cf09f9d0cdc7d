/* SPDX-License-Identifier: Apache-2.0 */
/* draw - lengths of time by their distribution. Whoever draws owns the random. */
#pragma once
#include "load/plan.h"

struct random;

/* Of mean 1. */
double draw_exponential(struct random *random);
double draw_gamma(struct random *random, double shape);
/* How long a think time takes; at most HISTOGRAM_MAX_NS. */
int64_t draw_think(struct random *random, const struct think_time *think);
