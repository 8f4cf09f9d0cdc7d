/* SPDX-License-Identifier: Apache-2.0 */
/* Spans of the shape that SDKs send (12 attributes, four services, ten spans a trace): how many can
 * be decoded, and how many come all the way to the disk, per second of CPU time; and what a span
 * takes there. The messages are made first and are not counted. */
#include "codec/otlp_json.h"
#include "sdk_spans.h"
#include "store/store.h"
#include "store/trace_read.h"

#include <stdio.h>
#include <stdlib.h>

enum { MESSAGES = 400 };

static const int64_t STEP_NS = 50000;

static struct batch *decode(const struct buf *message)
{
    struct batch *batch = batch_new("default", "otlp", 64 << 20);
    struct why why = WHY_INIT;

    enum err err = otlp_read_traces(buf_view(message), batch, &why);
    MUST(err == ERR_NONE && batch->spans.count == MESSAGE_SPANS);
    return batch;
}

static void tell(const char *name, size_t spans, int64_t cpu_ns)
{
    printf("%-28s %10.0f spans per CPU second\n", name, (double)spans / ((double)cpu_ns / 1e9));
}

static void bench_decode(const struct buf *messages)
{
    int64_t before = clock_thread_cpu_ns();

    for (size_t i = 0; i < MESSAGES; i++)
        batch_free(decode(&messages[i]));
    tell("decode protobuf", (size_t)MESSAGES * MESSAGE_SPANS, clock_thread_cpu_ns() - before);
}

static void bench_json(const struct buf *messages)
{
    struct buf text = {0};
    struct buf bytes = {0};
    int64_t spent = 0;

    for (size_t i = 0; i < MESSAGES / 10; i++) {
        buf_clear(&text);
        enum err err = otlp_json_write(buf_view(&messages[i]), OTLP_M_TRACES, &text, NULL);
        MUST(err == ERR_NONE);
        int64_t before = clock_thread_cpu_ns();
        buf_clear(&bytes);
        err = otlp_json_read(buf_view(&text), OTLP_M_TRACES, &bytes, NULL);
        MUST(err == ERR_NONE);
        batch_free(decode(&bytes));
        spent += clock_thread_cpu_ns() - before;
    }
    tell("decode JSON", (size_t)MESSAGES / 10 * MESSAGE_SPANS, spent);
    buf_done(&text);
    buf_done(&bytes);
}

static double median(double *values, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t k = i; k > 0 && values[k] < values[k - 1]; k--) {
            double swap = values[k];
            values[k] = values[k - 1];
            values[k - 1] = swap;
        }
    return values[count / 2];
}

/* Traces by id, and a search for what is rare. */
static void bench_read(struct store *store, int64_t base_ns)
{
    double by_id[50];
    double searches[20];
    struct why why = WHY_INIT;

    for (size_t i = 0; i < 50; i++) {
        struct arena *arena = arena_new(256 << 20);
        struct store_view *view = NULL;
        struct span_list list;
        uint8_t trace_id[TRACE_ID_BYTES];
        uint64_t trace = next_random() % ((uint64_t)MESSAGES * MESSAGE_SPANS / SPANS_PER_TRACE);
        set_trace_id(trace_id, trace);
        int64_t before = clock_monotonic_ns();
        enum err err = store_view(store, "default", NULL, &view, &why);
        MUST(err == ERR_NONE);
        err = view->ops->traces->trace(view, trace_id, arena, &list, &why);
        MUST(err == ERR_NONE && list.count > 0);
        store_view_release(view);
        by_id[i] = (double)(clock_monotonic_ns() - before) / 1e6;
        arena_free(arena);
    }
    for (size_t i = 0; i < 20; i++) {
        struct arena *arena = arena_new(256 << 20);
        struct store_view *view = NULL;
        struct span_list list;
        struct trace_query query = TRACE_QUERY_ANY;
        query.from_ms = base_ns / CLOCK_NS_PER_MS;
        query.service = STR("checkout");
        query.duration_min_ns = 19 * CLOCK_NS_PER_MS;
        query.pairs[0] = (struct trace_pair){STR("http.response.status_code"), STR("500")};
        query.pairs_count = 1;
        int64_t before = clock_monotonic_ns();
        enum err err = store_view(store, "default", NULL, &view, &why);
        MUST(err == ERR_NONE);
        err = view->ops->traces->search(view, &query, arena, &list, &why);
        MUST(err == ERR_NONE && list.count > 0);
        store_view_release(view);
        searches[i] = (double)(clock_monotonic_ns() - before) / 1e6;
        arena_free(arena);
    }
    printf("%-28s %10.2f ms, median\n", "trace by id", median(by_id, 50));
    printf("%-28s %10.2f ms, median of all its time\n", "search by three things",
           median(searches, 20));
}

static void bench_store(const struct buf *messages, int64_t base_ns)
{
    struct store_options options = store_options_default;
    char folder[] = "/tmp/sonde-bench-otlp-XXXXXX";
    char command[80];
    struct store *store = NULL;
    struct store_stats stats;
    struct why why = WHY_INIT;
    const size_t group = 8; /* Messages of one commit, as several senders make them. */

    options.path = mkdtemp(folder);
    MUST(options.path != NULL);
    options.free_bytes_min = 0;
    enum err err = store_open(&options, &store, &why);
    MUST(err == ERR_NONE);
    int64_t before = clock_process_cpu_ns();
    int64_t wall = clock_monotonic_ns();
    for (size_t i = 0; i < MESSAGES; i += group) {
        struct batch *batches[8];
        for (size_t k = 0; k < group; k++) {
            batches[k] = decode(&messages[i + k]);
            err = store_accept(store, batches[k], &why);
            MUST(err == ERR_NONE && batches[k]->rejected_count == 0);
        }
        err = store_commit(store, &why);
        MUST(err == ERR_NONE);
        for (size_t k = 0; k < group; k++)
            batch_free(batches[k]);
    }
    err = store_compact(store, &why); /* Seals the rest. */
    MUST(err == ERR_NONE);
    tell("to the disk, sealed", (size_t)MESSAGES * MESSAGE_SPANS, clock_process_cpu_ns() - before);
    printf("%-28s %10.0f spans per second\n", "the same by the clock",
           (double)MESSAGES * MESSAGE_SPANS / ((double)(clock_monotonic_ns() - wall) / 1e9));
    bench_read(store, base_ns);
    store = store_close(store);
    err = store_open(&options, &store, &why);
    MUST(err == ERR_NONE);
    err = store_compact(store, &why);
    MUST(err == ERR_NONE);
    store_read_stats(store, &stats);
    printf("%-28s %10.1f bytes a span\n", "on the disk",
           (double)stats.disk_bytes / ((double)MESSAGES * MESSAGE_SPANS));
    store_close(store);
    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    int status = system(command);
    MUST(status == 0);
}

int main(void)
{
    struct buf *messages = calloc(MESSAGES, sizeof(*messages));
    int64_t base_ns = clock_now_ns() - 1800 * CLOCK_NS_PER_S;
    size_t bytes = 0;

    MUST(messages != NULL);
    for (size_t i = 0; i < MESSAGES; i++) {
        make_message(i, base_ns, STEP_NS, SPANS_PER_TRACE, &messages[i]);
        bytes += messages[i].size;
    }
    printf("%-28s %10.0f bytes a span\n", "on the wire",
           (double)bytes / ((double)MESSAGES * MESSAGE_SPANS));
    bench_decode(messages);
    bench_json(messages);
    bench_store(messages, base_ns);
    for (size_t i = 0; i < MESSAGES; i++)
        buf_done(&messages[i]);
    free(messages);
    return 0;
}
