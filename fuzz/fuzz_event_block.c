/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that are no block are refused; what can be read reads the same when it is written anew. */
#include "store/event_block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_BYTES = 64 << 20 };

static bool same(const struct event *a, const struct event *b)
{
    return memcmp(a->span_id, b->span_id, SPAN_ID_BYTES) == 0 &&
           memcmp(a->trace_id, b->trace_id, TRACE_ID_BYTES) == 0 && a->time_ns == b->time_ns &&
           a->observed_ns == b->observed_ns && a->severity == b->severity &&
           str_eq(a->severity_text, b->severity_text) && str_eq(a->name, b->name) &&
           a->body.kind == b->body.kind && a->attributes.count == b->attributes.count;
}

static void write_again(const struct event *all, uint32_t rows)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct event_packer *packer = event_packer_new();
    const struct event **items = ARENA_ARRAY(arena, rows, const struct event *);
    struct event *again = ARENA_ARRAY(arena, rows, struct event);
    struct event_block_info info;
    struct event_block block;
    struct buf out = {0};

    if (items != NULL && again != NULL && rows > 0) {
        for (uint32_t i = 0; i < rows; i++)
            items[i] = &all[i];
        size_t taken = event_block_encode(packer, items, rows, true, &out, &info);
        enum err err = event_block_parse(buf_view(&out), arena, &block, NULL);
        if (err == ERR_NONE)
            err = event_block_read(&block, NULL, again, NULL);
        MUST(err == ERR_NONE || err == ERR_LIMIT); /* Limit: the arena of this test is small. */
        for (size_t i = 0; err == ERR_NONE && i < taken; i++)
            MUST(same(&again[i], &all[i]));
    }
    buf_done(&out);
    event_packer_free(packer);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct event_block block;

    if (event_block_parse((struct str){(const char *)data, size}, arena, &block, NULL) ==
        ERR_NONE) {
        struct event *events = ARENA_ARRAY(arena, block.packed.rows, struct event);
        if (events != NULL && event_block_read(&block, NULL, events, NULL) == ERR_NONE)
            write_again(events, block.packed.rows);
    }
    arena_free(arena);
    return 0;
}
