/* SPDX-License-Identifier: Apache-2.0 */
/* xoshiro256++ of Blackman and Vigna, its state filled by splitmix64 as they advise. */
#include "stats/random.h"

#include <math.h>

static uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

struct random random_begin(uint64_t seed)
{
    struct random random;

    for (int i = 0; i < 4; i++) {
        uint64_t mixed = seed += UINT64_C(0x9e3779b97f4a7c15);
        mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
        random.state[i] = mixed ^ mixed >> 31;
    }
    return random;
}

uint64_t random_u64(struct random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate(s[0] + s[3], 23) + s[0];
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return result;
}

/* Lemire's multiplication; what would favour small results is drawn again. */
uint64_t random_below(struct random *random, uint64_t bound)
{
    uint64_t unfair = -bound % bound;

    for (;;) {
        __extension__ unsigned __int128 product = (unsigned __int128)random_u64(random) * bound;
        if ((uint64_t)product >= unfair)
            return (uint64_t)(product >> 64);
    }
}

double random_unit(struct random *random)
{
    return (double)(random_u64(random) >> 11) * 0x1p-53;
}

double random_normal(struct random *random)
{
    double radius = sqrt(-2 * log(1 - random_unit(random)));

    return radius * cos(6.283185307179586 * random_unit(random));
}
