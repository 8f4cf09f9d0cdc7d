/* SPDX-License-Identifier: Apache-2.0 */
/* client_priv - what the files of libsonde share. Layout and threads: at the top of recorder.c.
 *
 * Nothing below may call what can end the process: no buf, no arena, no MUST. */
#pragma once
#include "sonde/sonde.h"
#include "stats/sla.h"

#include <pthread.h>
#include <stdatomic.h>

/* What was done in one second, and when it ended. */
struct second {
    int64_t end_unix_ms;
    double calls_rps;
    double failures_rps;
};

enum {
    SECONDS_MAX = 300, /* Of the past that a report shows. */
    HANDLES_MAX = SONDE_HANDLES_MAX,
    /* Keys of sketch/quantile_key at precision 0 (1 %): 1 ns is 0, 1 h is 1,460. */
    BUCKETS = 1472,
    HISTOGRAMS_MAX = 16384,
    TABLE_SIZE = 4096, /* Places for names: at most a quarter is used. */
    VALUES_MAX = 512,  /* Counters, and as many gauges. */
    OTHER = 0,         /* Index of the operation that stands in past the limits. */
};

/* One thread's numbers of one operation. The thread that holds the lane writes, anybody reads. */
struct histogram {
    _Atomic uint64_t count;
    _Atomic uint64_t failures;
    _Atomic int64_t sum_ns;
    _Atomic int64_t min_ns;
    _Atomic int64_t max_ns;
    _Atomic uint32_t epoch; /* Other than the handle's: was reset, and counts as empty. */
    uint32_t unused[3];
    _Atomic uint32_t buckets[BUCKETS];
};

_Static_assert(sizeof(struct histogram) <= 8192, "8 KB per operation and thread is the promise");

/* What one thread records into; adopted by another when that thread has ended. */
struct lane {
    _Atomic(struct histogram *) histograms[SONDE_OPERATIONS_MAX];
    atomic_bool taken;
};

/* A bucket about to overflow 32 bits moves the whole histogram here. Made at need, under a lock. */
struct spill {
    uint64_t count;
    uint64_t failures;
    int64_t sum_ns;
    uint64_t buckets[BUCKETS];
};

struct sender;

struct sonde_operation {
    struct sonde *sonde;
    uint32_t index;
    uint32_t name_size;
    _Atomic int64_t first_ns; /* Start of the first record since the last reset; 0: none. */
    /* Of the ticker: count at the last tick, and per second. */
    uint64_t ticked_count;
    uint64_t ticked_failures;
    uint32_t ticked_epoch;
    _Atomic uint64_t now_rps;
    _Atomic uint64_t peak_rps;
    _Atomic int64_t slow_ns;     /* P99 so far, while spans are sent; 0: too few calls to tell. */
    struct spill *spill;         /* Under the handle's lock. */
    struct sla_targets promises; /* Likewise. */
    /* The slowest call with its metadata, at SONDE_DETAILED; the flag guards the three. */
    atomic_flag slowest_busy;
    uint32_t slowest_epoch;
    uint16_t slowest_size;
    _Atomic int64_t slowest_ns;
    char slowest[SONDE_METADATA_BYTES_MAX];
    char name[SONDE_NAME_BYTES_MAX + 1];
};

struct sonde_counter {
    _Atomic uint64_t value;
    char name[SONDE_NAME_BYTES_MAX + 1];
};

struct sonde_gauge {
    _Atomic double value;
    char name[SONDE_NAME_BYTES_MAX + 1];
};

/* Names to indices: places hold index + 1. Read without a lock, written under the handle's. */
struct names {
    _Atomic uint32_t places[TABLE_SIZE];
    _Atomic uint32_t count;
};

struct collector {
    sonde_collector collect;
    void *self;
};

