/* SPDX-License-Identifier: Apache-2.0 */
/* random - numbers that look random and are the same for the same seed on every machine.
 *
 * For resampling and simulation, never for secrets. A struct random belongs to one caller. */
#pragma once
#include <stdint.h>

struct random {
    uint64_t state[4];
};

struct random random_begin(uint64_t seed);
uint64_t random_u64(struct random *random);
uint64_t random_below(struct random *random, uint64_t bound); /* 0 … bound - 1; bound > 0. */
double random_unit(struct random *random);                    /* In [0, 1). */
double random_normal(struct random *random);                  /* Mean 0, deviation 1. */
