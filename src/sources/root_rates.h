/* SPDX-License-Identifier: Apache-2.0 */
/* root_rates - how many traces begin at each operation, and which share of them clients have to
 * sample so that so many a second come: adaptive sampling.
 *
 * What arrives was sampled by the share that was told before, so the whole is what arrived divided
 * by it. A share changes at each turn, toward its target. Serves one tenant; one thread at a
 * time. */
#pragma once
#include "model/span.h"

#define ROOT_RATES_MAX     5000 /* Operations; those beyond are not adapted to. */
#define ROOT_RATES_TURN_MS 10000

struct root_rates;

struct root_rates *root_rates_new(void);
struct root_rates *root_rates_free(struct root_rates *rates); /* Always returns NULL. */

void root_rates_add(struct root_rates *rates, const struct span *spans, size_t count);
/* The end of a stretch of time: to be called every ROOT_RATES_TURN_MS. */
void root_rates_turn(struct root_rates *rates, double seconds);

/* The share for now, 1 for what is not known; from now on its target is per_second. */
double root_rates_share(struct root_rates *rates, struct str service, struct str operation,
                        double per_second);
void root_rates_each(const struct root_rates *rates, struct str service,
                     void (*visit)(void *self, struct str operation), void *self);
