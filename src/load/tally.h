/* SPDX-License-Identifier: Apache-2.0 */
/* tally - what one thread counts while it drives: requests, faults, durations.
 *
 * One thread counts; any other may drain at the same time, counter by counter (histogram.h). Every
 * field counts upward only, so what came since the last look is a difference.
 *
 * Latency runs from the moment a request was meant to start, so that waiting for a free connection
 * or for a generator that is late counts; service time runs from the first byte sent. Requests that
 * timed out are in both, with the time that was waited. Requests that got no answer otherwise
 * (refused, reset) are in none: a fast refusal is no fast answer. */
#pragma once
#include "load/fault.h"
#include "load/histogram.h"

enum { TALLY_STATUS_MAX = 600 };

struct tally {
    uint64_t requests; /* Finished, well or not. */
    uint64_t answers;  /* With a complete answer, whatever it says. */
    uint64_t failures; /* Of requests; the sum of faults. */
    uint64_t bytes_in; /* From the network, heads included, after TLS. */
    uint64_t bytes_out;
    uint64_t faults[FAULT_COUNT];
    uint64_t statuses[TALLY_STATUS_MAX]; /* By HTTP status; 0 for protocols without. */
    struct histogram latency;
    struct histogram service;
    struct histogram first_byte; /* From the first byte sent to the first received. */
};

/* What one thread counts beside its requests. */
struct tally_links {
    uint64_t connects;     /* Tried. */
    uint64_t connected;    /* TCP is there. */
    uint64_t resumed;      /* TLS sessions taken up again. */
    uint64_t closed_early; /* Kept alive, yet closed by the peer while idle or after an answer. */
    uint64_t iterations;   /* Of scenarios, from first to last step. */
    uint64_t arrivals;     /* Of the open model: started or queued. */
    uint64_t dropped;    /* Arrivals that found the queue full, or were still queued at the end. */
    uint64_t unfinished; /* Still under way when the run was over. */
    int64_t backlog_max; /* Arrivals that waited for a free connection, at most. */
    int64_t backlog;     /* Now. */
    int64_t users_active;
    int64_t connections_open;
    struct histogram dns; /* Where each connection asks for the name. */
    struct histogram connect;
    struct histogram tls;
    struct histogram lateness; /* How late the generator itself looked at an arrival. */
    struct histogram queued;   /* How long arrivals waited for a free connection. */
};

/* Empty again. Writes only what is not zero: a page that never held anything is never touched. */
void tally_clear(struct tally *tally);
void tally_links_clear(struct tally_links *links);

void tally_merge(struct tally *into, const struct tally *from);
void tally_links_merge(struct tally_links *into, const struct tally_links *from);

/* Adds to `into` what came to `live` since the last drain, and brings `seen` up to date. */
void tally_drain(const struct tally *live, struct tally *seen, struct tally *into);

static inline void tally_fault(struct tally *tally, enum fault fault)
{
    COUNTER_ADD(tally->requests, 1);
    COUNTER_ADD(tally->failures, 1);
    COUNTER_ADD(tally->faults[fault], 1);
}

/* A complete answer; whether its status or checks make it a failure is told beside. */
static inline void tally_answer(struct tally *tally, int64_t latency_ns, int64_t service_ns,
                                int64_t first_byte_ns, unsigned status)
{
    COUNTER_ADD(tally->requests, 1);
    COUNTER_ADD(tally->answers, 1);
    COUNTER_ADD(tally->statuses[status < TALLY_STATUS_MAX ? status : 0], 1);
    histogram_add(&tally->latency, latency_ns);
    histogram_add(&tally->service, service_ns);
    histogram_add(&tally->first_byte, first_byte_ns);
}
