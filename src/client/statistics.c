/* SPDX-License-Identifier: Apache-2.0 */
/* Sums the lanes up when somebody asks; nothing is kept ready. */
#include "client/client_priv.h"
#include "sketch/quantile_key.h"

#include <math.h>
#include <string.h>

#define LOAD(place) atomic_load_explicit(&(place), memory_order_relaxed)

/* The histogram of a lane, or NULL when it is absent or older than the last reset. */
static struct histogram *live(struct sonde *sonde, uint32_t lane, uint32_t operation)
{
    struct histogram *histogram =
        atomic_load_explicit(&sonde->lanes[lane].histograms[operation], memory_order_acquire);

    if (histogram == NULL ||
        atomic_load_explicit(&histogram->epoch, memory_order_acquire) != LOAD(sonde->epoch))
        return NULL;
    return histogram;
}

uint64_t client_count(struct sonde *sonde, uint32_t operation_index, uint64_t *ret_failures)
{
    uint32_t lanes = atomic_load(&sonde->lanes_used);
    uint64_t count = 0;
    uint64_t failures = 0;

    for (uint32_t i = 0; i < lanes; i++) {
        struct histogram *histogram = live(sonde, i, operation_index);
        count += histogram == NULL ? 0 : LOAD(histogram->count);
        failures += histogram == NULL ? 0 : LOAD(histogram->failures);
    }
    (void)pthread_mutex_lock(&sonde->lock); /* Ours alone; cannot fail. */
    const struct spill *spill = sonde->operations[operation_index].spill;
    count += spill == NULL ? 0 : spill->count;
    failures += spill == NULL ? 0 : spill->failures;
    (void)pthread_mutex_unlock(&sonde->lock); /* Locked above. */
    if (ret_failures != NULL)
        *ret_failures = failures;
    return count;
}

static void add_histogram(struct totals *totals, struct histogram *histogram)
{
    int64_t min_ns = LOAD(histogram->min_ns);
    int64_t max_ns = LOAD(histogram->max_ns);

    for (size_t i = 0; i < BUCKETS; i++) {
        uint32_t count = LOAD(histogram->buckets[i]);
        totals->buckets[i] += count;
        totals->count += count; /* Of the buckets, so that ranks add up in the midst of records. */
    }
    totals->failures += LOAD(histogram->failures);
    totals->sum_ns += LOAD(histogram->sum_ns);
    totals->min_ns = min_ns < totals->min_ns ? min_ns : totals->min_ns;
    totals->max_ns = max_ns > totals->max_ns ? max_ns : totals->max_ns;
}

static void add_spill(struct sonde *sonde, struct totals *totals, uint32_t operation)
{
    (void)pthread_mutex_lock(&sonde->lock); /* Ours alone; cannot fail. */
    const struct spill *spill = sonde->operations[operation].spill;
    if (spill != NULL) {
        for (size_t i = 0; i < BUCKETS; i++)
            totals->buckets[i] += spill->buckets[i];
        totals->count += spill->count;
        totals->failures += spill->failures;
        totals->sum_ns += spill->sum_ns;
    }
    (void)pthread_mutex_unlock(&sonde->lock); /* Locked above. */
}

static void add_operation(struct sonde *sonde, struct totals *totals, uint32_t operation)
{
    uint32_t lanes = atomic_load(&sonde->lanes_used);

    for (uint32_t i = 0; i < lanes; i++) {
        struct histogram *histogram = live(sonde, i, operation);
        if (histogram != NULL)
            add_histogram(totals, histogram);
    }
    add_spill(sonde, totals, operation);
}

void client_totals(const struct sonde_operation *operation, struct totals *ret_totals)
{
    *ret_totals = (struct totals){.min_ns = INT64_MAX};
    add_operation(operation->sonde, ret_totals, operation->index);
}

static double to_ms(double nanoseconds)
{
    return nanoseconds / 1e6;
}

/* The middle of the bucket that holds the quantile's rank, within what was seen at all; the first
 * and the last exactly. */
double client_quantile_ns(const struct totals *totals, double q)
{
    uint64_t rank = quantile_rank(q, totals->count);
    uint64_t seen = 0;

    if (rank == 0)
        return (double)totals->min_ns;
    for (size_t i = 0; i < BUCKETS && rank + 1 < totals->count; i++) {
        seen += totals->buckets[i];
        if (seen > rank) {
            double value = quantile_key_value((int32_t)i, 0);
            return fmax((double)totals->min_ns, fmin((double)totals->max_ns, value));
        }
    }
    return (double)totals->max_ns;
}

static double quantile_of(const struct totals *totals, double q)
{
    return to_ms(client_quantile_ns(totals, q));
}

static void describe(const struct totals *totals, int64_t first_ns, struct sonde_stats *stats)
{
    double elapsed_s = (double)(client_now_ns() - first_ns) / 1e9;

    stats->count = totals->count;
    stats->failures = totals->failures < totals->count ? totals->failures : totals->count;
    stats->successes = stats->count - stats->failures;
    stats->success_rate = (double)stats->successes / (double)stats->count;
    stats->elapsed_s = elapsed_s;
    stats->throughput_rps = elapsed_s > 0 ? (double)stats->count / elapsed_s : 0;
    stats->mean_ms = to_ms((double)totals->sum_ns / (double)totals->count);
    stats->min_ms = to_ms((double)totals->min_ns);
    stats->max_ms = to_ms((double)totals->max_ns);
    stats->p50_ms = quantile_of(totals, 0.5);
    stats->p90_ms = quantile_of(totals, 0.9);
    stats->p95_ms = quantile_of(totals, 0.95);
    stats->p99_ms = quantile_of(totals, 0.99);
    stats->p999_ms = quantile_of(totals, 0.999);
}

