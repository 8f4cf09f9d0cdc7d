/* SPDX-License-Identifier: Apache-2.0 */
/* health - what is wrong with this machine now, worst first, in plain words.
 *
 * Judges the table of health_checks.h. A finding that was made stays until its value is calm again
 * by a margin and for HEALTH_HOLD_MS, so that sentences do not flicker; since_ms is when it began.
 * One thread at a time per state. */
#pragma once
#include "analysis/analysis.h"

#define HEALTH_HOLD_MS    60000
#define HEALTH_MEMORY_MAX 256 /* Findings remembered; further ones have no past. */

extern const struct analysis_kind analysis_health;
