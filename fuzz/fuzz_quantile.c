/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes are refused or become a sketch that can be asked, merged and written again. */
#include "sketch/quantile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct quantile sketch CLEANUP(quantile_done);
    struct quantile other CLEANUP(quantile_done);
    struct buf bytes CLEANUP(buf_done) = {0};

    quantile_init(&other, QUANTILE_ERROR_DEFAULT);
    quantile_add(&other, 1);
    if (quantile_read((struct str){(const char *)data, size}, &sketch, NULL) != ERR_NONE) {
        quantile_init(&sketch, QUANTILE_ERROR_DEFAULT);
        return 0;
    }
    (void)quantile_get(&sketch, 0.5);            /* Must only not crash. */
    (void)quantile_merge(&sketch, &other, NULL); /* May differ in error. */
    quantile_write(&sketch, &bytes);
    return 0;
}
