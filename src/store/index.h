/* SPDX-License-Identifier: Apache-2.0 */
/* index - every series of a tenant, found by its labels.
 *
 * A track is one series as the store knows it; its number rises from 0 in the order of creation.
 * Its id is what files know it by: group * 64 + place in the group. A pair is a label's name and
 * value; it lists the tracks that carry it, in rising order.
 *
 * One writer adds; any number of readers look, inside epoch_enter … epoch_leave, and never wait.
 * Nothing is removed while the tenant is open. Layout: at the top of index.c. */
#pragma once
#include "base/arena.h"
#include "model/label.h"
#include "store/epoch.h"
#include "store/paged.h"

#include <stdbool.h>

#define INDEX_NONE UINT32_MAX

struct track {
    uint32_t id;
    uint16_t pair_count;
    bool active;                /* Writer: had a sample within the activity window. */
    uint32_t metric;            /* Pair of __name__, or INDEX_NONE. */
    const uint32_t *pairs;      /* Numbers of pairs, sorted by the name of their labels. */
    int64_t tail_ms;            /* Writer: the newest time accepted; INT64_MIN at first. */
    _Atomic int64_t last_ms;    /* The newest committed sample; INT64_MIN: not known. */
    _Atomic uint64_t last_bits; /* Its value. */
};

/* A list of track numbers that readers may hold while it grows. */
struct posting {
    _Atomic uint32_t count;
    uint32_t capacity;
    _Atomic(uint32_t *) items;
};

struct pair {
    const char *value; /* u16 size, bytes. */
    uint32_t name;     /* Number of the name. */
    uint32_t ordinal;  /* Among the pairs of its name. */
    uint32_t active;   /* Writer: active tracks, counted for pairs of __name__. */
    uint32_t refused;  /* Writer: tracks that the metric's limit turned away. */
    struct posting tracks;
};

struct label_key {
    const char *text; /* u16 size, bytes. */
    struct posting pairs;
};

struct index {
    struct epoch *epoch;
    struct arena *texts; /* Names, values and pair lists. */
    uint32_t *lists;     /* Writer: where the next pair lists go, one behind the other. */
    uint32_t lists_room;
    struct paged *tracks;
    struct paged *pairs;
    struct paged *keys;
    _Atomic(struct index_table *) pair_table;
    _Atomic(struct index_table *) key_table;
    struct index_table *track_table; /* Writer only. */
};

/* Sets up *index; epoch is borrowed. */
void index_init(struct index *index, struct epoch *epoch);
void index_done(struct index *index);

/* Writer. The track with these labels, or INDEX_NONE. */
uint32_t index_find(const struct index *index, const struct labels *labels);
/* Writer. Adds a track that is not there. ERR_LIMIT: sixteen million of something. */
CHECKED enum err index_add(struct index *index, const struct labels *labels, uint32_t id,
                           uint32_t *ret_number, struct why *why);

static inline struct track *index_track(const struct index *index, uint32_t number)
{
    return paged_at(index->tracks, number);
}

static inline struct pair *index_pair(const struct index *index, uint32_t number)
{
    return paged_at(index->pairs, number);
}

static inline uint32_t index_count(const struct index *index)
{
    return paged_count(index->tracks);
}

/* Names by number and number by name; INDEX_NONE when nobody carries it. */
struct str index_key_text(const struct index *index, uint32_t key);
uint32_t index_key(const struct index *index, struct str name);
struct str index_pair_value(const struct index *index, uint32_t pair);
uint32_t index_pair_find(const struct index *index, uint32_t key, struct str value);

/* The list as it is now; *ret_count numbers. */
const uint32_t *posting_read(const struct posting *posting, uint32_t *ret_count);

/* The pair of track whose label is `key`, or INDEX_NONE. */
uint32_t index_track_pair(const struct index *index, const struct track *track, uint32_t key);

/* The labels of a track, built in arena; NULL when its budget is spent. */
struct labels *index_labels(const struct index *index, const struct track *track,
                            struct arena *arena);
/* As labels_compare, without building them. */
int index_compare(const struct index *index, const struct track *a, const struct track *b);

/* Last committed sample, both parts of one moment. False: not known. */
bool track_last(const struct track *track, int64_t *ret_ms, uint64_t *ret_bits);
/* Writer: a sample was committed. */
void track_set_last(struct track *track, int64_t time_ms, uint64_t bits);

size_t index_bytes(const struct index *index); /* Memory, roughly. */