struct sonde {
    _Atomic int level;
    _Atomic uint32_t epoch;
    uint64_t id;    /* Never used again in this process. */
    uint32_t index; /* In the table of handles and of each thread's lanes. */
    char service_name[SONDE_NAME_BYTES_MAX + 1];

    struct names operation_names;
    struct names counter_names;
    struct names gauge_names;
    struct sonde_operation operations[SONDE_OPERATIONS_MAX];
    struct sonde_counter counters[VALUES_MAX];
    struct sonde_gauge gauges[VALUES_MAX];

    _Atomic uint32_t lanes_used; /* High-water mark. */
    _Atomic uint32_t histograms_used;
    struct lane *lanes;           /* SONDE_THREADS_MAX */
    struct histogram *histograms; /* HISTOGRAMS_MAX */
    size_t memory_bytes;          /* The handle, its lanes and histograms are one mapping. */
    size_t wiped_bytes;           /* The part that a fork empties, at its end. */

    struct second seconds[SECONDS_MAX]; /* Of all operations; a ring, under the lock. */
    uint64_t seconds_count;             /* Ever written. */

    pthread_mutex_t lock;        /* Names, spills, promises, collectors, the ticker's start. */
    struct sla_targets promises; /* Over all. */
    struct collector collectors[SONDE_COLLECTORS_MAX];
    size_t collector_count;
    pthread_mutex_t collect_lock; /* Held while a collector is called; taken before `lock`. */

    pthread_t ticker;
    bool ticker_runs;
    atomic_bool ticker_wanted; /* False after fork, until somebody records. */
    pthread_mutex_t tick_lock;
    pthread_cond_t tick_stop;
    bool stopping;

    struct sender *sender; /* NULL: there is no endpoint. */
    double sample_ratio;
    _Atomic int64_t since_unix_ns; /* Counts are since then. */

    _Atomic uint64_t overall_now_rps;
    _Atomic uint64_t overall_peak_rps;
    _Atomic uint64_t dropped_records;
    _Atomic uint64_t names_cut;
    _Atomic uint64_t names_shared;
};

/* registry.c */
int client_register(struct sonde *sonde); /* Finds a free index; false: HANDLES_MAX are open. */
void client_unregister(struct sonde *sonde);
struct sonde *client_handle(uint32_t index);
/* At most limit bytes of text, not cut inside a UTF-8 sequence. */
size_t client_cut(const char *text, size_t limit);

/* recorder.c */
int64_t client_now_ns(void);                   /* For durations. */
int64_t client_unix_ns(void);                  /* Since 1970. */
void client_forget_lanes(struct sonde *sonde); /* Of the calling thread, after fork. */
void client_release_lanes(void *unused);       /* At the end of a thread. */

/* ticker.c */
void client_ticker_start(struct sonde *sonde); /* Under the lock. */
void client_ticker_stop(struct sonde *sonde);

/* statistics.c */
struct totals {
    uint64_t count;
    uint64_t failures;
    int64_t sum_ns;
    int64_t min_ns;
    int64_t max_ns;
    uint64_t buckets[BUCKETS];
};
uint64_t client_count(struct sonde *sonde, uint32_t operation_index, uint64_t *ret_failures);
/* Of one operation, over all threads; count is 0 when nothing was recorded. */
void client_totals(const struct sonde_operation *operation, struct totals *ret_totals);
/* In nanoseconds; totals->count is not 0. */
double client_quantile_ns(const struct totals *totals, double q);

/* context.c */
void client_reseed(void); /* In a forked child. */
/* Two small digits for each byte; false: something else is among them, and bytes are spoilt. */
bool client_read_hex(const char *text, uint8_t *bytes, size_t size);
void client_write_hex(char *text, const uint8_t *bytes, size_t size); /* Without a NUL. */
bool client_is_nowhere(const struct sonde_context *context);
/* A span of the parent's trace, or of a new one when the parent is nowhere. */
struct sonde_context client_context_begin(const struct sonde_context *parent, double sample_ratio);
