/* SPDX-License-Identifier: Apache-2.0 */
/* An exemplar is in two lists:
 *
 *     all, by arrival:   oldest ─► … ─► newest          the first goes when there are too many
 *     of its series:     earliest ─► … ─► latest        the first goes when these are too many
 *
 * A series without any is forgotten. The same exemplar again changes nothing: SDKs that add up over
 * their life (cumulative temporality) may send it with each of their exports. */
#include "store/exemplars.h"

#include "base/clock.h"
#include "base/map.h"

#include <pthread.h>
#include <stdlib.h>

enum { EXEMPLARS_MAGIC = 0x65786d70 };

struct kept {
    struct kept *older, *newer; /* Of all. */
    struct kept *later;         /* Of the series. */
    struct kept_series *series;
    int64_t arrived_ms;
    int64_t time_ms;
    double value;
    struct labels *pairs; /* Behind it in memory. */
};

struct kept_series {
    struct kept *earliest;
    size_t count;
    struct str key;
    char bytes[]; /* Of the key: the tenant, NUL, the labels. */
};

struct exemplars {
    uint32_t magic;
    pthread_mutex_t lock;
    struct map series;
    struct kept *oldest, *newest;
    int64_t keep_ms;
    struct exemplars_stats stats;
};

static void lock(struct exemplars *exemplars)
{
    MUST(pthread_mutex_lock(&exemplars->lock) == 0);
}

static void unlock(struct exemplars *exemplars)
{
    MUST(pthread_mutex_unlock(&exemplars->lock) == 0);
}

struct exemplars *exemplars_new(int64_t keep_ms)
{
    struct exemplars *exemplars = calloc(1, sizeof(*exemplars));

    if (exemplars == NULL)
        must_memory(sizeof(*exemplars));
    exemplars->magic = EXEMPLARS_MAGIC;
    exemplars->keep_ms = keep_ms;
    exemplars->series.seed = (uint64_t)clock_monotonic_ns();
    MUST(pthread_mutex_init(&exemplars->lock, NULL) == 0);
    return exemplars;
}

/* ---- One that goes. ---- */

static void unlink_of_series(struct exemplars *exemplars, struct kept *kept)
{
    struct kept_series *series = kept->series;
    struct kept **place = &series->earliest;

    while (*place != kept)
        place = &(*place)->later;
    *place = kept->later;
    if (--series->count == 0) {
        (void)map_remove(&exemplars->series, series->key); /* It is the series itself. */
        free(series);
    }
}

static void drop(struct exemplars *exemplars, struct kept *kept)
{
    *(kept->older == NULL ? &exemplars->oldest : &kept->older->newer) = kept->newer;
    *(kept->newer == NULL ? &exemplars->newest : &kept->newer->older) = kept->older;
    unlink_of_series(exemplars, kept);
    exemplars->stats.kept--;
    free(kept);
}

struct exemplars *exemplars_free(struct exemplars *exemplars)
{
    if (exemplars == NULL)
        return NULL;
    while (exemplars->oldest != NULL)
        drop(exemplars, exemplars->oldest);
    map_done(&exemplars->series);
    MUST(pthread_mutex_destroy(&exemplars->lock) == 0);
    free(exemplars);
    return NULL;
}

void exemplars_set_keep(struct exemplars *exemplars, int64_t keep_ms)
{
    lock(exemplars);
    exemplars->keep_ms = keep_ms;
    unlock(exemplars);
}

/* ---- One that comes. ---- */

/* tenant NUL labels, into a buffer that may be used again. */
static struct str write_key(struct buf *key, const char *tenant, const struct labels *labels)
{
    buf_clear(key);
    buf_append(key, tenant, strlen(tenant) + 1);
    buf_append(key, labels->bytes, labels->size);
    return buf_view(key);
}

static struct kept_series *find_series(struct exemplars *exemplars, struct str key)
{
    struct kept_series *series = map_get(&exemplars->series, key);

    if (series != NULL)
        return series;
    series = calloc(1, sizeof(*series) + key.size);
    if (series == NULL)
        must_memory(sizeof(*series) + key.size);
    memcpy(series->bytes, key.data, key.size);
    series->key = (struct str){series->bytes, key.size};
    (void)map_put(&exemplars->series, series->key, series); /* Was absent. */
    return series;
}

static struct kept *kept_new(const struct exemplar *exemplar, int64_t now_ms)
{
    size_t size = labels_size(exemplar->pairs, exemplar->pairs_count);
    struct kept *kept = calloc(1, sizeof(*kept) + size);

    if (kept == NULL)
        must_memory(sizeof(*kept) + size);
    kept->arrived_ms = now_ms;
    kept->time_ms = exemplar->time_ms;
    kept->value = exemplar->value;
    kept->pairs = labels_build(kept + 1, exemplar->pairs, exemplar->pairs_count);
    return kept;
}

static bool is_same(const struct kept *a, const struct kept *b)
{
    return a->time_ms == b->time_ms && memcmp(&a->value, &b->value, sizeof(a->value)) == 0 &&
           labels_eq(a->pairs, b->pairs);
}

