/* SPDX-License-Identifier: Apache-2.0 */
/* verdict_priv - what runs of two samples and runs in turns are judged by alike. */
#pragma once
#include "stats/verdict.h"

/* How far single runs lie apart: by their MAD, or, where more than half are equal, by all. */
double verdict_scatter(const double *values, size_t count);
/* From p_adjusted, shift, cliff, the interval and inflation: kind, severity and reason. */
void verdict_decide(const struct verdict_options *options, struct verdict *verdict);
