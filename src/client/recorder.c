/* SPDX-License-Identifier: Apache-2.0 */
/* Recording without locks:
 *
 *     thread ──► lanes[handle] ──► histograms[operation] ──► buckets
 *                (thread-local)     (this thread's own)      (this thread writes, all read)
 *
 * All of it lies in one mapping made at sonde_open and never grows; pages that nobody touched cost
 * nothing. Each word is written by one thread with relaxed stores, so recording is some plain
 * instructions; a reader sums over all lanes and may miss the very last records, never see a torn
 * number. A lane whose thread ended keeps its numbers and is adopted by the next new thread.
 *
 * A reset raises the handle's epoch. A histogram of an older epoch counts as empty and is wiped by
 * its own thread at the next record, so nobody ever writes another's words. */
#include "client/client_priv.h"
#include "sketch/quantile_key.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOAD(place)         atomic_load_explicit(&(place), memory_order_relaxed)
#define STORE(place, value) atomic_store_explicit(&(place), (value), memory_order_relaxed)

/* The lane of this thread in each handle. A handle closed and another opened in its place has
 * another id, so what is left here of the old one is not followed. */
struct own_lane {
    uint64_t handle_id;
    struct lane *lane;
};

static _Thread_local struct own_lane own_lanes[HANDLES_MAX];
static pthread_key_t lanes_key;
static pthread_once_t lanes_once = PTHREAD_ONCE_INIT;

