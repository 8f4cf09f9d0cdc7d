/* SPDX-License-Identifier: Apache-2.0 */
/* WriteRequests, unpacked: decoded twice through one memo, with the same outcome. One that is
 * broken is refused whole, however much of it was read before that was seen. */
#include "codec/remote_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str message = {(const char *)data, size};
    struct label_memo *memo = label_memo_new(16 << 20);
    struct batch *first = batch_new("default", "fuzz", 16 << 20);
    struct batch *second = batch_new("default", "fuzz", 16 << 20);
    struct remote_write_counts counts;
    struct why why = WHY_INIT;

    enum err err = remote_write_decode(message, memo, first, &counts, &why);
    MUST(remote_write_decode(message, memo, second, &counts, &why) == err);
    MUST(err != ERR_NONE || first->samples.count == second->samples.count);
    for (size_t i = 0; err == ERR_NONE && i < first->samples.count; i++)
        MUST(labels_eq(first->samples.items[i].labels, second->samples.items[i].labels));
    batch_free(first);
    batch_free(second);
    label_memo_free(memo);
    return 0;
}
