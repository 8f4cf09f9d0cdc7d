/* SPDX-License-Identifier: Apache-2.0 */
/* Any text is refused or becomes a query that can judge a trace. */
#include "query/traceql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);
    struct traceql *query CLEANUP(traceql_freep) = NULL;
    static const struct resource resource = {.service_name = {"api", 3}};
    struct span spans[3] = {{.resource = &resource},
                            {.resource = &resource, .end_ns = 7},
                            {.resource = &resource, .status = SPAN_STATUS_ERROR}};
    struct traceql_trace trace;
    bool matches;

    for (uint8_t i = 0; i < 3; i++) {
        spans[i].span_id[0] = (uint8_t)(i + 1);
        spans[i].parent_span_id[0] = i;
    }
    if (traceql_parse((struct str){(const char *)data, size}, arena, &query, NULL) == ERR_NONE)
        (void)traceql_match(query, spans, 3, 3, arena, &trace, &matches, NULL); /* Not to crash. */
    return 0;
}
