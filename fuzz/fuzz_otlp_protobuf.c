/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as each of OTLP's three requests. What is understood must be written and read again to
 * the same. */
#include "codec/otlp.h"
#include "codec/otlp_json.h"
#include "codec/otlp_metrics.h"
#include "codec/otlp_metrics_write.h"

#include <stdlib.h>

static void check_traces(struct str message)
{
    struct batch *batch = batch_new("default", "fuzz", 64 << 20);
    struct batch *again = batch_new("default", "fuzz", 64 << 20);
    struct buf first = {0};
    struct buf second = {0};

    if (otlp_read_traces(message, batch, NULL) == ERR_NONE) {
        otlp_write_traces(batch->spans.items, batch->spans.count, &first);
        enum err err = otlp_read_traces(buf_view(&first), again, NULL);
        MUST(err == ERR_NONE && again->spans.count == batch->spans.count);
        otlp_write_traces(again->spans.items, again->spans.count, &second);
        MUST(str_eq(buf_view(&first), buf_view(&second)));
    }
    buf_done(&first);
    buf_done(&second);
    batch_free(batch);
    batch_free(again);
}

static void check_logs(struct str message)
{
    struct batch *batch = batch_new("default", "fuzz", 64 << 20);
    struct buf bytes = {0};

    batch->time_ms = 1;
    if (otlp_read_logs(message, batch, NULL) == ERR_NONE) {
        size_t count = batch->events.count;
        otlp_write_logs(batch->events.items, count, &bytes);
        batch_clear(batch);
        enum err err = otlp_read_logs(buf_view(&bytes), batch, NULL);
        MUST(err == ERR_NONE && batch->events.count == count);
    }
    buf_done(&bytes);
    batch_free(batch);
}

/* What is understood is written so that it can be read. */
static void write_metrics(const struct batch *batch)
{
    struct otlp_metrics_writer *writer = otlp_metrics_writer_new(1 << 20);
    struct otlp_metrics *metrics = otlp_metrics_new(1 << 20);
    struct batch *again = batch_new("default", "fuzz", 64 << 20);

    otlp_metrics_writer_note(writer, batch);
    otlp_write_samples(writer, batch, 0, batch->samples.count, &again->payload);
    (void)otlp_write_sketches(writer, batch, &again->payload); /* However many there are. */
    enum err err = otlp_read_metrics(metrics, buf_view(&again->payload), again, NULL);
    MUST(err == ERR_NONE || err == ERR_LIMIT);
    batch_free(again);
    otlp_metrics_free(metrics);
    otlp_metrics_writer_free(writer);
}

static void check_metrics(struct str message)
{
    struct otlp_metrics *metrics = otlp_metrics_new(1 << 20);
    struct batch *batch = batch_new("default", "fuzz", 64 << 20);

    for (int round = 0; round < 2; round++) { /* The second meets what the first left. */
        batch_clear(batch);
        if (otlp_read_metrics(metrics, message, batch, NULL) != ERR_NONE)
            break;
    }
    write_metrics(batch);
    batch_free(batch);
    otlp_metrics_free(metrics);
}

static void check_json(struct str message)
{
    struct buf text = {0};
    struct buf bytes = {0};

    if (otlp_json_write(message, OTLP_M_TRACES, &text, NULL) == ERR_NONE) {
        enum err err = otlp_json_read(buf_view(&text), OTLP_M_TRACES, &bytes, NULL);
        MUST(err == ERR_NONE);
    }
    buf_done(&text);
    buf_done(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1); /* Its end is where the sanitizer sees it. */
    struct str message = {copy, size};

    if (copy == NULL)
        must_memory(size);
    memcpy(copy, data, size);
    check_traces(message);
    check_logs(message);
    check_metrics(message);
    check_json(message);
    free(copy);
    return 0;
}
