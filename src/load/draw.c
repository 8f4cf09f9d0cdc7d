/* SPDX-License-Identifier: Apache-2.0 */
#include "load/draw.h"

#include "load/histogram.h"
#include "stats/random.h"

#include <math.h>

double draw_exponential(struct random *random)
{
    return -log(1 - random_unit(random));
}

/* Marsaglia and Tsang's method, with their trick for shapes below 1. */
double draw_gamma(struct random *random, double shape)
{
    double boost = shape < 1 ? pow(1 - random_unit(random), 1 / shape) : 1;
    double kept = shape < 1 ? shape + 1 : shape;
    double d = kept - 1.0 / 3;
    double c = 1 / sqrt(9 * d);

    for (;;) {
        double x = random_normal(random);
        double v = 1 + c * x;
        if (v <= 0)
            continue;
        v = v * v * v;
        double u = 1 - random_unit(random);
        if (log(u) < x * x / 2 + d - d * v + d * log(v))
            return boost * d * v / shape;
    }
}

int64_t draw_think(struct random *random, const struct think_time *think)
{
    double drawn = 0;

    switch (think->kind) {
    case THINK_NONE:
        return 0;
    case THINK_CONSTANT:
        drawn = think->a_ns;
        break;
    case THINK_UNIFORM:
        drawn = think->a_ns + (think->b_ns - think->a_ns) * random_unit(random);
        break;
    case THINK_EXPONENTIAL:
        drawn = think->a_ns * draw_exponential(random);
        break;
    case THINK_LOGNORMAL:
        drawn = think->a_ns * exp(think->b_ns * random_normal(random));
        break;
    }
    return drawn > (double)HISTOGRAM_MAX_NS ? HISTOGRAM_MAX_NS : (int64_t)drawn;
}
