/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte says which header the rest is. What is taken for a context is written and read
 * again as the same. */
#include "base/arena.h"
#include "codec/trace_context.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_traceparent(struct str text)
{
    struct trace_context context;
    struct trace_context again;
    char written[TRACEPARENT_SIZE + 1];

    if (traceparent_read(text, &context, NULL) != ERR_NONE)
        return;
    traceparent_write(&context, written);
    MUST(traceparent_read(str_of(written), &again, NULL) == ERR_NONE);
    MUST(memcmp(context.trace_id, again.trace_id, TRACE_ID_BYTES) == 0 &&
         memcmp(context.span_id, again.span_id, SPAN_ID_BYTES) == 0);
}

static void try_tracestate(struct str text)
{
    struct trace_pair_text pairs[TRACE_STATE_PAIRS_MAX];
    struct buf out = {0};
    size_t count;

    if (tracestate_read(text, pairs, &count, NULL) == ERR_NONE) {
        MUST(count <= TRACE_STATE_PAIRS_MAX);
        tracestate_update(text, STR("sonde"), STR("1"), &out);
        MUST(out.size <= TRACE_STATE_SIZE_MAX);
        MUST(tracestate_read(buf_view(&out), pairs, &count, NULL) == ERR_NONE);
        MUST(count > 0 && str_eq(pairs[0].key, STR("sonde")));
    }
    buf_done(&out);
}

static void try_baggage(struct str text)
{
    struct arena *arena = arena_new(1 << 20);
    struct trace_pair_text pairs[BAGGAGE_PAIRS_MAX];
    struct trace_pair_text again[BAGGAGE_PAIRS_MAX];
    struct buf out = {0};
    size_t count;
    size_t again_count;

    if (baggage_read(text, arena, pairs, &count, NULL) == ERR_NONE) {
        for (size_t i = 0; i < count; i++)
            baggage_add(pairs[i].key, pairs[i].value, &out);
        if (out.size <= BAGGAGE_SIZE_MAX) { /* Percents make it longer. */
            MUST(baggage_read(buf_view(&out), arena, again, &again_count, NULL) == ERR_NONE);
            MUST(again_count == count);
            for (size_t i = 0; i < count; i++)
                MUST(str_eq(pairs[i].key, again[i].key) && str_eq(pairs[i].value, again[i].value));
        }
    }
    buf_done(&out);
    arena_free(arena);
}

static void try_b3(struct str text)
{
    struct trace_context context;
    struct trace_context again;
    char written[B3_SIZE + 1];
    struct str rest = text;

    if (b3_read(text, &context, NULL) == ERR_NONE && context.trace_id[15] != 0) {
        b3_write(&context, written);
        MUST(b3_read(str_of(written), &again, NULL) == ERR_NONE);
        MUST(memcmp(context.span_id, again.span_id, SPAN_ID_BYTES) == 0);
    }
    struct str trace_id = str_split(&rest, '\n');
    struct str span_id = str_split(&rest, '\n');
    struct str sampled = str_split(&rest, '\n');
    (void)b3_read_headers(trace_id, span_id, sampled, rest, &context, NULL); /* Refused or read. */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data + 1, size - 1};

    if (size < 2)
        return 0;
    if (data[0] % 4 == 0)
        try_traceparent(rest);
    else if (data[0] % 4 == 1)
        try_tracestate(rest);
    else if (data[0] % 4 == 2)
        try_baggage(rest);
    else
        try_b3(rest);
    return 0;
}
