/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/analysis.h"

#define ROW(name) extern const struct analysis_kind analysis_##name;
#include "analysis/analyses.def"
#undef ROW

const struct analysis_kind *const analyses[] = {
#define ROW(name) &analysis_##name,
#include "analysis/analyses.def"
#undef ROW
};
const size_t analyses_count = ARRAY_COUNT(analyses);
