/* SPDX-License-Identifier: Apache-2.0 */
#include "sources/push.h"

#include "base/clock.h"
#include "codec/prometheus.h"
#include "codec/remote_write.h"

#include <stdlib.h>

struct push {
    /* A memo serves one spelling of series only. */
    struct label_memo *text;
    struct label_memo *write;
};

struct push *push_new(void)
{
    struct push *push = calloc(1, sizeof(*push));

    if (push == NULL)
        must_memory(sizeof(*push));
    push->text = label_memo_new(PUSH_MEMO_BYTES / 2);
    push->write = label_memo_new(PUSH_MEMO_BYTES / 2);
    return push;
}

struct push *push_free(struct push *push)
{
    if (push != NULL) {
        label_memo_free(push->text);
        label_memo_free(push->write);
        free(push);
    }
    return NULL;
}

enum err push_text(struct push *push, struct str body, struct str content_type,
                   const struct push_options *options, struct batch **ret_batch, struct why *why)
{
    struct batch *batch CLEANUP(batch_freep) =
        batch_new(options->tenant, "push", options->limit_bytes + (1u << 20));
    struct prometheus_options reading = {
        .format = prometheus_format_of(content_type),
        .now_ms = clock_now_ms(),
        .base = options->base,
        .base_count = options->base_count,
        .describe = true,
    };

    if (body.size > options->limit_bytes)
        return fail(why, ERR_TOO_LARGE, "a body of %zu bytes is over %zu bytes", body.size,
                    options->limit_bytes);
    batch->time_ms = reading.now_ms;
    TRY(prometheus_read(body, "body", &reading, push->text, batch, why));
    *ret_batch = TAKE(batch);
    return ERR_NONE;
}

enum err push_remote_write(struct push *push, struct str body, const struct push_options *options,
                           struct batch **ret_batch, struct why *why)
{
    struct batch *batch CLEANUP(batch_freep) =
        batch_new(options->tenant, "remote_write", options->limit_bytes + (1u << 20));
    struct remote_write_counts counts;

    batch->time_ms = clock_now_ms();
    TRY(remote_write_read(body, options->limit_bytes, push->write, batch, &counts, why));
    *ret_batch = TAKE(batch);
    return ERR_NONE;
}