int64_t client_now_ns(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* Cannot fail with this clock. */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t client_unix_ns(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME, &now); /* Cannot fail with this clock. */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void client_release_lanes(void *unused)
{
    (void)unused; /* Only its being set makes the destructor run. */
    for (uint32_t i = 0; i < HANDLES_MAX; i++) {
        struct sonde *sonde = client_handle(i);
        if (sonde != NULL && own_lanes[i].lane != NULL && own_lanes[i].handle_id == sonde->id)
            atomic_store_explicit(&own_lanes[i].lane->taken, false, memory_order_release);
        own_lanes[i].lane = NULL;
    }
}

void client_forget_lanes(struct sonde *sonde)
{
    own_lanes[sonde->index].lane = NULL;
}

static struct lane *own_lane(const struct sonde *sonde)
{
    const struct own_lane *own = &own_lanes[sonde->index];

    return own->handle_id == sonde->id ? own->lane : NULL;
}

static void make_key(void)
{
    (void)pthread_key_create(&lanes_key, client_release_lanes); /* Without: lanes are not reused. */
}

/* A lane is its taker's from the one exchange that sets `taken`, whether it is a new one or that of
 * a thread that ended; the mark of how many are in use only follows, so that readers look no
 * further. NULL when all are taken. */
static struct lane *find_lane(struct sonde *sonde)
{
    for (uint32_t i = 0; i < SONDE_THREADS_MAX; i++) {
        bool expected = false;
        if (atomic_load_explicit(&sonde->lanes[i].taken, memory_order_relaxed) ||
            !atomic_compare_exchange_strong(&sonde->lanes[i].taken, &expected, true))
            continue;
        uint32_t used = atomic_load(&sonde->lanes_used);
        while (used <= i && !atomic_compare_exchange_weak(&sonde->lanes_used, &used, i + 1))
            continue;
        return &sonde->lanes[i];
    }
    return NULL;
}

static struct lane *take_lane(struct sonde *sonde)
{
    (void)pthread_once(&lanes_once, make_key); /* make_key has no way to fail that matters. */
    struct lane *lane = find_lane(sonde);
    if (lane == NULL)
        return NULL;
    own_lanes[sonde->index] = (struct own_lane){sonde->id, lane};
    (void)pthread_setspecific(lanes_key, lane); /* Without: this lane is not reused. */
    if (!atomic_load_explicit(&sonde->ticker_wanted, memory_order_relaxed)) {
        (void)pthread_mutex_lock(&sonde->lock); /* Ours alone; cannot fail. */
        client_ticker_start(sonde);
        (void)pthread_mutex_unlock(&sonde->lock); /* Locked above. */
    }
    return lane;
}

static struct histogram *take_histogram(struct sonde *sonde)
{
    uint32_t used = atomic_load(&sonde->histograms_used);

    while (used < HISTOGRAMS_MAX) {
        if (atomic_compare_exchange_weak(&sonde->histograms_used, &used, used + 1))
            return &sonde->histograms[used];
    }
    return NULL;
}

static void wipe(struct histogram *histogram, uint32_t epoch)
{
    for (size_t i = 0; i < BUCKETS; i++)
        atomic_store_explicit(&histogram->buckets[i], 0, memory_order_relaxed);
    atomic_store_explicit(&histogram->count, 0, memory_order_relaxed);
    atomic_store_explicit(&histogram->failures, 0, memory_order_relaxed);
    atomic_store_explicit(&histogram->sum_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&histogram->min_ns, INT64_MAX, memory_order_relaxed);
    atomic_store_explicit(&histogram->max_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&histogram->epoch, epoch, memory_order_release);
}

/* The first record of this thread, or the first since a reset. NULL: no room, counted. */
static struct histogram *prepare(struct sonde_operation *operation, int64_t duration_ns)
{
    struct sonde *sonde = operation->sonde;
    struct lane *lane = own_lane(sonde);
    uint32_t epoch = atomic_load_explicit(&sonde->epoch, memory_order_acquire);

    if (lane == NULL)
        lane = take_lane(sonde);
    struct histogram *histogram =
        lane == NULL
            ? NULL
            : atomic_load_explicit(&lane->histograms[operation->index], memory_order_relaxed);
    bool is_new = lane != NULL && histogram == NULL;
    if (is_new)
        histogram = take_histogram(sonde);
    if (histogram == NULL) {
        (void)atomic_fetch_add(&sonde->dropped_records, 1); /* The count is all. */
        return NULL;
    }
    /* An adopted lane brings its numbers along. */
    if (LOAD(histogram->epoch) != epoch)
        wipe(histogram, epoch);
    if (is_new)
        atomic_store_explicit(&lane->histograms[operation->index], histogram, memory_order_release);
    int64_t none = 0;
    int64_t start_ns = client_now_ns() - duration_ns;
    (void)atomic_compare_exchange_strong(&operation->first_ns, &none,
                                         start_ns > 0 ? start_ns : 1); /* Only the first counts. */
    return histogram;
}

/* A bucket holds 2^32 - 1: move everything to 64 bits. Once in four billion records. */
static void spill(struct sonde_operation *operation, struct histogram *histogram)
{
    struct sonde *sonde = operation->sonde;

    (void)pthread_mutex_lock(&sonde->lock); /* Ours alone; cannot fail. */
    if (operation->spill == NULL)
        operation->spill = calloc(1, sizeof(*operation->spill));
    if (operation->spill == NULL) {
        (void)atomic_fetch_add(&sonde->dropped_records, histogram->count); /* Counted, then lost. */
    } else {
        for (size_t i = 0; i < BUCKETS; i++)
            operation->spill->buckets[i] += histogram->buckets[i];
        operation->spill->count += histogram->count;
        operation->spill->failures += histogram->failures;
        operation->spill->sum_ns += histogram->sum_ns;
    }
    int64_t min_ns = histogram->min_ns;
    int64_t max_ns = histogram->max_ns;
    wipe(histogram, histogram->epoch);
    histogram->min_ns = min_ns;
    histogram->max_ns = max_ns;
    (void)pthread_mutex_unlock(&sonde->lock); /* Locked above. */
}

static int32_t bucket_of(int64_t duration_ns)
{
    double value = (double)duration_ns;
    uint64_t bits;

    if (duration_ns <= 1)
        return 0;
    memcpy(&bits, &value, sizeof(bits));
    int32_t key = quantile_key_coarse(bits);
    return key < BUCKETS ? key : BUCKETS - 1;
}

static void add(struct sonde_operation *operation, struct histogram *histogram, int64_t duration_ns,
                bool failed)
{
    int32_t index = bucket_of(duration_ns);
    uint32_t in_bucket = LOAD(histogram->buckets[index]);
    if (__builtin_expect(in_bucket == UINT32_MAX, 0)) {
        spill(operation, histogram);
        in_bucket = 0;
    }
    STORE(histogram->buckets[index], in_bucket + 1);
    STORE(histogram->count, LOAD(histogram->count) + 1);
    STORE(histogram->sum_ns, LOAD(histogram->sum_ns) + duration_ns);
    if (failed)
        STORE(histogram->failures, LOAD(histogram->failures) + 1);
    if (duration_ns < LOAD(histogram->min_ns))
        STORE(histogram->min_ns, duration_ns);
    if (duration_ns > LOAD(histogram->max_ns))
        STORE(histogram->max_ns, duration_ns);
}

void sonde_record(struct sonde_operation *operation, int64_t duration_ns, bool failed)
{
    if (operation == NULL || LOAD(operation->sonde->level) == SONDE_DISABLED)
        return;
    struct sonde *sonde = operation->sonde;
    struct lane *lane = own_lane(sonde);
    struct histogram *histogram = lane == NULL ? NULL : LOAD(lane->histograms[operation->index]);
    if (duration_ns < 0)
        duration_ns = 0;
    if (__builtin_expect(histogram == NULL || LOAD(histogram->epoch) != LOAD(sonde->epoch), 0)) {
        histogram = prepare(operation, duration_ns);
        if (histogram == NULL)
            return;
    }
    add(operation, histogram, duration_ns, failed);
}

void sonde_timer_begin(struct sonde_timer *timer, struct sonde_operation *operation)
{
    if (timer == NULL)
        return;
    timer->operation = operation;
    if (operation == NULL || LOAD(operation->sonde->level) == SONDE_DISABLED) {
        timer->operation = NULL;
        return;
    }
    timer->metadata_size = 0;
    timer->failed = false;
    timer->start_ns = client_now_ns();
}

void sonde_timer_fail(struct sonde_timer *timer)
{
    if (timer != NULL && timer->operation != NULL)
        timer->failed = true;
}

/* Keys and values stand as key NUL value NUL, one after the other. A value is cut to what is left;
 * a key that does not fit whole would be another key, so it is left out. */
void sonde_timer_note(struct sonde_timer *timer, const char *key, const char *value)
{
    if (timer == NULL || timer->operation == NULL || key == NULL || value == NULL)
        return;
    size_t left = sizeof(timer->metadata) - timer->metadata_size;
    size_t key_size = strnlen(key, SONDE_METADATA_BYTES_MAX);
    bool fits = key_size + 2 < left;
    size_t value_size = fits ? client_cut(value, left - key_size - 2) : 0;
    if (!fits || value[value_size] != '\0')
        (void)atomic_fetch_add(&timer->operation->sonde->names_cut, 1); /* The count is all. */
    if (!fits)
        return;
    char *place = timer->metadata + timer->metadata_size;
    memcpy(place, key, key_size);
    place[key_size] = '\0';
    memcpy(place + key_size + 1, value, value_size);
    place[key_size + 1 + value_size] = '\0';
    timer->metadata_size = (uint16_t)(timer->metadata_size + key_size + value_size + 2);
}

/* A new slowest is rare; two at once may leave the lesser, and nobody waits. */
static void keep_slowest(const struct sonde_timer *timer, int64_t duration_ns)
{
    struct sonde_operation *operation = timer->operation;
    uint32_t epoch = LOAD(operation->sonde->epoch);

    if (atomic_flag_test_and_set_explicit(&operation->slowest_busy, memory_order_acquire))
        return;
    if (duration_ns > LOAD(operation->slowest_ns) || operation->slowest_epoch != epoch) {
        memcpy(operation->slowest, timer->metadata, timer->metadata_size);
        operation->slowest_size = timer->metadata_size;
        operation->slowest_epoch = epoch;
        STORE(operation->slowest_ns, duration_ns);
    }
    atomic_flag_clear_explicit(&operation->slowest_busy, memory_order_release);
}

int64_t sonde_timer_end(struct sonde_timer *timer)
{
    if (timer == NULL || timer->operation == NULL)
        return 0;
    int64_t duration_ns = client_now_ns() - timer->start_ns;
    sonde_record(timer->operation, duration_ns, timer->failed);
    if (LOAD(timer->operation->sonde->level) == SONDE_DETAILED)
        keep_slowest(timer, duration_ns);
    timer->operation = NULL; /* Ends once. */
    return duration_ns;
}

void sonde_timer_cleanup_(struct sonde_timer *timer)
{
    (void)sonde_timer_end(timer); /* Nobody asked how long it took. */
}
