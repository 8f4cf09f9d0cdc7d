/* SPDX-License-Identifier: Apache-2.0 */
/* kind_trend - what climbs or falls over a run of steady load. One thread. */
#pragma once
#include "load/judgement.h"
#include "load/outcome.h"

/* Median and P95 latency, error rate and throughput, each tested for a trend (stats/trend.h). A
 * trend that is certain and more than a tenth over the run fails the test; "not enough data" is
 * said rather than "no trend". */
void kind_judge_trends(const struct outcome *outcome, struct judgement *judgement);
