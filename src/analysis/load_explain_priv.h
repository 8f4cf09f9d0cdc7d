/* SPDX-License-Identifier: Apache-2.0 */
/* load_explain_priv - the parts of load_explain. */
#pragma once
#include "analysis/load_explain.h"

struct load_look {
    struct store_view *view;
    const struct load_facts *facts;
    struct arena *arena;
    struct load_explained *explained;
};

/* A sentence in the arena; data is NULL when that is spent. */
struct str load_text(const struct load_look *look, const char *format, ...) PRINTF_LIKE(2, 3);
/* Over LOAD_FINDINGS_MAX it is left out. */
void load_finding_add(const struct load_look *look, const struct load_finding *finding);

CHECKED enum err load_look_host(const struct load_look *look, struct why *why);
CHECKED enum err load_look_spans(const struct load_look *look, struct why *why);
CHECKED enum err load_look_traces(const struct load_look *look, struct why *why);
