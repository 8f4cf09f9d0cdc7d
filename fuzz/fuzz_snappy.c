/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/snappy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out = {0};
    struct why why = WHY_INIT;

    if (snappy_unpack((struct str){(const char *)data, size}, 1 << 20, &out, &why) == ERR_NONE)
        MUST(out.size <= 1 << 20);
    buf_done(&out);
    return 0;
}
