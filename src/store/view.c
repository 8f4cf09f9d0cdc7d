/* SPDX-License-Identifier: Apache-2.0 */
/* A view first announces itself to the epochs (so no chunk that it may need goes away), and opens
 * the snapshot of a file when it first reads it. Every row committed before the view was opened is
 * then in the head, or in the file, or in both; rows seen twice are dropped by their time. */
#include "store/view.h"

#include "base/clock.h"
#include "store/select.h"
#include "store/trace_view.h"
#include "store/view_priv.h"

#include <stdlib.h>

static const size_t FETCH_ARENA_BYTES = (size_t)1 << 30;
static const int64_t LONG_QUESTION_MS = 2 * CLOCK_MS_PER_DAY; /* Shorter ones get samples. */

/* --- files and blocks ------------------------------------------------------------------------ */

enum err view_cancelled(const struct view *view, struct why *why)
{
    if (view->view.cancel != NULL &&
        atomic_load_explicit((_Atomic bool *)view->view.cancel, memory_order_relaxed))
        return fail(why, ERR_CANCELLED, "the question was cancelled");
    return ERR_NONE;
}

struct view_file *view_file_for(struct view *view, struct day *day)
{
    for (size_t i = 0; i < view->files_count; i++) {
        if (view->files[i].day == day)
            return &view->files[i];
    }
    if (view->files_count == view->files_capacity) {
        view->files_capacity = view->files_capacity == 0 ? 8 : view->files_capacity * 2;
        view->files = reallocarray(view->files, view->files_capacity, sizeof(*view->files));
        if (view->files == NULL)
            must_memory(view->files_capacity * sizeof(*view->files));
    }
    struct view_file *file = &view->files[view->files_count++];
    *file = (struct view_file){.day = day_ref(day)};
    return file;
}

/* A file that retention removed is no error; a damaged one is left out and marked. */
enum err view_file_ready(struct view_file *file, struct why *why)
{
    if (file->reader != NULL || file->gone)
        return ERR_NONE;
    enum err err = day_reader_take(file->day, &file->reader, why);
    if (err == ERR_NONE)
        return ERR_NONE;
    file->gone = err == ERR_NOT_FOUND || err == ERR_CORRUPT;
    if (err == ERR_CORRUPT)
        atomic_store(&file->day->damaged, true);
    return file->gone ? ERR_NONE : err;
}

void fetch_init(struct fetch *fetch, struct view *view, const struct arena *answer)
{
    *fetch = (struct fetch){.view = view, .arena = arena_new_beside(answer, FETCH_ARENA_BYTES)};
}

void fetch_done(struct fetch *fetch)
{
    arena_free(fetch->arena);
    free(fetch->items);
}

void fetch_clear(struct fetch *fetch)
{
    arena_clear(fetch->arena);
    fetch->count = 0;
}

static enum err fetch_add(struct fetch *fetch, const struct day_block *row, int64_t step_ms,
                          struct why *why)
{
    if (fetch->count == fetch->capacity) {
        fetch->capacity = fetch->capacity == 0 ? 16 : fetch->capacity * 2;
        fetch->items = reallocarray(fetch->items, fetch->capacity, sizeof(*fetch->items));
        if (fetch->items == NULL)
            must_memory(fetch->capacity * sizeof(*fetch->items));
    }
    struct str body = arena_str(fetch->arena, row->body);
    if (body.data == NULL)
        return arena_spent(fetch->arena, "reading the blocks of one group", why);
    struct fetched *item = &fetch->items[fetch->count];
    TRY(block_parse(body, row->crc, &item->block, why));
    memset(item->times, 0, sizeof(item->times));
    item->min_ms = row->min_ms;
    item->max_ms = row->max_ms;
    item->step_ms = step_ms;
    fetch->count++;
    return ERR_NONE;
}

static enum err fetch_from(struct fetch *fetch, struct view_file *file, uint32_t group,
                           const struct source_part *part, struct why *why)
{
    struct day_block row;
    bool found = true;

    TRY(view_file_ready(file, why));
    if (file->gone)
        return ERR_NONE;
    day_reader_find(file->reader, KIND_METRIC, group, part->from_ms, part->to_ms);
    while (found) {
        enum err err = day_reader_next(file->reader, &row, &found, why);
        found = found && err == ERR_NONE; /* A file that fails would fail for ever. */
        if (found)
            err = fetch_add(fetch, &row, part->step_ms, why);
        if (err == ERR_CORRUPT) {
            atomic_store(&file->day->damaged, true); /* The writer looks after it. */
            err = ERR_NONE;
        }
        TRY(err);
    }
    return ERR_NONE;
}

