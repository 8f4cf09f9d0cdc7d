/* SPDX-License-Identifier: Apache-2.0 */
/* traces - the writer's half of spans and events: staged for their day, committed as pending rows,
 * sealed into blocks. Beside them a block of spans has two small rows, which tell what it may hold:
 *
 *     KIND_SPAN          group = the block's number in its file, from 1
 *     KIND_SPAN_SUMMARY  group 0: what may be in it, see summaries.h
 *     KIND_SPAN_TERMS    group = the number: the set of its key=value pairs
 *     KIND_EVENT         group = the number, likewise; 0 in files of before, which have no
 *     KIND_EVENT_SUMMARY group 0
 *
 * The writer keeps nothing of it in memory: readers look at pending rows where they lie. Writer
 * thread. */
#pragma once
#include "store/day.h"
#include "store/event_block.h"
#include "store/span_block.h"

struct tenant;

enum {
    TRACES_SEAL_ITEMS = 16384,           /* Pending spans and events of a day, */
    TRACES_SEAL_BYTES = 16 << 20,        /* or their bytes: then they are sealed. */
    TRACES_FUTURE_MS_MAX = 24 * 3600000, /* A span that starts later has a clock that is wrong. */
};

/* Of one day, since the last commit. The items are borrowed from batches, which live until then. */
struct trace_stage {
    const struct span **spans;
    size_t spans_count, spans_capacity;
    const struct event **events;
    size_t events_count, events_capacity;
};

/* What packing needs, kept between commits. All zero; made when first used. */
struct trace_tools {
    struct span_packer *spans;
    struct event_packer *events;
    struct terms traces;
    struct terms pairs;
};

void trace_stage_done(struct trace_stage *stage);
void trace_tools_done(struct trace_tools *tools);

struct span_packer *traces_span_packer(struct tenant *tenant);

void trace_stage_span(struct trace_stage *stage, const struct span *span);
void trace_stage_event(struct trace_stage *stage, const struct event *event);

static inline bool trace_stage_is_empty(const struct trace_stage *stage)
{
    return stage->spans_count + stage->events_count == 0;
}

/* Within a transaction of the day: writes the stage's items as pending rows. */
CHECKED enum err traces_put(struct tenant *tenant, struct day *day, const struct trace_stage *stage,
                            struct why *why);
/* In a transaction of its own: what is pending becomes blocks. */
CHECKED enum err traces_seal(struct tenant *tenant, struct day *day, struct why *why);

/* A pending row met when the file was opened. ERR_CORRUPT. */
CHECKED enum err traces_replay(struct tenant *tenant, struct day *day, int64_t id,
                               enum day_kind kind, struct str body, struct why *why);

/* Tail sampling (judge.c), where store_options has a judge. Spans are put as rows of
 * KIND_SPAN_WAITING; when they have waited they become rows of KIND_SPAN, without those that do not
 * stay. Sealing takes only these. */
void traces_note_waiting(struct day *day, int64_t id, int64_t now_ms, uint64_t items);
void traces_forget_waiting(struct day *day, uint64_t items); /* The newest: not committed. */
/* In a transaction of its own: judges what has waited long enough; with `now` everything. */
CHECKED enum err traces_judge(struct tenant *tenant, struct day *day, bool now, struct why *why);

/* Any thread: reads everything in the body of a row. ERR_CORRUPT; ERR_LIMIT. */
CHECKED enum err traces_check(enum day_kind kind, struct str body, struct arena *arena,
                              struct why *why);

static inline int64_t trace_ms(int64_t time_ns)
{
    return time_ns / 1000000 - (time_ns % 1000000 < 0);
}
