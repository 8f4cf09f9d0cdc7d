/* SPDX-License-Identifier: Apache-2.0 */
/* exporter - hands on what was taken in, as OTLP, to Jaeger or any collector.
 *
 * A sink of the hub writes it to a queue on disk before senders hear yes; a thread of its own sends
 * from there. Each signal has its own way: targets in order of preference, of which the first that
 * works gets everything. What a target cannot take now waits; what it refuses for good, and what
 * the queue has no room for, is counted. Delivery is at least once. */
#pragma once
#include "codec/otlp.h"
#include "hub/self.h"
#include "hub/sink.h"

#define EXPORT_TARGETS_MAX 8 /* Of one signal. */
#define EXPORT_HEADERS_MAX 32

struct exporter_options {
    const char *folder; /* Of the queue: export.db and what goes with it. */
    struct exporter_route {
        const struct str *urls; /* See target.h; none: the signal is not exported. */
        size_t urls_count;
    } routes[OTLP_SIGNAL_COUNT];
    const struct str *headers; /* "name=value"; sent to every target. */
    size_t headers_count;
    const struct str *tenants; /* Whose data is exported. */
    size_t tenants_count;
    bool gzip;
    const char *ca_file; /* PEM; NULL: the system's authorities. */
    bool unverified;     /* Any certificate is taken. */
    uint64_t queue_bytes_max;
    int64_t timeout_ms;
};

struct exporter;

/* ERR_INVALID: an address or a header. A queue that cannot be read is set aside. The options are
 * copied, but for texts, which outlive the exporter. */
CHECKED enum err exporter_open(const struct exporter_options *options,
                               struct exporter **ret_exporter, struct why *why);
/* Starts sending. */
CHECKED enum err exporter_start(struct exporter *exporter, struct why *why);
/* The hub has stopped. What is under way is sent again next time. Always returns NULL. */
struct exporter *exporter_close(struct exporter *exporter);

/* A sink beside the store; self is the exporter. */
extern const struct sink_ops exporter_sink;

struct exporter_status {
    size_t targets_count; /* 0: the signal is not exported. */
    const char *target;   /* Where it goes now. */
    uint64_t queued_items;
    uint64_t queued_bytes;
    uint64_t sent_items;
    uint64_t refused_items; /* By the receiver, for good. */
    uint64_t dropped_items; /* No room in the queue. */
    uint64_t failures;      /* Attempts that have to be made again. */
    int64_t sent_ms;        /* When something last arrived; 0: not yet. */
    bool is_failing;        /* The last attempt failed. */
    char complaint[512];    /* The newest, or "". */
};
/* Any thread. */
void exporter_read_status(struct exporter *exporter, enum otlp_signal signal,
                          struct exporter_status *ret_status);

extern const char *const exporter_signal_names[OTLP_SIGNAL_COUNT]; /* "traces", … */

/* Its part of what sonde tells about itself; part is an exporter. */
CHECKED enum err exporter_self(void *part, struct self_report *report, struct why *why);
