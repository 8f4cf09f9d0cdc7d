/* SPDX-License-Identifier: Apache-2.0 */
/* One zstd frame, of:
 *
 *   u8 version, 1
 *   per series: varint labels, then per label: varint name size, name, varint value size, value
 */
#include "store/roster.h"

#include "store/block.h"
#include "store/varint.h"

#include <stdlib.h>
#include <zstd.h>

enum {
    VERSION = 1,
    LEVEL = 3,
    SIZE_MAX_ = 64 << 20, /* 64 series of 64 labels of the greatest length. */
};

void roster_encode(const struct labels *const *sets, size_t count, struct buf *out)
{
    struct buf plain CLEANUP(buf_done) = {0};
    struct label label;

    MUST(count <= GROUP_SERIES);
    buf_byte(&plain, VERSION);
    for (size_t i = 0; i < count; i++) {
        buf_varint(&plain, sets[i]->count);
        for (size_t at = 0; labels_next(sets[i], &at, &label);) {
            buf_varint(&plain, label.name.size);
            buf_str(&plain, label.name);
            buf_varint(&plain, label.value.size);
            buf_str(&plain, label.value);
        }
    }
    size_t bound = ZSTD_compressBound(plain.size);
    size_t size = ZSTD_compress(buf_reserve(out, bound), bound, plain.data, plain.size, LEVEL);
    MUST(!ZSTD_isError(size));
    out->size += size;
}

static enum err corrupt(struct why *why)
{
    return fail(why, ERR_CORRUPT, "the labels of a group cannot be read");
}

static enum err read_set(struct varint_reader *reader, struct labels **labels, struct why *why)
{
    struct label pairs[LABEL_COUNT_MAX];
    size_t count = (size_t)varint_read_most(reader, LABEL_COUNT_MAX);

    for (size_t i = 0; i < count; i++) {
        pairs[i].name = varint_bytes(reader, varint_read_most(reader, LABEL_NAME_BYTES));
        pairs[i].value = varint_bytes(reader, varint_read_most(reader, LABEL_VALUE_BYTES));
    }
    if (reader->failed || labels_arrange(pairs, count, &count, NULL) != ERR_NONE)
        return corrupt(why);
    size_t size = labels_size(pairs, count);
    *labels = realloc(*labels, size);
    if (*labels == NULL)
        must_memory(size);
    (void)labels_build(*labels, pairs, count); /* Returns the same memory. */
    return ERR_NONE;
}

static enum err decode_plain(struct str plain, const struct roster_visitor *visitor,
                             struct labels **labels, struct why *why)
{
    struct varint_reader reader = varint_begin(plain);

    if (varint_byte(&reader) != VERSION)
        return corrupt(why);
    for (unsigned slot = 0; varint_left(&reader) > 0; slot++) {
        if (slot == GROUP_SERIES)
            return corrupt(why);
        TRY(read_set(&reader, labels, why));
        TRY(visitor->visit(visitor->self, slot, *labels, why));
    }
    return ERR_NONE;
}

enum err roster_decode(struct str bytes, const struct roster_visitor *visitor, struct why *why)
{
    struct buf plain CLEANUP(buf_done) = {0};
    struct labels *labels = NULL;
    unsigned long long size = ZSTD_getFrameContentSize(bytes.data, bytes.size);

    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > SIZE_MAX_)
        return corrupt(why);
    char *memory = buf_reserve(&plain, (size_t)size + 1);
    size_t got = ZSTD_decompress(memory, (size_t)size, bytes.data, bytes.size);
    if (ZSTD_isError(got) || got != size)
        return corrupt(why);
    plain.size = got;
    enum err err = decode_plain(buf_view(&plain), visitor, &labels, why);
    free(labels);
    return err;
}
