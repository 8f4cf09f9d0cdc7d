/* SPDX-License-Identifier: Apache-2.0 */
/* What `sonde load` and its agents send each other: the first byte picks the message, as a frame's
 * kind does. What was read and is written again reads the same. */
#include "base/must.h"
#include "load/agent_wire.h"
#include "load/parcel.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS = 3, TURNS_MAX = 1000 };

static void try_parcel(struct str bytes)
{
    struct parcel *parcel CLEANUP(parcel_freep) = NULL;
    struct parcel *again CLEANUP(parcel_freep) = NULL;
    struct buf out CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    if (parcel_read(bytes, &parcel, &why) != ERR_NONE) {
        MUST(why.text[0] != '\0');
        return;
    }
    parcel_write(parcel, &out);
    MUST(parcel_read(buf_view(&out), &again, NULL) == ERR_NONE);
    MUST(again->items_count == parcel->items_count);
    MUST(memcmp(&again->figures, &parcel->figures, sizeof(parcel->figures)) == 0);
    for (size_t i = 0; i < parcel->items_count; i++) {
        MUST(parcel->items[i].kind == again->items[i].kind);
        MUST(str_eq(parcel->items[i].name, again->items[i].name));
        MUST(str_eq(parcel->items[i].text, again->items[i].text));
        MUST(parcel->items[i].text.data[parcel->items[i].text.size] == '\0');
    }
}

/* One step, there and back. */
static void try_step(const struct tally *tally, const struct stream_tally *streams)
{
    static struct tally again;
    static struct stream_tally streams_again;
    struct buf out CLEANUP(buf_done) = {0};
    bool has_streams;
    size_t step;

    agent_put_step(&out, 2, tally, streams);
    struct str rest = buf_view(&out);
    MUST(agent_take_step(&rest, STEPS, &step, &again, &streams_again, &has_streams, NULL) ==
         ERR_NONE);
    MUST(step == 2 && has_streams == (streams != NULL) && rest.size == 0);
    MUST(memcmp(&again, tally, sizeof(again)) == 0);
    MUST(streams == NULL || memcmp(&streams_again, streams, sizeof(streams_again)) == 0);
}

static void try_interval(struct str rest)
{
    static struct tally tally, sum;
    static struct stream_tally streams;
    static struct tally_links links;
    struct why why = WHY_INIT;
    int64_t until_ns;
    bool has_streams;
    size_t step;

    for (int i = 0; i < TURNS_MAX; i++) {
        if (agent_take_step(&rest, STEPS, &step, &tally, &streams, &has_streams, &why) !=
            ERR_NONE) {
            MUST(why.text[0] != '\0');
            return;
        }
        if (step == STEPS)
            break;
        MUST(step < STEPS);
        try_step(&tally, has_streams ? &streams : NULL);
        tally_merge(&sum, &tally);
        (void)histogram_at(&tally.latency, 0.99);
    }
    if (agent_take_links(rest, &until_ns, &links, &why) == ERR_NONE)
        MUST(until_ns >= 0 && links.backlog >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {size < 2 ? "" : (const char *)data + 1, size < 2 ? 0 : size - 1};
    struct why why = WHY_INIT;
    struct agent_hello hello;
    struct agent_planned planned;
    struct agent_end end;
    uint64_t number;

    if (size == 0 || size > 1 << 16)
        return 0;
    switch (data[0]) {
    case AGENT_HELLO:
        if (agent_take_hello(bytes, &hello, &why) == ERR_NONE)
            MUST(hello.version.size <= AGENT_VERSION_MAX && str_is_utf8(hello.version));
        break;
    case AGENT_REFUSED:
        MUST(agent_take_refusal(bytes, &why) != ERR_NONE && why.err != ERR_NONE);
        break;
    case AGENT_PARCEL:
        try_parcel(bytes);
        break;
    case AGENT_PLANNED:
        if (agent_take_planned(bytes, &planned, &why) == ERR_NONE)
            MUST(planned.threads <= PLAN_THREADS_MAX);
        break;
    case AGENT_GO:
        if (agent_take_number(bytes, 1000, &number, &why) == ERR_NONE)
            MUST(number <= 1000);
        break;
    case AGENT_INTERVAL:
        try_interval(bytes);
        break;
    case AGENT_END:
        if (agent_take_end(bytes, STEPS, &end, &why) == ERR_NONE)
            MUST(end.measured_ns >= 0 && end.cpu_ns >= 0 && end.busiest >= 0);
        break;
    default:
        break;
    }
    return 0;
}
