/* SPDX-License-Identifier: Apache-2.0 */
/* Private to view.c, read.c and instant.c: what a view of the local backend holds. */
#pragma once
#include "store/tenant.h"

struct view_file {
    struct day *day;
    struct day_reader *reader; /* NULL until it is first read; its snapshot begins then. */
    bool gone;                 /* Was removed, or could not be read. */
};

struct view {
    struct store_view view; /* First. */
    uint32_t magic;
    struct tenant *tenant;
    struct epoch_reader epoch;
    struct view_file *files;
    size_t files_count;
    size_t files_capacity;
};

#define VIEW_MAGIC 0x56494557

static inline struct view *view_of(struct store_view *view)
{
    struct view *self = (struct view *)(void *)view;

    MUST_BE(self, VIEW_MAGIC);
    return self;
}

/* The view's own hold on a day; its reader once it is ready, or `gone`. */
struct view_file *view_file_for(struct view *view, struct day *day);
CHECKED enum err view_file_ready(struct view_file *file, struct why *why);

/* Where the blocks of a range come from: one step, a span of time. */
struct source_part {
    int64_t step_ms;
    int64_t from_ms;
    int64_t to_ms;
};
#define SOURCE_PARTS_MAX 3

/* Parts of the request's range, oldest first; returns how many. */
size_t view_parts(struct view *view, const struct read_request *request,
                  struct source_part parts[SOURCE_PARTS_MAX]);

/* Blocks of one group over a range, in memory until fetch_clear. */
struct fetched {
    struct block block;
    int64_t min_ms;
    int64_t max_ms;
    int64_t step_ms;
    const int64_t *times[GROUP_SERIES]; /* Decoded when first wanted. */
};

struct fetch {
    struct view *view;
    struct arena *arena; /* Scratch. */
    struct fetched *items;
    size_t count;
    size_t capacity;
};

/* Its scratch comes from the same pool as the arena of the answer. */
void fetch_init(struct fetch *fetch, struct view *view, const struct arena *answer);
void fetch_done(struct fetch *fetch);
void fetch_clear(struct fetch *fetch);
/* Adds the blocks of group in the part, oldest first. Damaged ones are left out and counted. */
CHECKED enum err fetch_blocks(struct fetch *fetch, uint32_t group, const struct source_part *part,
                              struct why *why);
/* The times of series `slot` in a fetched block that has it. */
CHECKED enum err fetch_times(struct fetch *fetch, struct fetched *item, unsigned slot,
                             const int64_t **ret_times, struct why *why);

CHECKED enum err view_cancelled(const struct view *view, struct why *why);

/* First row not before time_ms. */
static inline size_t times_lower(const int64_t *times, size_t count, int64_t time_ms)
{
    size_t low = 0;

    while (count > 0) {
        size_t half = count / 2;
        if (times[low + half] < time_ms) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

/* The places of a set, put in order of ids so that a group is read once. */
struct place {
    uint32_t id;
    uint32_t index; /* In the set. */
};
CHECKED enum err view_places(struct view *view, const struct series_set *set, struct arena *arena,
                             struct place **ret_places, struct why *why);

/* read.c and instant.c. */
enum err view_read(struct store_view *view, const struct series_set *set,
                   const struct read_request *request, struct arena *arena,
                   struct samples *ret_samples, struct why *why);
enum err view_instant(struct store_view *view, const struct series_set *set, int64_t at_ms,
                      int64_t lookback_ms, struct arena *arena, int64_t *ret_time_ms,
                      double *ret_value, struct why *why);
