/* SPDX-License-Identifier: Apache-2.0 */
/* A list holds the first few keys, as most sketches of a minute have just a few. A window is an
 * array with a bucket for each key of a range, grown to the side that needs it with some room to
 * spare. When it would have to be longer than allowed it keeps its upper end, and everything below
 * is collapsed into its first bucket: `floor` is then that bucket's key. */
#include "sketch/quantile_side.h"

#include "base/must.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FLOOR_NONE  INT32_MIN
#define WINDOW_ROOM 16 /* Buckets to spare at the growing end. */

void side_init(struct side *side)
{
    *side = (struct side){.floor = FLOOR_NONE};
}

void side_done(struct side *side)
{
    free(side->window);
    side_init(side);
}

void side_clear(struct side *side)
{
    if (side->window_size > 0)
        memset(side->window, 0, side->window_size * sizeof side->window[0]);
    side->list_count = 0;
    side->total = 0;
    side->floor = FLOOR_NONE;
}

size_t side_size(const struct side *side)
{
    return side->window_size > 0 ? side->window_size : side->list_count;
}

int32_t side_key(const struct side *side, size_t at)
{
    return side->window_size > 0 ? side->window_first + (int32_t)at : side->list[at].key;
}

uint64_t side_at(const struct side *side, size_t at)
{
    return side->window_size > 0 ? side->window[at] : side->list[at].count;
}

uint64_t side_collapsed(const struct side *side)
{
    return side->floor == FLOOR_NONE ? 0 : side->window[side->floor - side->window_first];
}

/* The keys in use; false when there are none. */
static bool side_range(const struct side *side, int32_t *ret_least, int32_t *ret_most)
{
    size_t first = 0;
    size_t last = side_size(side);

    while (first < last && side_at(side, first) == 0)
        first++;
    if (first == last)
        return false;
    while (side_at(side, last - 1) == 0)
        last--;
    *ret_least = side_key(side, first);
    *ret_most = side_key(side, last - 1);
    return true;
}

/* Brings all counts into a window over least … most; what is below falls into its first bucket. */
static void side_move(struct side *side, int32_t least, int32_t most)
{
    uint32_t size = (uint32_t)(most - least) + 1;
    uint64_t *window = calloc(size, sizeof window[0]);

    if (window == NULL)
        must_memory(size * sizeof window[0]);
    for (size_t i = 0; i < side_size(side); i++) {
        uint64_t count = side_at(side, i);
        int32_t key = side_key(side, i);

        if (count == 0)
            continue;
        MUST(key <= most);
        if (key < least) {
            side->floor = least;
            key = least;
        }
        window[key - least] += count;
    }
    free(side->window);
    side->window = window;
    side->window_size = size;
    side->window_first = least;
    side->list_count = 0;
}

/* A window that has room for key, as far as buckets_max allows. */
static void side_grow(struct side *side, int32_t key, uint32_t buckets_max)
{
    int32_t least = key;
    int32_t most = key;
    int64_t size;
    int32_t room;

    if (side_range(side, &least, &most)) {
        least = key < least ? key : least;
        most = key > most ? key : most;
    }
    size = (int64_t)most - least + 1;
    if (size >= (int64_t)buckets_max) {
        least = (int32_t)((int64_t)most - buckets_max + 1);
    } else {
        room = (int32_t)((int64_t)buckets_max - size < WINDOW_ROOM ? (int64_t)buckets_max - size
                                                                   : WINDOW_ROOM);
        if (key == least && key != most)
            least -= room;
        else
            most += room;
    }
    side_move(side, least, most);
}

static bool list_add(struct side *side, int32_t key, uint64_t count)
{
    uint32_t at = 0;

    while (at < side->list_count && side->list[at].key < key)
        at++;
    if (at == side->list_count || side->list[at].key != key) {
        if (side->list_count == SIDE_LIST_SIZE)
            return false;
        memmove(&side->list[at + 1], &side->list[at],
                (side->list_count - at) * sizeof side->list[0]);
        side->list[at] = (struct side_entry){.key = key};
        side->list_count++;
    }
    side->list[at].count += count;
    return true;
}

void side_add_slowly(struct side *side, int32_t key, uint64_t count, uint32_t buckets_max)
{
    side->total += count;
    if (side->window_size == 0 && list_add(side, key, count))
        return;
    if (key < side->floor)
        key = side->floor;
    if (side->window_size == 0 || key < side->window_first ||
        key >= side->window_first + (int64_t)side->window_size)
        side_grow(side, key, buckets_max);
    if (key < side->window_first) { /* It did not fit: it starts the collapsed bucket. */
        side->floor = side->window_first;
        key = side->window_first;
    }
    side->window[key - side->window_first] += count;
}

void side_set_floor(struct side *side, int32_t key)
{
    if (side->window_size == 0 && side->list_count > 0)
        side_move(side, side->list[0].key, side->list[side->list_count - 1].key);
    MUST(key < side->window_first + (int64_t)side->window_size);
    if (key < side->window_first)
        return; /* More than that has been collapsed already. */
    for (int32_t below = side->window_first; below < key; below++) {
        side->window[key - side->window_first] += side->window[below - side->window_first];
        side->window[below - side->window_first] = 0;
    }
    side->floor = key > side->floor ? key : side->floor;
}

void side_coarsen(struct side *side)
{
    int32_t first, last;

    if (side->window_size == 0) {
        struct side old = *side;

        side->list_count = 0;
        for (uint32_t i = 0; i < old.list_count; i++)
            MUST(list_add(side, old.list[i].key >> 1, old.list[i].count));
        return;
    }
    first = side->window_first >> 1;
    last = (side->window_first + (int32_t)side->window_size - 1) >> 1;
    /* In place: bucket i goes to a bucket not behind it. */
    for (uint32_t i = 0; i < side->window_size; i++) {
        uint64_t count = side->window[i];
        uint32_t to = (uint32_t)((side->window_first + (int32_t)i) >> 1) - (uint32_t)first;

        side->window[i] = 0;
        side->window[to] += count;
    }
    side->window_first = first;
    side->window_size = (uint32_t)(last - first) + 1;
    if (side->floor != FLOOR_NONE)
        side->floor >>= 1;
}
