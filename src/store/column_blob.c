/* SPDX-License-Identifier: Apache-2.0 */
/* A blob column:
 *
 *     | size of the lengths, varint | lengths: a run of integers (column_run.c) |
 *     | method, 1 byte: 0 plain, 1 zstd | all bytes, one string behind the other |
 *
 * The total of the lengths says how many bytes there are before compression. */
#include "store/column_blob.h"

#include "store/column_encoder.h"

#include <zstd.h>

#define METHOD_PLAIN 0
#define METHOD_ZSTD  1
/* What is shorter than a zstd frame's own bytes and a bit is not worth the try. */
#define ZSTD_WORTHWHILE 48

static void lengths_write(struct column_encoder *encoder, const struct str *blobs, size_t count,
                          struct buf *out)
{
    struct run_plan plan;
    struct buf bytes = {0};

    for (size_t i = 0; i < count; i++)
        encoder->mantissas[i] = (int64_t)blobs[i].size;
    run_plan_make(&encoder->scratch, encoder->mantissas, count, true, &plan);
    run_head_write(&plan, false, &bytes);
    run_body_write(&plan, &bytes);
    buf_varint(out, bytes.size);
    buf_append(out, bytes.data, bytes.size);
    buf_done(&bytes);
}

void blob_column_encode(struct column_encoder *encoder, const struct str *blobs, size_t count,
                        enum column_effort effort, struct buf *out)
{
    struct buf *all = &encoder->trial;
    size_t start;

    MUST(count >= 1 && count <= COLUMN_ROWS_MAX);
    encoder_reserve(encoder, count);
    buf_clear(all);
    for (size_t i = 0; i < count; i++) {
        MUST(blobs[i].size <= COLUMN_BLOB_SIZE_MAX - all->size);
        buf_append(all, blobs[i].data, blobs[i].size);
    }
    lengths_write(encoder, blobs, count, out);
    start = out->size;
    buf_byte(out, METHOD_ZSTD);
    if (all->size < ZSTD_WORTHWHILE ||
        encoder_zstd(encoder, all->data, all->size, effort, out) >= all->size) {
        out->size = start;
        buf_byte(out, METHOD_PLAIN);
        buf_append(out, all->data, all->size);
    }
}

/* Lengths become places: blobs[i].size is set and the sum checked. */
static enum err lengths_read(struct str *bytes, size_t count, struct arena *arena,
                             struct str *blobs, size_t *ret_total, struct why *why)
{
    int64_t *lengths = arena_array(arena, count, sizeof lengths[0]);
    uint64_t size;
    size_t total = 0;

    if (lengths == NULL)
        return arena_spent(arena, "the lengths of a blob column", why);
    if (!buf_take_varint(bytes, &size) || size > bytes->size)
        return fail(why, ERR_CORRUPT, "blob column: its lengths are cut off");
    TRY(time_column_decode((struct str){bytes->data, (size_t)size}, count, lengths, why));
    bytes->data += size;
    bytes->size -= (size_t)size;
    for (size_t i = 0; i < count; i++) {
        if (lengths[i] < 0 || lengths[i] > (int64_t)(COLUMN_BLOB_SIZE_MAX - total))
            return fail(why, ERR_CORRUPT, "blob column: string %zu would be %lld bytes long", i,
                        (long long)lengths[i]);
        blobs[i].size = (size_t)lengths[i];
        total += blobs[i].size;
    }
    *ret_total = total;
    return ERR_NONE;
}

static enum err bytes_read(struct str bytes, char *all, size_t total, struct why *why)
{
    unsigned method = bytes.size == 0 ? UINT8_MAX : (uint8_t)bytes.data[0];
    size_t size;

    if (method == METHOD_PLAIN && bytes.size - 1 == total) {
        if (total > 0)
            memcpy(all, bytes.data + 1, total);
        return ERR_NONE;
    }
    if (method != METHOD_ZSTD)
        return fail(why, ERR_CORRUPT, "blob column: method %u with %zu bytes for %zu", method,
                    bytes.size, total);
    size = ZSTD_decompress(all, total, bytes.data + 1, bytes.size - 1);
    if (ZSTD_isError(size) || size != total)
        return fail(why, ERR_CORRUPT, "blob column: zstd: %s",
                    ZSTD_isError(size) ? ZSTD_getErrorName(size) : "too few bytes");
    return ERR_NONE;
}

enum err blob_column_decode(struct str bytes, size_t count, struct arena *arena, struct str *blobs,
                            struct why *why)
{
    size_t total = 0;
    char *all;

    MUST(count >= 1 && count <= COLUMN_ROWS_MAX);
    TRY(lengths_read(&bytes, count, arena, blobs, &total, why));
    all = arena_alloc(arena, total + 1);
    if (all == NULL)
        return arena_spent(arena, "the bytes of a blob column", why);
    TRY(bytes_read(bytes, all, total, why));
    for (size_t i = 0; i < count; i++) {
        blobs[i].data = all;
        all += blobs[i].size;
    }
    return ERR_NONE;
}
