/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as each of OTLP's requests in JSON. What it becomes is protobuf that can be read. */
#include "codec/otlp.h"
#include "codec/otlp_json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum otlp_message messages[] = {OTLP_M_TRACES, OTLP_M_METRICS, OTLP_M_LOGS};
    char *copy = malloc(size + 1);
    struct str text = {copy, size};

    if (copy == NULL)
        must_memory(size);
    memcpy(copy, data, size);
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        struct buf bytes = {0};
        struct buf back = {0};
        if (otlp_json_read(text, messages[i], &bytes, NULL) == ERR_NONE) {
            enum err err = otlp_json_write(buf_view(&bytes), messages[i], &back, NULL);
            MUST(err == ERR_NONE || err == ERR_LIMIT);
        }
        buf_done(&bytes);
        buf_done(&back);
    }
    free(copy);
    return 0;
}
