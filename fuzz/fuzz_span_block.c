/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that are no block are refused; what can be read says the same when only some rows are
 * wanted, and when it is written anew. */
#include "store/span_block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_BYTES = 64 << 20 };

static bool same(const struct span *a, const struct span *b)
{
    return memcmp(a->span_id, b->span_id, SPAN_ID_BYTES) == 0 &&
           memcmp(a->trace_id, b->trace_id, TRACE_ID_BYTES) == 0 &&
           memcmp(a->parent_span_id, b->parent_span_id, SPAN_ID_BYTES) == 0 &&
           a->start_ns == b->start_ns && a->end_ns == b->end_ns && str_eq(a->name, b->name) &&
           a->kind == b->kind && a->status == b->status && a->event_count == b->event_count &&
           a->link_count == b->link_count && a->attributes.count == b->attributes.count;
}

/* Every third row, read past the others. */
static void read_some(struct str bytes, const struct span *all, uint32_t rows)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct span_block block;
    struct span *some = ARENA_ARRAY(arena, rows, struct span);
    bool *wanted = ARENA_ARRAY(arena, rows, bool);

    if (some != NULL && wanted != NULL &&
        span_block_parse(bytes, arena, &block, NULL) == ERR_NONE) {
        for (uint32_t i = 0; i < rows; i += 3)
            wanted[i] = true;
        enum err err = span_block_read(&block, wanted, some, NULL);
        for (uint32_t i = 0; err == ERR_NONE && i < rows; i += 3)
            MUST(same(&some[i / 3], &all[i]));
    }
    arena_free(arena);
}

static void write_again(const struct span *all, uint32_t rows)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct span_packer *packer = span_packer_new();
    const struct span **items = ARENA_ARRAY(arena, rows, const struct span *);
    struct span *again = ARENA_ARRAY(arena, rows, struct span);
    struct span_block_info info;
    struct span_block block;
    struct buf out = {0};

    if (items != NULL && again != NULL && rows > 0) {
        for (uint32_t i = 0; i < rows; i++)
            items[i] = &all[i];
        size_t taken = span_block_encode(packer, items, rows, true, &out, &info);
        enum err err = span_block_parse(buf_view(&out), arena, &block, NULL);
        if (err == ERR_NONE)
            err = span_block_read(&block, NULL, again, NULL);
        MUST(err == ERR_NONE || err == ERR_LIMIT); /* Limit: the arena of this test is small. */
        for (size_t i = 0; err == ERR_NONE && i < taken; i++)
            MUST(same(&again[i], &all[i]));
    }
    buf_done(&out);
    span_packer_free(packer);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    struct arena *arena = arena_new(ARENA_BYTES);
    struct span_block block;

    if (span_block_parse(bytes, arena, &block, NULL) == ERR_NONE) {
        struct span *spans = ARENA_ARRAY(arena, block.packed.rows, struct span);
        if (spans != NULL && span_block_read(&block, NULL, spans, NULL) == ERR_NONE) {
            read_some(bytes, spans, block.packed.rows);
            write_again(spans, block.packed.rows);
        }
    }
    arena_free(arena);
    return 0;
}