/* A run of less than a second has no whole second yet: what it did then is its best. */
static double peak_of(uint64_t counted, const struct sonde_stats *stats)
{
    return stats->elapsed_s < 1 || counted == 0 ? stats->throughput_rps : (double)counted;
}

static void nothing(struct sonde_stats *stats)
{
    *stats = (struct sonde_stats){.success_rate = 1};
}

bool sonde_operation_stats(const struct sonde_operation *operation, struct sonde_stats *ret_stats)
{
    struct totals totals = {.min_ns = INT64_MAX};

    if (ret_stats == NULL)
        return false;
    nothing(ret_stats);
    if (operation == NULL)
        return false;
    add_operation(operation->sonde, &totals, operation->index);
    if (totals.count == 0)
        return false;
    describe(&totals, LOAD(operation->first_ns), ret_stats);
    ret_stats->throughput_now_rps = (double)LOAD(operation->now_rps);
    ret_stats->throughput_peak_rps = peak_of(LOAD(operation->peak_rps), ret_stats);
    return true;
}

bool sonde_overall_stats(struct sonde *sonde, struct sonde_stats *ret_stats)
{
    struct totals totals = {.min_ns = INT64_MAX};
    int64_t first_ns = INT64_MAX;

    if (ret_stats == NULL)
        return false;
    nothing(ret_stats);
    if (sonde == NULL)
        return false;
    uint32_t known = atomic_load(&sonde->operation_names.count);
    for (uint32_t i = 0; i < known; i++) {
        int64_t began_ns = LOAD(sonde->operations[i].first_ns);
        add_operation(sonde, &totals, i);
        if (began_ns != 0 && began_ns < first_ns)
            first_ns = began_ns;
    }
    if (totals.count == 0)
        return false;
    describe(&totals, first_ns, ret_stats);
    ret_stats->throughput_now_rps = (double)LOAD(sonde->overall_now_rps);
    ret_stats->throughput_peak_rps = peak_of(LOAD(sonde->overall_peak_rps), ret_stats);
    return true;
}

double sonde_quantile_ms(const struct sonde_operation *operation, double q)
{
    struct totals totals = {.min_ns = INT64_MAX};

    if (operation == NULL || !(q >= 0) || q > 1)
        return NAN;
    add_operation(operation->sonde, &totals, operation->index);
    return totals.count == 0 ? NAN : quantile_of(&totals, q);
}

int64_t sonde_slowest(const struct sonde_operation *operation, char *ret_metadata, size_t capacity)
{
    struct sonde_operation *mine = (struct sonde_operation *)operation;
    char metadata[SONDE_METADATA_BYTES_MAX];
    size_t size = 0;
    int64_t slowest_ns = -1;

    if (ret_metadata != NULL && capacity > 0)
        ret_metadata[0] = '\0';
    if (operation == NULL)
        return -1;
    while (atomic_flag_test_and_set_explicit(&mine->slowest_busy, memory_order_acquire))
        ; /* Held for a copy of some bytes. */
    if (LOAD(mine->slowest_ns) > 0 && mine->slowest_epoch == LOAD(mine->sonde->epoch)) {
        slowest_ns = LOAD(mine->slowest_ns);
        size = mine->slowest_size;
        memcpy(metadata, mine->slowest, size);
    }
    atomic_flag_clear_explicit(&mine->slowest_busy, memory_order_release);
    if (ret_metadata == NULL || capacity == 0)
        return slowest_ns;
    /* key NUL value NUL key NUL value NUL, to key=value key=value */
    size_t kept = size == 0 ? 0 : size - 1;
    kept = kept < capacity ? kept : capacity - 1;
    bool in_key = true;
    for (size_t i = 0; i < kept; i++) {
        ret_metadata[i] = metadata[i] != '\0' ? metadata[i] : in_key ? '=' : ' ';
        in_key ^= metadata[i] == '\0';
    }
    ret_metadata[kept] = '\0';
    return slowest_ns;
}

void sonde_reset(struct sonde *sonde)
{
    if (sonde == NULL)
        return;
    (void)pthread_mutex_lock(&sonde->lock);   /* Ours alone; cannot fail. */
    (void)atomic_fetch_add(&sonde->epoch, 1); /* Every histogram is of an older one now. */
    atomic_store(&sonde->since_unix_ns, client_unix_ns());
    uint32_t known = atomic_load(&sonde->operation_names.count);
    for (uint32_t i = 0; i < known; i++) {
        struct sonde_operation *operation = &sonde->operations[i];
        atomic_store(&operation->first_ns, 0);
        atomic_store(&operation->now_rps, 0);
        atomic_store(&operation->peak_rps, 0);
        if (operation->spill != NULL)
            memset(operation->spill, 0, sizeof(*operation->spill));
    }
    for (uint32_t i = 0; i < VALUES_MAX; i++)
        atomic_store(&sonde->counters[i].value, 0);
    atomic_store(&sonde->overall_now_rps, 0);
    atomic_store(&sonde->overall_peak_rps, 0);
    sonde->seconds_count = 0;
    (void)pthread_mutex_unlock(&sonde->lock); /* Locked above. */
}

void sonde_read_drops(const struct sonde *sonde, struct sonde_drops *ret_drops)
{
    if (ret_drops == NULL)
        return;
    *ret_drops = (struct sonde_drops){0};
    if (sonde == NULL)
        return;
    ret_drops->records = LOAD(sonde->dropped_records);
    ret_drops->names_cut = LOAD(sonde->names_cut);
    ret_drops->names_shared = LOAD(sonde->names_shared);
}
