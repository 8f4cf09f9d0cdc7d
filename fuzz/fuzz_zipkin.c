/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as Zipkin's JSON. What is read of it can be written as OTLP. */
#include "codec/otlp.h"
#include "codec/zipkin.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct batch *batch = batch_new("default", "fuzz", (size_t)64 << 20);
    char *copy = malloc(size + 1);
    struct buf out = {0};

    if (copy == NULL)
        must_memory(size);
    memcpy(copy, data, size);
    if (zipkin_read((struct str){copy, size}, batch, NULL) == ERR_NONE) {
        free(copy); /* Nothing of the batch points into the message. */
        copy = NULL;
        otlp_write_traces(batch->spans.items, batch->spans.count, &out);
    }
    free(copy);
    buf_done(&out);
    batch_free(batch);
    return 0;
}
