/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the messages of sdk_spans.h to its output, each behind its size as four bytes, big end
 * first: bench_otlp_write MESSAGES BASE_NS STEP_NS SPANS_PER_TRACE. Who reads it posts them. */
#include "sdk_spans.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct buf message = {0};

    if (argc != 5) {
        (void)fprintf(stderr, "usage: bench_otlp_write MESSAGES BASE_NS STEP_NS SPANS_PER_TRACE\n");
        return 2;
    }
    size_t count = strtoull(argv[1], NULL, 10);
    int64_t base_ns = strtoll(argv[2], NULL, 10);
    int64_t step_ns = strtoll(argv[3], NULL, 10);
    size_t per_trace = strtoull(argv[4], NULL, 10);
    if (per_trace == 0)
        return 2;
    for (size_t i = 0; i < count; i++) {
        buf_clear(&message);
        make_message(i, base_ns, step_ns, per_trace, &message);
        const unsigned char head[4] = {
            (unsigned char)(message.size >> 24), (unsigned char)(message.size >> 16),
            (unsigned char)(message.size >> 8), (unsigned char)message.size};
        if (fwrite(head, 1, sizeof(head), stdout) != sizeof(head) ||
            fwrite(message.data, 1, message.size, stdout) != message.size)
            return 1;
    }
    buf_done(&message);
    return fflush(stdout) == 0 ? 0 : 1;
}
