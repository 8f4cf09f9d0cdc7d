/* SPDX-License-Identifier: Apache-2.0 */
/* Rates are kept with their votes in no order; there are few. The lowest rate that broke is the
 * upper end, and the highest kept one below it the lower end: a rate that broke bounds all above
 * it, because a service that keeps 500 keeps 400, and a probe of 500 that says otherwise of 400 was
 * luck or noise. Noise is met by asking again at the ends, where alone it matters. */
#include "load/capacity.h"

#include "base/must.h"

#include <math.h>

/* From what was answered to the rates that are aimed at, below and above: a gap that is just
 * narrow. */
#define AIM_WIDTH (0.49 * CAPACITY_PRECISION)
/* What is closer to a rate that is known would show nothing new. */
#define AIM_APART (0.25 * CAPACITY_PRECISION)

void capacity_init(struct capacity *capacity, double start, double least)
{
    MUST(least > 0 && least <= start && start <= CAPACITY_RATE_MAX);
    *capacity = (struct capacity){.start = start, .least = least};
}

/* 1: kept, -1: broken, 0: undecided. */
static int side_of(const struct capacity_level *level)
{
    if (level->kept + level->broken == 0)
        return level->briefly_kept ? 1 : -1;
    return (level->kept > level->broken) - (level->kept < level->broken);
}

static bool is_decided(const struct capacity_level *level)
{
    return level->kept >= CAPACITY_VOTES || level->broken >= CAPACITY_VOTES;
}

/* The two levels that the answer lies between; NULL where there is none. */
struct gap {
    const struct capacity_level *kept, *broken, *undecided;
    double highest;
};

static struct gap gap_of(const struct capacity *capacity)
{
    struct gap gap = {0};

    for (size_t i = 0; i < capacity->levels_count; i++) {
        const struct capacity_level *level = &capacity->levels[i];
        int side = side_of(level);
        if (side == 0)
            gap.undecided = level;
        if (side < 0 && (gap.broken == NULL || level->rate < gap.broken->rate))
            gap.broken = level;
        gap.highest = fmax(gap.highest, level->rate);
    }
    for (size_t i = 0; i < capacity->levels_count; i++) {
        const struct capacity_level *level = &capacity->levels[i];
        if (side_of(level) > 0 && (gap.broken == NULL || level->rate < gap.broken->rate) &&
            (gap.kept == NULL || level->rate > gap.kept->rate))
            gap.kept = level;
    }
    return gap;
}

static bool is_narrow(const struct gap *gap)
{
    return gap->broken->rate <= gap->kept->rate * (1 + CAPACITY_PRECISION);
}

static bool probe(struct capacity_probe *ret_probe, double rate, enum capacity_phase phase)
{
    *ret_probe =
        (struct capacity_probe){.rate = rate, .phase = phase, .is_brief = phase == CAPACITY_CLIMB};
    return true;
}

static bool is_within(const struct gap *gap, double rate)
{
    return rate > gap->kept->rate * (1 + AIM_APART) && rate < gap->broken->rate * (1 - AIM_APART);
}

/* Below what was answered first; false: nothing was learned of that, or it has been tried. A
 * service that answers less the more it is asked for would lead astray for long, hence the bound.
 */
static bool aim(const struct capacity *capacity, const struct gap *gap,
                struct capacity_probe *ret_probe)
{
    double below = gap->broken->beyond * (1 - AIM_WIDTH);
    double above = gap->broken->beyond * (1 + AIM_WIDTH);

    if (isnan(below) || capacity->aims_count >= CAPACITY_AIMS_MAX)
        return false;
    if (!is_within(gap, below) && !is_within(gap, above))
        return false;
    (void)probe(ret_probe, is_within(gap, below) ? below : above, CAPACITY_NARROW);
    ret_probe->is_aimed = true;
    return true;
}

/* Between the two, which are not close enough. */
static bool narrow(const struct capacity *capacity, const struct gap *gap,
                   struct capacity_probe *ret_probe)
{
    return aim(capacity, gap, ret_probe) ||
           probe(ret_probe, sqrt(gap->kept->rate * gap->broken->rate), CAPACITY_NARROW);
}

bool capacity_next(const struct capacity *capacity, struct capacity_probe *ret_probe)
{
    struct gap gap = gap_of(capacity);

    if (capacity->levels_count == 0)
        return probe(ret_probe, capacity->start, CAPACITY_CLIMB);
    if (capacity->probes_count == CAPACITY_PROBES_MAX)
        return false;
    if (gap.undecided != NULL)
        return probe(ret_probe, gap.undecided->rate, CAPACITY_CONFIRM);
    if (gap.broken == NULL) {
        double rate = fmin(gap.highest * CAPACITY_GROWTH, CAPACITY_RATE_MAX);
        return rate > gap.highest && probe(ret_probe, rate, CAPACITY_CLIMB);
    }
    if (gap.kept == NULL) {
        double rate = fmax(gap.broken->rate / CAPACITY_FALL, capacity->least);
        return rate < gap.broken->rate && probe(ret_probe, rate, CAPACITY_CLIMB);
    }
    if (!is_narrow(&gap))
        return narrow(capacity, &gap, ret_probe);
    if (!is_decided(gap.kept))
        return probe(ret_probe, gap.kept->rate, CAPACITY_CONFIRM);
    if (!is_decided(gap.broken))
        return probe(ret_probe, gap.broken->rate, CAPACITY_CONFIRM);
    return false;
}

static struct capacity_level *level_of(struct capacity *capacity, double rate)
{
    for (size_t i = 0; i < capacity->levels_count; i++) {
        if (capacity->levels[i].rate == rate)
            return &capacity->levels[i];
    }
    MUST(capacity->levels_count < CAPACITY_PROBES_MAX);
    capacity->levels[capacity->levels_count] = (struct capacity_level){.rate = rate, .beyond = NAN};
    return &capacity->levels[capacity->levels_count++];
}

void capacity_tell(struct capacity *capacity, const struct capacity_probe *probe, bool kept,
                   double beyond)
{
    MUST(capacity->probes_count < CAPACITY_PROBES_MAX);
    struct capacity_level *level = level_of(capacity, probe->rate);

    capacity->probes_count++;
    capacity->aims_count += probe->is_aimed;
    if (!kept && !isnan(beyond))
        level->beyond = beyond;
    if (probe->is_brief)
        level->briefly_kept = kept;
    else if (kept)
        level->kept++;
    else
        level->broken++;
}

static struct capacity_votes votes_of(const struct capacity_level *level, bool kept)
{
    if (level == NULL)
        return (struct capacity_votes){0};
    return (struct capacity_votes){kept ? level->kept : level->broken, level->kept + level->broken};
}

struct capacity_answer capacity_answer(const struct capacity *capacity)
{
    struct gap gap = gap_of(capacity);

    return (struct capacity_answer){
        .kept = gap.kept == NULL ? NAN : gap.kept->rate,
        .broken = gap.broken == NULL ? NAN : gap.broken->rate,
        .beyond = gap.broken == NULL ? NAN : gap.broken->beyond,
        .kept_votes = votes_of(gap.kept, true),
        .broken_votes = votes_of(gap.broken, false),
        .confirmed = gap.kept != NULL && gap.broken != NULL && is_narrow(&gap) &&
                     is_decided(gap.kept) && is_decided(gap.broken),
    };
}

const char *capacity_phase_name(enum capacity_phase phase)
{
    static const char *const names[] = {"climb", "narrow", "confirm"};

    return names[phase];
}