enum err fetch_blocks(struct fetch *fetch, uint32_t group, const struct source_part *part,
                      struct why *why)
{
    struct day **days;
    enum err err = ERR_NONE;
    size_t count = tenant_days(fetch->view->tenant, part->step_ms, day_of(part->from_ms),
                               day_of(part->to_ms), &days);

    for (size_t i = 0; i < count; i++) {
        if (err == ERR_NONE)
            err = fetch_from(fetch, view_file_for(fetch->view, days[i]), group, part, why);
        day_unref(days[i]);
    }
    free(days);
    return err;
}

enum err fetch_times(struct fetch *fetch, struct fetched *item, unsigned slot,
                     const int64_t **ret_times, struct why *why)
{
    unsigned index = item->block.entries[slot].times;

    if (item->times[index] == NULL) {
        int64_t *times = ARENA_ARRAY_RAW(fetch->arena, item->block.times[index].rows, int64_t);
        if (times == NULL)
            return arena_spent(fetch->arena, "reading the times of a block", why);
        TRY(block_read_times(&item->block, index, times, why));
        item->times[index] = times;
    }
    *ret_times = item->times[index];
    return ERR_NONE;
}

/* --- choosing between samples and roll-ups --------------------------------------------------- */

/* First millisecond that the files of a step reach; INT64_MAX without files. */
static int64_t reach_from(struct view *view, int64_t step_ms)
{
    struct day **days;
    size_t count = tenant_days(view->tenant, step_ms, INT32_MIN, INT32_MAX, &days);
    int64_t from_ms = count == 0 ? INT64_MAX : (int64_t)days[0]->from_day * CLOCK_MS_PER_DAY;

    for (size_t i = 0; i < count; i++)
        day_unref(days[i]);
    free(days);
    return from_ms;
}

/* First millisecond behind the oldest days that are rolled up, one after the other. */
static int64_t rolled_until(struct view *view)
{
    struct day **days;
    size_t count = tenant_days(view->tenant, 0, INT32_MIN, INT32_MAX, &days);
    int64_t until_ms = INT64_MIN;
    bool rolled = true;

    for (size_t i = 0; i < count; i++) {
        rolled = rolled && atomic_load(&days[i]->rolled);
        if (rolled)
            until_ms = ((int64_t)days[i]->to_day + 1) * CLOCK_MS_PER_DAY;
        day_unref(days[i]);
    }
    free(days);
    return until_ms;
}

/* Where each step begins to be read, finest last: one-hour steps, one-minute steps, samples.
 * Samples are read as far back as there are; but a long question in steps that coarse is content
 * with roll-ups wherever these are complete. */
static void parts_begin(struct view *view, const struct read_request *request,
                        int64_t from_ms[SOURCE_PARTS_MAX + 1])
{
    static const int64_t steps[SOURCE_PARTS_MAX] = {TENANT_STEP_HOUR_MS, TENANT_STEP_MINUTE_MS, 0};

    from_ms[SOURCE_PARTS_MAX] = INT64_MAX;
    for (size_t i = SOURCE_PARTS_MAX; i-- > 0;) {
        from_ms[i] = reach_from(view, steps[i]);
        if (from_ms[i] > from_ms[i + 1])
            from_ms[i] = from_ms[i + 1];
    }
    if (request->step_ms < TENANT_STEP_MINUTE_MS ||
        request->to_ms - request->from_ms < LONG_QUESTION_MS)
        return;
    int64_t until_ms = rolled_until(view);
    for (size_t i = 0; i + 1 < SOURCE_PARTS_MAX; i++) {
        if (request->step_ms < steps[i] || until_ms <= from_ms[i])
            continue;
        for (size_t finer = i + 1; finer < SOURCE_PARTS_MAX; finer++)
            from_ms[finer] = from_ms[finer] > until_ms ? from_ms[finer] : until_ms;
    }
}

size_t view_parts(struct view *view, const struct read_request *request,
                  struct source_part parts[SOURCE_PARTS_MAX])
{
    static const int64_t steps[SOURCE_PARTS_MAX] = {TENANT_STEP_HOUR_MS, TENANT_STEP_MINUTE_MS, 0};
    int64_t from_ms[SOURCE_PARTS_MAX + 1];
    size_t count = 0;

    parts_begin(view, request, from_ms);
    for (size_t i = 0; i < SOURCE_PARTS_MAX; i++) {
        struct source_part part = {steps[i], request->from_ms, request->to_ms};
        if (part.from_ms < from_ms[i])
            part.from_ms = from_ms[i];
        if (i + 1 < SOURCE_PARTS_MAX && part.to_ms >= from_ms[i + 1])
            part.to_ms = from_ms[i + 1] - 1;
        if (part.from_ms <= part.to_ms)
            parts[count++] = part;
    }
    return count;
}

