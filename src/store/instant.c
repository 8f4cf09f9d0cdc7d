/* SPDX-License-Identifier: Apache-2.0 */
/* The last sample at a moment. For the newest moment it lies in memory beside the series; for an
 * earlier one, the block of the group is fetched once and one row of each series decoded. */
#include "store/view_priv.h"

struct moment {
    struct view *view;
    struct fetch fetch;
    int64_t at_ms;
    int64_t from_ms; /* First time that still counts. */
    int64_t *time_ms;
    double *value;
    struct head_rows rows; /* Scratch. */
};

/* Whether the series' newest sample settles it. */
static bool from_last(const struct moment *moment, const struct track *track, size_t index)
{
    int64_t last_ms;
    uint64_t bits;

    if (!track_last(track, &last_ms, &bits) || last_ms > moment->at_ms ||
        last_ms <= moment->view->tenant->sealed_until_ms)
        return false;
    if (last_ms >= moment->from_ms) {
        moment->time_ms[index] = last_ms;
        memcpy(&moment->value[index], &bits, sizeof(bits));
    }
    return true; /* Nothing newer is known, so nothing at all when this one is too old. */
}

static void from_head(struct moment *moment, uint32_t id, size_t index)
{
    struct head_rows *rows = &moment->rows;

    head_read(&moment->view->tenant->head, &moment->view->epoch, id, moment->from_ms, moment->at_ms,
              rows);
    for (size_t i = rows->slice_count; i-- > 0;) {
        const struct head_slice *slice = &rows->slices[i];
        for (size_t row = slice->count; row-- > 0;) {
            int64_t time_ms = head_slice_ms(slice, row);
            if (time_ms >= moment->from_ms && time_ms <= moment->at_ms &&
                time_ms > moment->time_ms[index]) {
                moment->time_ms[index] = time_ms;
                moment->value[index] = slice->values[row];
            }
            if (rows->sorted)
                return; /* The last row of the newest slice is it. */
        }
    }
}

/* The last row of the block that is present, in time, and newer than what is known. */
static enum err from_block(struct moment *moment, struct fetched *item, unsigned slot, size_t index,
                           struct why *why)
{
    uint32_t rows = block_rows(&item->block, slot);
    const int64_t *times;
    double value;

    if (rows == 0)
        return ERR_NONE;
    TRY(fetch_times(&moment->fetch, item, slot, &times, why));
    size_t end = times_lower(times, rows, moment->at_ms + 1);
    while (end > 0 && times[end - 1] >= moment->from_ms &&
           times[end - 1] > moment->time_ms[index]) {
        end--;
        TRY(block_read_field(&item->block, slot, FIELD_LAST, end, 1, &value, why));
        if (sample_is_absent(value))
            continue;
        moment->time_ms[index] = times[end];
        moment->value[index] = value;
        break;
    }
    return ERR_NONE;
}

static enum err read_group(struct moment *moment, const struct place *places, size_t count,
                           const struct source_part *parts, size_t part_count, struct why *why)
{
    TRY(view_cancelled(moment->view, why));
    fetch_clear(&moment->fetch);
    for (size_t i = 0; i < part_count; i++)
        TRY(fetch_blocks(&moment->fetch, GROUP_OF(places[0].id), &parts[i], why));
    for (size_t i = 0; i < count; i++) {
        from_head(moment, places[i].id, places[i].index);
        for (size_t block = moment->fetch.count; block-- > 0;)
            TRY(from_block(moment, &moment->fetch.items[block], SLOT_OF(places[i].id),
                           places[i].index, why));
    }
    return ERR_NONE;
}

/* What the last values did not settle. */
static enum err read_rest(struct moment *moment, const struct series_set *rest,
                          const uint32_t *index_of, struct arena *arena, struct why *why)
{
    struct read_request request = {.from_ms = moment->from_ms, .to_ms = moment->at_ms};
    struct source_part parts[SOURCE_PARTS_MAX];
    size_t part_count = view_parts(moment->view, &request, parts);
    struct place *places;
    size_t end;

    TRY(view_places(moment->view, rest, arena, &places, why));
    for (size_t i = 0; i < rest->count; i++)
        places[i].index = index_of[places[i].index];
    for (size_t from = 0; from < rest->count; from = end) {
        uint32_t group = GROUP_OF(places[from].id);
        for (end = from + 1; end < rest->count && GROUP_OF(places[end].id) == group;)
            end++;
        TRY(read_group(moment, places + from, end - from, parts, part_count, why));
    }
    return ERR_NONE;
}

enum err view_instant(struct store_view *self, const struct series_set *set, int64_t at_ms,
                      int64_t lookback_ms, struct arena *arena, int64_t *ret_time_ms,
                      double *ret_value, struct why *why)
{
    struct moment moment = {
        .view = view_of(self),
        .at_ms = at_ms,
        .from_ms = at_ms - lookback_ms + 1,
        .time_ms = ret_time_ms,
        .value = ret_value,
    };
    struct series_set rest = {ARENA_ARRAY(arena, set->count + 1, struct series), 0};
    uint32_t *index_of = ARENA_ARRAY(arena, set->count + 1, uint32_t);

    if (rest.items == NULL || index_of == NULL)
        return arena_spent(arena, "reading series", why);
    for (size_t i = 0; i < set->count; i++) {
        ret_time_ms[i] = INT64_MIN;
        MUST(set->items[i].id < index_count(&moment.view->tenant->index));
        if (from_last(&moment, index_track(&moment.view->tenant->index, (uint32_t)set->items[i].id),
                      i))
            continue;
        index_of[rest.count] = (uint32_t)i;
        rest.items[rest.count++] = set->items[i];
    }
    if (rest.count == 0)
        return ERR_NONE;
    fetch_init(&moment.fetch, moment.view, arena);
    enum err err = read_rest(&moment, &rest, index_of, arena, why);
    fetch_done(&moment.fetch);
    head_rows_done(&moment.rows);
    return err;
}
