/* SPDX-License-Identifier: Apache-2.0 */
/* profile - weighed stacks: where time, bytes or waits went. Plain data.
 *
 * Native frames carry (build id, offset) and are named later by symbol; interpreter frames carry
 * their function, file and line from the start. */
#pragma once
#include "model/label.h"
#include "model/span.h"

enum profile_kind {
    PROFILE_CPU,     /* Nanoseconds on the processor. */
    PROFILE_OFF_CPU, /* Nanoseconds waiting. */
    PROFILE_ALLOC_BYTES,
    PROFILE_LIVE_BYTES,
    PROFILE_LOCK, /* Nanoseconds waiting for a lock. */
    PROFILE_KIND_COUNT
};

enum frame_kind {
    FRAME_NATIVE,
    FRAME_KERNEL,
    FRAME_PYTHON,
    FRAME_OTHER,
};

struct frame {
    enum frame_kind kind;
    struct str build_id; /* Raw bytes; empty when unknown. */
    uint64_t offset;     /* In the file of build_id, or the address when unknown. */
    struct str function; /* Empty until named. */
    struct str file;
    int32_t line; /* 0: unknown. */
};

struct stack {
    const struct frame *frames; /* Leaf first. */
    size_t count;
};

struct profile_sample {
    enum profile_kind kind;
    int64_t time_ns;
    int64_t weight; /* In the unit of kind. */
    uint64_t count; /* How many events were folded into it. */
    const struct stack *stack;
    const struct labels *labels;      /* process, thread, service… */
    uint8_t trace_id[TRACE_ID_BYTES]; /* All zero: none. */
    uint8_t span_id[SPAN_ID_BYTES];
};