static int by_id(const void *a, const void *b)
{
    const struct place *left = a;
    const struct place *right = b;

    return left->id < right->id ? -1 : left->id > right->id;
}

enum err view_places(struct view *view, const struct series_set *set, struct arena *arena,
                     struct place **ret_places, struct why *why)
{
    struct place *places = ARENA_ARRAY(arena, set->count + 1, struct place);
    bool sorted = true;

    if (places == NULL)
        return arena_spent(arena, "reading series", why);
    for (size_t i = 0; i < set->count; i++) {
        MUST(set->items[i].id < index_count(&view->tenant->index));
        const struct track *track = index_track(&view->tenant->index, (uint32_t)set->items[i].id);
        places[i] = (struct place){track->id, (uint32_t)i};
        sorted = sorted && (i == 0 || places[i - 1].id <= places[i].id);
    }
    if (!sorted)
        qsort(places, set->count, sizeof(*places), by_id);
    *ret_places = places;
    return ERR_NONE;
}

/* --- labels ---------------------------------------------------------------------------------- */

static enum err run_select(struct view *view, const struct matcher *matchers, size_t count,
                           int64_t from_ms, int64_t to_ms, struct arena *arena,
                           struct track_list *ret_list, struct why *why)
{
    struct select_request request = {matchers, count, INT32_MIN, INT32_MAX};

    if (from_ms > (int64_t)INT32_MIN * CLOCK_MS_PER_DAY)
        request.from_day = day_of(from_ms);
    if (to_ms < (int64_t)INT32_MAX * CLOCK_MS_PER_DAY)
        request.to_day = day_of(to_ms);
    return select_tracks(&view->tenant->index, &view->tenant->head, &request, arena, ret_list, why);
}

static enum err view_select(struct store_view *self, const struct matcher *matchers, size_t count,
                            int64_t from_ms, int64_t to_ms, struct arena *arena,
                            struct series_set *ret_set, struct why *why)
{
    struct view *view = view_of(self);
    const struct index *index = &view->tenant->index;
    struct track_list list;

    TRY(view_cancelled(view, why));
    TRY(run_select(view, matchers, count, from_ms, to_ms, arena, &list, why));
    uint32_t *scratch = ARENA_ARRAY(arena, list.count + 1, uint32_t);
    struct series *items = ARENA_ARRAY(arena, list.count + 1, struct series);
    if (scratch == NULL || items == NULL)
        return arena_spent(arena, "selecting series", why);
    select_sort(index, list.numbers, list.count, scratch);
    for (size_t i = 0; i < list.count; i++) {
        items[i].id = list.numbers[i];
        items[i].labels = index_labels(index, index_track(index, list.numbers[i]), arena);
        if (items[i].labels == NULL)
            return arena_spent(arena, "selecting series", why);
    }
    *ret_set = (struct series_set){items, list.count};
    return ERR_NONE;
}

