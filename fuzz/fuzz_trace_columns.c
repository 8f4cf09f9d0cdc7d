/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a trace in columns: refused with a sentence, or drawn. */
#include "analysis/trace_path.h"
#include "cli/trace_columns_read.h"
#include "cli/waterfall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void draw(const struct column_trace *trace, struct arena *arena)
{
    const struct terminal terminal = {.columns = 80, .rows = 24, .utf8 = true};
    struct buf out CLEANUP(buf_done) = {0};
    struct trace_tree tree;
    struct trace_path path;

    if (trace_tree_build(trace->spans, trace->count, arena, &tree, NULL) != ERR_NONE ||
        trace_path_find(&tree, 0, arena, &path, NULL) != ERR_NONE)
        return; /* The arena is spent. */
    const struct waterfall waterfall = {&tree, &path, true, 100};
    size_t left_out = waterfall_write(&waterfall, &terminal, &out);
    MUST(out.size > 0 && left_out <= trace->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(16 << 20);
    struct column_trace trace;
    struct why why = WHY_INIT;

    if (trace_columns_read((struct str){(const char *)data, size}, arena, &trace, &why) == ERR_NONE)
        draw(&trace, arena);
    else
        MUST(why.text[0] != '\0');
    return 0;
}
