/* SPDX-License-Identifier: Apache-2.0 */
/* The counter has the thread in its upper bits, so no two are equal; mixing is one to one, so none
 * become equal. */
#include "load/trail.h"

#include "base/clock.h"

#include <string.h>
#include <sys/random.h>

enum { PART_SHIFT = 48 };

/* The finaliser of MurmurHash3: each bit of the input reaches all of the output. */
static uint64_t mix(uint64_t value)
{
    value ^= value >> 33;
    value *= UINT64_C(0xff51afd7ed558ccd);
    value ^= value >> 33;
    value *= UINT64_C(0xc4ceb9fe1a85ec53);
    return value ^ value >> 33;
}

uint64_t trail_new_run(void)
{
    uint64_t run = 0;

    if (getrandom(&run, sizeof(run), GRND_NONBLOCK) != sizeof(run))
        run = mix((uint64_t)clock_monotonic_ns() ^ (uint64_t)clock_now_ms() << 20);
    return run == 0 ? 1 : run;
}

void trail_init(struct trail *trail, uint64_t run, unsigned part)
{
    *trail = (struct trail){.run = run, .next = (uint64_t)part << PART_SHIFT};
}

uint64_t trail_next(struct trail *trail)
{
    return mix(++trail->next); /* Only 0 becomes 0. */
}

static char *write_hex(char *text, uint64_t value)
{
    static const char digits[] = "0123456789abcdef";

    for (int shift = 60; shift >= 0; shift -= 4)
        *text++ = digits[value >> shift & 15];
    return text;
}

void trail_write_id(uint64_t run, uint64_t low, char text[TRAIL_ID_SIZE])
{
    (void)write_hex(write_hex(text, run), low);
}

void trail_write_parent(uint64_t run, uint64_t low, char text[TRAIL_PARENT_SIZE])
{
    char *end = text;

    memcpy(end, "00-", 3);
    end = write_hex(write_hex(end + 3, run), low);
    *end++ = '-';
    end = write_hex(end, run);
    memcpy(end, "-01", 3);
}

void trail_keep(struct trail *trail, const struct trail_request *request)
{
    size_t at;

    if (!trail_wants(trail, request->latency_ns))
        return;
    at = trail->count < TRAIL_SLOWEST_MAX ? trail->count++ : TRAIL_SLOWEST_MAX - 1;
    for (; at > 0 && trail->slowest[at - 1].latency_ns < request->latency_ns; at--)
        trail->slowest[at] = trail->slowest[at - 1];
    trail->slowest[at] = *request;
}

void trail_merge(struct trail *into, const struct trail *from)
{
    into->run = from->run;
    for (size_t i = 0; i < from->count; i++)
        trail_keep(into, &from->slowest[i]);
}
