/* SPDX-License-Identifier: Apache-2.0 */
/* column_encoder - the memory that encoding needs, kept from one column to the next.
 *
 * Private to the column modules; column.h tells how to make and free one. */
#pragma once
#include "store/column.h"
#include "store/column_patch.h"
#include "store/column_run.h"

struct ZSTD_CCtx_s;

struct column_encoder {
    struct run_scratch scratch;
    struct patch_list patches;
    double *numbers;    /* Values without NaN. */
    int64_t *mantissas; /* Or ordered bits, or lengths. */
    uint32_t *refused;  /* Rows that would not be decimal. */
    uint8_t *planes;    /* 8 bytes a row. */
    size_t capacity;    /* Rows that these four have room for. */
    struct buf trial;
    struct ZSTD_CCtx_s *zstd; /* Made when first used. */
};

void encoder_reserve(struct column_encoder *encoder, size_t count);

/* Appends data as a zstd frame; returns the frame's size. */
size_t encoder_zstd(struct column_encoder *encoder, const void *data, size_t size,
                    enum column_effort effort, struct buf *out);