/* Where it belongs among those of its series by time, or NULL when it is there already. */
static struct kept **find_place(struct kept_series *series, const struct kept *kept)
{
    struct kept **place = &series->earliest;

    for (; *place != NULL && (*place)->time_ms <= kept->time_ms; place = &(*place)->later) {
        if (is_same(*place, kept))
            return NULL;
    }
    return place;
}

static void link_kept(struct exemplars *exemplars, struct kept *kept, struct kept **place)
{
    kept->later = *place;
    *place = kept;
    kept->series->count++;
    kept->older = exemplars->newest;
    *(kept->older == NULL ? &exemplars->oldest : &kept->older->newer) = kept;
    exemplars->newest = kept;
    exemplars->stats.kept++;
    exemplars->stats.accepted++;
}

static void add(struct exemplars *exemplars, const struct exemplar *exemplar, struct str key,
                int64_t now_ms)
{
    struct kept *kept = kept_new(exemplar, now_ms);

    kept->series = find_series(exemplars, key);
    struct kept **place = find_place(kept->series, kept);
    if (place == NULL) {
        free(kept);
        return;
    }
    link_kept(exemplars, kept, place);
    if (kept->series->count > EXEMPLARS_OF_SERIES) {
        drop(exemplars, kept->series->earliest);
        exemplars->stats.replaced++;
    } else if (exemplars->stats.kept > EXEMPLARS_MAX) {
        drop(exemplars, exemplars->oldest);
        exemplars->stats.replaced++;
    }
}

enum err exemplars_accept(void *self, struct batch *batch, struct why *why)
{
    struct exemplars *exemplars = self;
    struct buf key CLEANUP(buf_done) = {0};

    (void)why; /* Nothing is refused: what finds no room takes that of the oldest. */
    MUST_BE(exemplars, EXEMPLARS_MAGIC);
    if (batch->exemplars.count == 0)
        return ERR_NONE;
    lock(exemplars);
    for (size_t i = 0; i < batch->exemplars.count; i++) {
        const struct exemplar *exemplar = &batch->exemplars.items[i];
        add(exemplars, exemplar, write_key(&key, batch->tenant, exemplar->labels), batch->time_ms);
    }
    unlock(exemplars);
    return ERR_NONE;
}

void exemplars_tick(void *self, int64_t now_ms)
{
    struct exemplars *exemplars = self;

    MUST_BE(exemplars, EXEMPLARS_MAGIC);
    lock(exemplars);
    while (exemplars->keep_ms > 0 && exemplars->oldest != NULL &&
           now_ms - exemplars->oldest->arrived_ms > exemplars->keep_ms) {
        drop(exemplars, exemplars->oldest);
        exemplars->stats.expired++;
    }
    unlock(exemplars);
}

/* ---- Asking. ---- */

static bool copy_pairs(const struct kept *kept, struct arena *arena, struct exemplar *exemplar)
{
    struct exemplar_pairs pairs = {0};
    struct label label;

    for (size_t at = 0; labels_next(kept->pairs, &at, &label);)
        exemplar_add_pair(&pairs, label.name, label.value);
    return exemplar_keep_pairs(exemplar, &pairs, arena);
}

static bool copy_series(const struct kept_series *series, const struct exemplar_question *question,
                        struct arena *arena, struct exemplar **ret_items, size_t *ret_count)
{
    struct exemplar *items = ARENA_ARRAY(arena, series->count, struct exemplar);
    size_t count = 0;

    if (items == NULL)
        return false;
    for (const struct kept *kept = series->earliest; kept != NULL; kept = kept->later) {
        if (kept->time_ms < question->from_ms || kept->time_ms > question->to_ms)
            continue;
        struct exemplar *exemplar = &items[count++];
        exemplar->labels = question->labels;
        exemplar->time_ms = kept->time_ms;
        exemplar->value = kept->value;
        if (!copy_pairs(kept, arena, exemplar))
            return false;
    }
    *ret_items = items;
    *ret_count = count;
    return true;
}

enum err exemplars_find(struct exemplars *exemplars, const struct exemplar_question *question,
                        struct arena *arena, struct exemplar **ret_items, size_t *ret_count,
                        struct why *why)
{
    struct buf key CLEANUP(buf_done) = {0};
    bool is_copied = true;

    *ret_items = NULL;
    *ret_count = 0;
    lock(exemplars);
    const struct kept_series *series =
        map_get(&exemplars->series, write_key(&key, question->tenant, question->labels));
    if (series != NULL)
        is_copied = copy_series(series, question, arena, ret_items, ret_count);
    unlock(exemplars);
    return is_copied ? ERR_NONE : arena_spent(arena, "the exemplars", why);
}

void exemplars_read_stats(struct exemplars *exemplars, struct exemplars_stats *ret_stats)
{
    lock(exemplars);
    *ret_stats = exemplars->stats;
    unlock(exemplars);
}