static int by_text(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* Copies the texts that were marked, sorted. */
struct gather {
    const struct index *index;
    uint32_t key; /* INDEX_NONE: names are wanted. */
    uint8_t *marks;
    uint32_t count; /* Of marks. */
};

static enum err gather_texts(const struct gather *gather, const uint32_t *pairs,
                             struct arena *arena, struct str_list *ret_list, struct why *why)
{
    size_t filled = 0;
    struct str *items = ARENA_ARRAY(arena, gather->count + (size_t)1, struct str);

    if (items == NULL)
        return arena_spent(arena, "listing labels", why);
    for (uint32_t i = 0; i < gather->count; i++) {
        if (gather->marks[i] == 0)
            continue;
        struct str text = gather->key == INDEX_NONE ? index_key_text(gather->index, i)
                                                    : index_pair_value(gather->index, pairs[i]);
        items[filled] = arena_str(arena, text);
        if (items[filled++].data == NULL)
            return arena_spent(arena, "listing labels", why);
    }
    qsort(items, filled, sizeof(*items), by_text);
    *ret_list = (struct str_list){items, filled};
    return ERR_NONE;
}

static void mark_track(const struct gather *gather, const struct track *track)
{
    for (uint32_t i = 0; i < track->pair_count; i++) {
        const struct pair *pair = index_pair(gather->index, track->pairs[i]);
        if (gather->key == INDEX_NONE && pair->name < gather->count)
            gather->marks[pair->name] = 1;
        else if (gather->key == pair->name && pair->ordinal < gather->count)
            gather->marks[pair->ordinal] = 1;
    }
}

static enum err view_labels(struct store_view *self, const struct matcher *matchers, size_t count,
                            struct str name, int64_t from_ms, int64_t to_ms, struct arena *arena,
                            struct str_list *ret_list, struct why *why)
{
    struct view *view = view_of(self);
    struct gather gather = {.index = &view->tenant->index, .key = INDEX_NONE};
    const uint32_t *pairs = NULL;
    struct track_list list;

    gather.count = paged_count(gather.index->keys);
    if (name.data != NULL) {
        gather.key = index_key(gather.index, name);
        *ret_list = (struct str_list){0};
        if (gather.key == INDEX_NONE)
            return ERR_NONE;
        const struct label_key *key = paged_at(gather.index->keys, gather.key);
        pairs = posting_read(&key->pairs, &gather.count);
    }
    TRY(run_select(view, matchers, count, from_ms, to_ms, arena, &list, why));
    gather.marks = arena_alloc(arena, gather.count + (size_t)1);
    if (gather.marks == NULL)
        return arena_spent(arena, "listing labels", why);
    for (size_t i = 0; i < list.count; i++)
        mark_track(&gather, index_track(gather.index, list.numbers[i]));
    return gather_texts(&gather, pairs, arena, ret_list, why);
}

static enum err copy_info(const struct metric_info *info, struct arena *arena,
                          struct metric_info *ret_info, struct why *why)
{
    *ret_info = (struct metric_info){
        .name = arena_str(arena, info->name),
        .unit = arena_str(arena, info->unit),
        .help = arena_str(arena, info->help),
        .kind = info->kind,
    };
    if (ret_info->name.data == NULL || ret_info->unit.data == NULL || ret_info->help.data == NULL)
        return arena_spent(arena, "listing metrics", why);
    return ERR_NONE;
}

static int by_info_name(const void *a, const void *b)
{
    return str_compare(((const struct metric_info *)a)->name,
                       ((const struct metric_info *)b)->name);
}

static enum err copy_infos(struct tenant *tenant, struct str metric, struct arena *arena,
                           struct metric_info_list *ret_list, struct why *why)
{
    size_t room = metric.data != NULL ? 1 : tenant->infos.count;
    struct metric_info *items = ARENA_ARRAY(arena, room + 1, struct metric_info);
    size_t filled = 0;

    if (items == NULL)
        return arena_spent(arena, "listing metrics", why);
    if (metric.data != NULL) {
        const struct metric_info *info = map_get(&tenant->infos, metric);
        if (info != NULL)
            TRY(copy_info(info, arena, &items[filled++], why));
    } else {
        MAP_EACH (&tenant->infos, entry) {
            TRY(copy_info(entry->value, arena, &items[filled++], why));
        }
        qsort(items, filled, sizeof(*items), by_info_name);
    }
    *ret_list = (struct metric_info_list){items, filled};
    return ERR_NONE;
}

static enum err view_metadata(struct store_view *self, struct str metric, struct arena *arena,
                              struct metric_info_list *ret_list, struct why *why)
{
    struct tenant *tenant = view_of(self)->tenant;

    int code = pthread_mutex_lock(&tenant->lock);
    MUST(code == 0);
    enum err err = copy_infos(tenant, metric, arena, ret_list, why);
    code = pthread_mutex_unlock(&tenant->lock);
    MUST(code == 0);
    return err;
}

/* --- opening and releasing ------------------------------------------------------------------- */

static void view_release(struct store_view *self)
{
    struct view *view = view_of(self);

    for (size_t i = 0; i < view->files_count; i++) {
        if (view->files[i].reader != NULL)
            day_reader_give(view->files[i].reader);
        day_unref(view->files[i].day);
    }
    epoch_leave(&view->tenant->epoch, &view->epoch);
    free(view->files);
    free(view);
}

static const struct store_view_ops view_ops = {
    .select = view_select,
    .read = view_read,
    .instant = view_instant,
    .labels = view_labels,
    .metadata = view_metadata,
    .release = view_release,
    .traces = &trace_view_ops,
};

struct store_view *view_open(struct tenant *tenant, const _Atomic bool *cancel)
{
    struct view *view = calloc(1, sizeof(*view));

    if (view == NULL)
        must_memory(sizeof(*view));
    view->view = (struct store_view){&view_ops, cancel};
    view->magic = VIEW_MAGIC;
    view->tenant = tenant;
    epoch_enter(&tenant->epoch, &view->epoch);
    return &view->view;
}
