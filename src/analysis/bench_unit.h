/* SPDX-License-Identifier: Apache-2.0 */
/* bench_unit - what 5 ms are in seconds. Pure; any thread. */
#pragma once
#include <stdbool.h>

/* By what to multiply a value in `from` to have it in `to`. Units that are spelled alike, and a
 * unit that is unknown (""), need no change. False: they measure different things. */
bool bench_unit_factor(const char *from, const char *to, double *ret_factor);
