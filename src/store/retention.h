/* SPDX-License-Identifier: Apache-2.0 */
/* retention - old files go: by age, a step at a time, and by size, the oldest first. Writer. */
#pragma once
#include "store/tenant.h"

/* Removes what is over; also looks after files that readers found damaged. Goes on when the disk
 * is full: removing needs no room. What fails is told as a notice and tried again later. */
void tenant_retain(struct tenant *tenant, int64_t now_ms);
