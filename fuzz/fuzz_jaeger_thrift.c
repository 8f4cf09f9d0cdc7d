/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a Batch of jaeger.thrift. What is read of it can be written as OTLP. */
#include "codec/jaeger_thrift.h"
#include "codec/otlp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct batch *batch = batch_new("default", "fuzz", (size_t)64 << 20);
    char *copy = malloc(size == 0 ? 1 : size); /* Its exact size: reading beyond it shows. */
    struct buf out = {0};

    if (copy == NULL)
        must_memory(size);
    if (size > 0)
        memcpy(copy, data, size);
    if (jaeger_thrift_read((struct str){copy, size}, batch, NULL) == ERR_NONE)
        otlp_write_traces(batch->spans.items, batch->spans.count, &out);
    buf_done(&out);
    batch_free(batch);
    free(copy);
    return 0;
}
