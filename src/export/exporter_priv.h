/* SPDX-License-Identifier: Apache-2.0 */
/* exporter_priv - what the taking in (exporter_sink.c), the sending (exporter_send.c) and the life
 * (exporter.c) of an exporter share. */
#pragma once
#include "codec/otlp_metrics_write.h"
#include "export/exporter.h"
#include "export/queue.h"
#include "export/target.h"
#include "io/http_client.h"
#include "io/http_coding.h"
#include "io/loop.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    EXPORTER_MAGIC = 0x6578706f,
    PARCELS = 4, /* Messages of a signal under way at a time. */
};

struct route;

/* A message on its way, with the rows of the queue that it is made of. */
struct parcel {
    struct route *route;
    struct target *target; /* While it is under way. */
    struct buf body;       /* Not compressed; kept until the answer. */
    struct queue_rows rows;
    bool is_full;      /* There is something to be sent. */
    int64_t split_at;  /* Rows behind it up to split_end are sent one by one. */
    int64_t split_end; /* 0: not split. */
};

/* The way of one signal. Exporter thread, but for `status`. */
struct route {
    struct exporter *exporter;
    enum otlp_signal signal;
    struct target targets[EXPORT_TARGETS_MAX];
    size_t targets_count;
    struct parcel parcels[PARCELS];
    int64_t read_id; /* Rows up to it are in parcels, or gone. */
    struct loop_timer timer;
    struct exporter_status status; /* Under exporter->lock; counts of the queue are the queue's. */
};

struct exporter {
    uint32_t magic;
    struct exporter_options options;
    struct http_header headers[EXPORT_HEADERS_MAX];
    size_t headers_count;
    struct queue *queue;
    struct otlp_metrics_writer *metrics; /* Writer thread. */
    struct queue_reader *reader;         /* Exporter thread, as the rest. */
    struct loop *loop;
    struct http_client *client;
    struct http_gzip *gzip;
    pthread_t thread;
    bool is_running;
    struct loop_task wake;
    _Atomic bool is_waking; /* wake is on its way. */
    struct loop_task stop;
    pthread_mutex_t lock;
    struct route routes[OTLP_SIGNAL_COUNT];
};

/* Sends what can be sent. Exporter thread. */
void route_pump(struct route *route);
void exporter_lock(struct exporter *exporter);
void exporter_unlock(struct exporter *exporter);
