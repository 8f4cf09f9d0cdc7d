/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte says what the rest is: a block, a pending row, or a roster. Checksums stand in the
 * way of a fuzzer, so that of a block's directory is given, not compared: whatever parses must be
 * readable without harm, and rosters and pending rows must be shown or refused. */
#include "base/crc.h"
#include "store/block.h"
#include "store/pending.h"
#include "store/roster.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err see_row(void *self, const struct pending_row *row, struct str sketch,
                        struct why *why)
{
    uint64_t *rows = self;

    (void)why; /* Nothing is refused here. */
    MUST(sketch.size == 0 || sketch.data != NULL);
    *rows += row->id >= 1;
    return ERR_NONE;
}

static enum err see_set(void *self, unsigned slot, const struct labels *labels, struct why *why)
{
    struct label label;

    (void)self; /* Walking the set is the test. */
    (void)why;
    MUST(slot < GROUP_SERIES);
    for (size_t at = 0; labels_next(labels, &at, &label);)
        MUST(label.name.size > 0 && label.value.size > 0);
    return ERR_NONE;
}

/* Columns are read when their own checksum is good, which a corpus made by hand can have. */
static void read_all(const struct block *block, struct arena *arena)
{
    int64_t *times = ARENA_ARRAY(arena, BLOCK_ROWS_MAX, int64_t);
    double *values = ARENA_ARRAY(arena, BLOCK_ROWS_MAX, double);
    struct str *sketches = ARENA_ARRAY(arena, BLOCK_ROWS_MAX, struct str);

    MUST(times != NULL && values != NULL && sketches != NULL);
    for (unsigned i = 0; i < block->times_count; i++)
        (void)block_read_times(block, i, times, NULL); /* Refused or read: both are right. */
    for (unsigned slot = 0; slot < GROUP_SERIES; slot++) {
        uint32_t rows = block_rows(block, slot);
        if (rows == 0)
            continue;
        (void)block_read_field(block, slot, 0, 0, rows, values, NULL);
        (void)block_read_field(block, slot, 0, rows / 2, rows - rows / 2, values, NULL);
        if (block->entries[slot].sketches.bytes.data != NULL)
            (void)block_read_sketches(block, slot, arena, sketches, NULL);
    }
}

/* The directory's end is not known before it is parsed: every length is tried for its sum. */
static void read_block(struct str bytes)
{
    struct arena *arena = arena_new(64 << 20);
    struct block block;
    uint32_t crc = 0;

    for (size_t i = 0; i < bytes.size && i < 512; i++) {
        crc = crc32c(crc, bytes.data + i, 1);
        if (block_parse(bytes, crc, &block, NULL) == ERR_NONE) {
            read_all(&block, arena);
            break;
        }
    }
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data + 1, size - 1};
    uint64_t rows = 0;

    if (size < 2)
        return 0;
    if (data[0] % 3 == 0)
        read_block(rest);
    else if (data[0] % 3 == 1)
        (void)pending_decode(rest, &(struct pending_visitor){see_row, &rows}, NULL);
    else
        (void)roster_decode(rest, &(struct roster_visitor){see_set, NULL}, NULL);
    return 0;
}
