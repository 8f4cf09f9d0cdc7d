/* SPDX-License-Identifier: Apache-2.0 */
/* Exposition text in both formats, read twice through one memo: the second reading, which looks
 * series up instead of parsing them, must say the same as the first. */
#include "codec/prometheus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_twice(struct str text, enum prometheus_format format)
{
    struct prometheus_options options = {.format = format, .now_ms = 1, .describe = true};
    struct label_memo *memo = label_memo_new(16 << 20);
    struct batch *first = batch_new("default", "fuzz", 16 << 20);
    struct batch *second = batch_new("default", "fuzz", 16 << 20);
    struct why why = WHY_INIT;

    enum err err = prometheus_read(text, "fuzz", &options, memo, first, &why);
    MUST(prometheus_read(text, "fuzz", &options, memo, second, &why) == err);
    MUST(first->samples.count == second->samples.count);
    for (size_t i = 0; i < first->samples.count; i++) {
        MUST(labels_eq(first->samples.items[i].labels, second->samples.items[i].labels));
        MUST(memcmp(&first->samples.items[i].value, &second->samples.items[i].value,
                    sizeof(double)) == 0);
    }
    batch_free(first);
    batch_free(second);
    label_memo_free(memo);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};

    read_twice(text, PROMETHEUS_TEXT);
    read_twice(text, PROMETHEUS_OPENMETRICS);
    return 0;
}
