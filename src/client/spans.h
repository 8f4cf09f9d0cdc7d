/* SPDX-License-Identifier: Apache-2.0 */
/* spans - spans that have ended, on their way to the sender: a ring of fixed slots. Layout and
 * threads: at the top of spans.c. */
#pragma once
#include "sonde/sonde.h"

#include <stdatomic.h>

enum {
    SPANS_MAX = 2048
}; /* Waiting at once: 2.8 MB, of which only what was used is ever touched. */

struct span_slot {
    _Atomic uint64_t turn;
    struct sonde_context context;
    struct sonde_context parent;
    const struct sonde_operation *operation;
    int64_t start_unix_ns;
    int64_t end_unix_ns;
    enum sonde_span_kind kind;
    bool failed;
    uint16_t attributes_size;
    char message[SONDE_MESSAGE_BYTES_MAX + 1];
    char attributes[SONDE_SPAN_BYTES_MAX];
};

/* All zero is an empty ring. */
struct span_ring {
    _Atomic uint64_t head; /* Of the writers. */
    _Atomic uint64_t tail; /* Of the reader. */
    struct span_slot slots[SPANS_MAX];
};

/* The span that is `ahead` places from the reader's end, or NULL when there is none yet. Reader. */
const struct span_slot *client_ring_at(struct span_ring *ring, uint64_t ahead);
void client_ring_free(struct span_ring *ring, uint64_t count);
