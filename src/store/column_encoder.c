/* SPDX-License-Identifier: Apache-2.0 */
/* Everything grows to the longest column seen and stays. */
#include "store/column_encoder.h"

#include <stdlib.h>
#include <zstd.h>

#define ZSTD_LEVEL_FAST 1
#define ZSTD_LEVEL_BEST 12

struct column_encoder *column_encoder_new(void)
{
    struct column_encoder *encoder = calloc(1, sizeof *encoder);

    if (encoder == NULL)
        must_memory(sizeof *encoder);
    return encoder;
}

struct column_encoder *column_encoder_free(struct column_encoder *encoder)
{
    if (encoder == NULL)
        return NULL;
    run_scratch_done(&encoder->scratch);
    patch_list_done(&encoder->patches);
    free(encoder->numbers);
    free(encoder->mantissas);
    free(encoder->refused);
    free(encoder->planes);
    buf_done(&encoder->trial);
    ZSTD_freeCCtx(encoder->zstd);
    free(encoder);
    return NULL;
}

void column_encoder_freep(struct column_encoder **encoder)
{
    *encoder = column_encoder_free(*encoder);
}

static void *grown(void *array, size_t size)
{
    void *larger = realloc(array, size);

    if (larger == NULL)
        must_memory(size);
    return larger;
}

void encoder_reserve(struct column_encoder *encoder, size_t count)
{
    if (count <= encoder->capacity)
        return;
    encoder->numbers = grown(encoder->numbers, count * sizeof encoder->numbers[0]);
    encoder->mantissas = grown(encoder->mantissas, count * sizeof encoder->mantissas[0]);
    encoder->refused = grown(encoder->refused, count * sizeof encoder->refused[0]);
    encoder->planes = grown(encoder->planes, count * 8);
    encoder->capacity = count;
}

size_t encoder_zstd(struct column_encoder *encoder, const void *data, size_t size,
                    enum column_effort effort, struct buf *out)
{
    size_t bound = ZSTD_compressBound(size);
    size_t written;

    if (encoder->zstd == NULL)
        encoder->zstd = ZSTD_createCCtx();
    if (encoder->zstd == NULL)
        must_memory(bound);
    written = ZSTD_compressCCtx(encoder->zstd, buf_reserve(out, bound), bound, data, size,
                                effort == COLUMN_BEST ? ZSTD_LEVEL_BEST : ZSTD_LEVEL_FAST);
    MUST(!ZSTD_isError(written)); /* The bound was kept. */
    out->size += written;
    return written;
}
