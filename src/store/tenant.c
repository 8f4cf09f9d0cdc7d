/* SPDX-License-Identifier: Apache-2.0 */
/* The way in: accept finds each row's track and stages the row for its day; commit writes one
 * pending row per day (and first the labels of new series), and only then shows the rows to
 * readers. So what readers see is what is on disk, and what failed leaves no trace.
 *
 * A label set that came before leads to its track by the slot in it: no hash, no comparison. */
#include "store/tenant.h"

#include "base/clock.h"
#include "sketch/quantile.h"
#include "store/rollup.h"

#include <stdlib.h>
#include <string.h>

enum {
    STAGE_ROWS_KEPT = 65536, /* A larger stage is given back after its commit. */
    ACTIVE_SCAN_MS = 60000,
    SMALL_BATCH_ROWS = 32,
    HEAVY_FACTOR = 8, /* Times head_bytes that the head may take while rows come fast. */
    NAME_SHOWN = 128,
};

static const int64_t COMPACT_SLICE_NS = 20 * CLOCK_NS_PER_MS;
static const int64_t HEAVY_NS = 30 * CLOCK_NS_PER_S; /* A head filled sooner was filled fast. */

static void grow(void **items, size_t *capacity, size_t first, size_t size)
{
    size_t wanted = *capacity == 0 ? first : *capacity * 2;

    *items = reallocarray(*items, wanted, size);
    if (*items == NULL)
        must_memory(wanted * size);
    *capacity = wanted;
}

/* --- new series ------------------------------------------------------------------------------ */

static void mark_dirty(struct tenant *tenant, uint32_t number)
{
    struct group *group = head_group(&tenant->head, number);

    if (group->dirty)
        return;
    group->dirty = true;
    if (tenant->dirty_count == tenant->dirty_capacity)
        grow((void **)&tenant->dirty, &tenant->dirty_capacity, 16, sizeof(*tenant->dirty));
    tenant->dirty[tenant->dirty_count++] = number;
}

static enum err add_group(struct tenant *tenant, uint32_t *ret_number, struct why *why)
{
    struct group *group = head_add_group(&tenant->head, ret_number);

    if (group == NULL)
        return fail(why, ERR_LIMIT, "tenant '%s' has as many groups of series as there can be",
                    tenant->name);
    return ERR_NONE;
}

/* Where a new series goes: beside its neighbour, in the group that follows the neighbour's when
 * that is full, or into a new one. */
static enum err choose_group(struct tenant *tenant, uint32_t neighbour, uint32_t *ret_number,
                             struct why *why)
{
    uint32_t number = INDEX_NONE;
    uint32_t last = INDEX_NONE;

    if (neighbour != INDEX_NONE)
        number = GROUP_OF(index_track(&tenant->index, neighbour)->id);
    else if (tenant->open_group != INDEX_NONE)
        number = tenant->open_group;
    while (number != INDEX_NONE && head_group(&tenant->head, number)->used == GROUP_SERIES) {
        last = number;
        uint32_t spill = head_group(&tenant->head, number)->spill;
        number = spill == 0 ? INDEX_NONE : spill;
    }
    if (number == INDEX_NONE) {
        TRY(add_group(tenant, &number, why));
        if (last != INDEX_NONE)
            head_group(&tenant->head, last)->spill = number;
    }
    tenant->open_group = number;
    *ret_number = number;
    return ERR_NONE;
}

enum err tenant_add_track(struct tenant *tenant, const struct labels *labels, uint32_t neighbour,
                          uint32_t *ret_number, struct why *why)
{
    uint32_t number;

    TRY(choose_group(tenant, neighbour, &number, why));
    struct group *group = head_group(&tenant->head, number);
    uint32_t id = number * GROUP_SERIES + group->used;
    TRY(index_add(&tenant->index, labels, id, ret_number, why));
    group->tracks[group->used++] = *ret_number;
    mark_dirty(tenant, number);
    return ERR_NONE;
}

static enum err over_metric_limit(struct tenant *tenant, struct pair *metric, uint32_t pair,
                                  struct why *why)
{
    struct str name = index_pair_value(&tenant->index, pair);

    metric->refused++;
    if (name.size > NAME_SHOWN)
        name.size = NAME_SHOWN;
    (void)fail(why, ERR_LIMIT, "metric '%.*s' has %u active series already, its limit; refused %u",
               STR_ARG(name), metric->active, metric->refused);
    hint(why, "give it fewer label values, or raise series_per_metric_max");
    return ERR_LIMIT;
}

static enum err check_limits(struct tenant *tenant, const struct labels *labels, struct why *why)
{
    uint32_t limit = tenant->options->series_per_tenant_max;
    uint32_t key = index_key(&tenant->index, LABEL_NAME);

    if (index_count(&tenant->index) >= limit) {
        (void)fail(why, ERR_LIMIT, "tenant '%s' knows %u series already, its limit", tenant->name,
                   limit);
        hint(why, "raise series_per_tenant_max, or shorten retention so that old series go");
        return ERR_LIMIT;
    }
    if (key == INDEX_NONE)
        return ERR_NONE;
    uint32_t pair = index_pair_find(&tenant->index, key, labels_get(labels, LABEL_NAME));
    if (pair == INDEX_NONE)
        return ERR_NONE;
    struct pair *metric = index_pair(&tenant->index, pair);
    if (metric->active >= tenant->options->series_per_metric_max)
        return over_metric_limit(tenant, metric, pair, why);
    return ERR_NONE;
}

static void activate(struct tenant *tenant, struct track *track)
{
    track->active = true;
    tenant->active++;
    if (track->metric != INDEX_NONE)
        index_pair(&tenant->index, track->metric)->active++;
}

/* The track of a set that carries no slot of ours. */
static enum err resolve(struct tenant *tenant, const struct labels *labels, uint32_t neighbour,
                        uint32_t *ret_number, struct why *why)
{
    uint32_t number = index_find(&tenant->index, labels);

    if (number == INDEX_NONE) {
        TRY(check_limits(tenant, labels, why));
        TRY(tenant_add_track(tenant, labels, neighbour, &number, why));
    }
    atomic_store_explicit(&((struct labels *)labels)->slot,
                          (uint64_t)tenant->generation << 32 | (number + UINT64_C(1)),
                          memory_order_relaxed);
    *ret_number = number;
    return ERR_NONE;
}

/* --- accepting ------------------------------------------------------------------------------- */

/* What one batch needs while it is looked through. */
struct intake {
    struct tenant *tenant;
    struct batch *batch;
    uint32_t neighbour;  /* Track of the row before. */
    struct stage *stage; /* Of the day of the row before. */
    int64_t stage_ms;    /* That day's first millisecond. */
    int32_t day;
    int64_t oldest_ms; /* Rows before it are out of retention. */
};

static struct stage *free_stage(struct tenant *tenant)
{
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        if (tenant->stages[i].day == NULL)
            return &tenant->stages[i];
    }
    return NULL;
}

/* The stage of the day; seals the day that was written longest ago when there are too many. */
static enum err find_stage(struct intake *intake, int32_t number, struct why *why)
{
    struct tenant *tenant = intake->tenant;
    struct stage *idlest = NULL;

    intake->day = number;
    intake->stage_ms = (int64_t)number * CLOCK_MS_PER_DAY;
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        struct stage *stage = &tenant->stages[i];
        if (stage->day != NULL && stage->day->from_day == number) {
            intake->stage = stage;
            return ERR_NONE;
        }
        if (stage->day != NULL && stage_is_empty(stage) &&
            (idlest == NULL || stage->day->touched_ms < idlest->day->touched_ms))
            idlest = stage;
    }
    struct stage *stage = free_stage(tenant);
    if (stage == NULL) {
        if (idlest == NULL)
            return fail(why, ERR_LIMIT,
                        "rows of more than %d days came at once; send older "
                        "data day by day",
                        TENANT_DAYS_OPEN_MAX);
        TRY(traces_judge(tenant, idlest->day, true, why));
        TRY(tenant_seal(tenant, idlest->day, why));
        day_rest(idlest->day);
        idlest->day = NULL;
        stage = idlest;
    }
    stage->day = tenant_add_day(tenant, 0, number);
    intake->stage = stage;
    return ERR_NONE;
}

/* The metric, as far as a sentence has room for it. */
static struct str shown_name(const struct labels *labels)
{
    struct str name = labels_get(labels, LABEL_NAME);

    if (name.size > NAME_SHOWN)
        name.size = NAME_SHOWN;
    return name.size == 0 ? STR("?") : name;
}

/* Rows older than retention reaches, as of an import or an example out of a book: their day's file
 * is kept as long after they came as others after their day. There may be a few of these. */
static bool takes_old(const struct tenant *tenant, int64_t time_ms)
{
    int32_t horizon = day_of(tenant->now_ms - tenant->options->retention_raw_ms);
    size_t count = 0;

    if (time_ms <= 0)
        return false;
    for (size_t i = 0; i < tenant->days_count; i++) {
        const struct day *day = tenant->days[i];
        if (day->step_ms == 0 && day->from_day == day_of(time_ms))
            return true;
        count += day->step_ms == 0 && day->from_day < horizon;
    }
    return count < TENANT_OLD_DAYS_MAX;
}

static enum err too_old(struct tenant *tenant, const struct labels *labels, int64_t time_ms,
                        struct why *why)
{
    char shown[CLOCK_TEXT_SIZE];
    struct str name = shown_name(labels);

    tenant->stats.rejected_old++;
    struct str when = STR("a time before 1970");
    if (time_ms > 0)
        when = (struct str){shown, clock_text(shown, time_ms)};
    (void)fail(why, ERR_INVALID, "a sample of '%.*s' at %.*s is too old", STR_ARG(name),
               STR_ARG(when));
    hint(why,
         "samples may come %lld s after newer ones of their series (out_of_order), and "
         "within retention",
         (long long)(tenant->options->out_of_order_ms / 1000));
    return ERR_INVALID;
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

/* A row that is not newer than its series: late, or there already (*ret_known). */
static enum err check_late(struct intake *intake, const struct labels *labels,
                           const struct track *track, int64_t time_ms, double value,
                           bool *ret_known, struct why *why)
{
    struct tenant *tenant = intake->tenant;
    struct head_row row;

    *ret_known = false;
    if (time_ms < track->tail_ms - tenant->options->out_of_order_ms)
        return too_old(tenant, labels, time_ms, why);
    if (!head_find(&tenant->head, track->id, day_of(time_ms), time_ms, &row))
        return ERR_NONE;
    if (!same_bits(row.value, value)) {
        tenant->stats.rejected_duplicate++;
        struct str name = shown_name(labels);
        (void)fail(why, ERR_EXISTS, "a series of '%.*s' has another value at %lld ms already",
                   STR_ARG(name), (long long)time_ms); /* Returned below. */
        hint(why, "the first one is kept; send a series from one place only");
        return ERR_EXISTS;
    }
    *ret_known = true;
    return ERR_NONE;
}

/* Finds track and stage of a row; *ret_track is NULL when there is nothing to be kept. */
static enum err admit(struct intake *intake, const struct labels *labels, int64_t time_ms,
                      double value, struct track **ret_track, uint32_t *ret_number, struct why *why)
{
    struct tenant *tenant = intake->tenant;
    uint64_t slot = atomic_load_explicit(&((struct labels *)labels)->slot, memory_order_relaxed);
    uint32_t number = (uint32_t)slot - 1;
    bool known = false;

    /* Before a series is made for it. */
    if (__builtin_expect(time_ms < intake->oldest_ms, 0) && !takes_old(tenant, time_ms))
        return too_old(tenant, labels, time_ms, why);
    if (__builtin_expect(slot >> 32 != tenant->generation, 0)) {
        enum err err = resolve(tenant, labels, intake->neighbour, &number, why);
        tenant->stats.rejected_series_limit += err == ERR_LIMIT;
        TRY(err);
    }
    struct track *track = index_track(&tenant->index, number);
    if (__builtin_expect(time_ms <= track->tail_ms, 0))
        TRY(check_late(intake, labels, track, time_ms, value, &known, why));
    if (__builtin_expect(
            time_ms - intake->stage_ms < 0 || time_ms - intake->stage_ms >= CLOCK_MS_PER_DAY, 0))
        TRY(find_stage(intake, day_of(time_ms), why));
    if (__builtin_expect(!track->active, 0))
        activate(tenant, track);
    if (time_ms > track->tail_ms)
        track->tail_ms = time_ms;
    intake->neighbour = number;
    *ret_number = number;
    *ret_track = known ? NULL : track;
    return ERR_NONE;
}

/* A row's own trouble is the row's; anything else is the batch's. */
static enum err turn_away(struct intake *intake, enum err err, struct why *row_why, struct why *why)
{
    if (err == ERR_LIMIT || err == ERR_INVALID || err == ERR_EXISTS) {
        batch_reject(intake->batch, 1, row_why);
        return ERR_NONE;
    }
    if (why != NULL)
        *why = *row_why;
    return err;
}

static enum err accept_samples(struct intake *intake, struct why *why)
{
    const struct batch *batch = intake->batch;
    struct why row_why = WHY_INIT;

    for (size_t i = 0; i < batch->samples.count; i++) {
        const struct sample *sample = &batch->samples.items[i];
        struct track *track = NULL;
        uint32_t number = 0;
        enum err err = admit(intake, sample->labels, sample->time_ms, sample->value, &track,
                             &number, &row_why);
        if (__builtin_expect(err != ERR_NONE, 0)) {
            TRY(turn_away(intake, err, &row_why, why));
            continue;
        }
        if (track == NULL)
            continue;
        struct stage *stage = intake->stage;
        if (stage->count == stage->capacity)
            grow((void **)&stage->rows, &stage->capacity, 1024, sizeof(*stage->rows));
        stage->rows[stage->count++] =
            (struct pending_row){number, track->id, sample->time_ms, sample->value};
    }
    return ERR_NONE;
}

static void stage_sketch(struct stage *stage, const struct pending_row *row, struct str sketch)
{
    if (stage->sketch_count == stage->sketch_capacity) {
        size_t capacity = stage->sketch_capacity;
        grow((void **)&stage->sketches, &capacity, 64, sizeof(*stage->sketches));
        grow((void **)&stage->sketch_rows, &stage->sketch_capacity, 64,
             sizeof(*stage->sketch_rows));
    }
    char *copy = malloc(sketch.size + 1);
    if (copy == NULL)
        must_memory(sketch.size);
    memcpy(copy, sketch.data, sketch.size);
    stage->sketches[stage->sketch_count] = (struct str){copy, sketch.size};
    stage->sketch_rows[stage->sketch_count++] = *row;
}

/* Also checks that these are the bytes of a sketch. */
static enum err sketch_count(struct str bytes, double *ret_count, struct why *why)
{
    struct quantile *sketch CLEANUP(quantile_freep) = NULL;

    if (quantile_read(bytes, &sketch, why) != ERR_NONE)
        return ERR_INVALID;
    *ret_count = (double)quantile_count(sketch);
    return ERR_NONE;
}

static enum err accept_sketches(struct intake *intake, struct why *why)
{
    const struct batch *batch = intake->batch;
    struct why row_why = WHY_INIT;

    for (size_t i = 0; i < batch->sketches.count; i++) {
        const struct sketch_sample *sample = &batch->sketches.items[i];
        struct track *track = NULL;
        uint32_t number = 0;
        double count = 0;
        enum err err = sketch_count(sample->sketch, &count, &row_why);
        if (err == ERR_NONE)
            err = admit(intake, sample->labels, sample->time_ms, count, &track, &number, &row_why);
        if (err != ERR_NONE)
            TRY(turn_away(intake, err, &row_why, why));
        else if (track != NULL)
            stage_sketch(intake->stage,
                         &(struct pending_row){number, track->id, sample->time_ms, count},
                         sample->sketch);
    }
    return ERR_NONE;
}

/* --- spans and events ------------------------------------------------------------------------ */

/* Finds the stage for an item of that time; a flaw of the item is told in row_why. */
static enum err place_item(struct intake *intake, const char *what, int64_t time_ns,
                           struct why *row_why)
{
    int64_t time_ms = trace_ms(time_ns);
    char shown[CLOCK_TEXT_SIZE];

    if (time_ms <= 0 || (time_ms < intake->oldest_ms && !takes_old(intake->tenant, time_ms))) {
        size_t size = time_ms > 0 ? clock_text(shown, time_ms) : 0;
        intake->tenant->stats.rejected_old++;
        (void)fail(row_why, ERR_INVALID, "%s of %.*s is older than what is kept", what, (int)size,
                   shown);
        hint(row_why, "raise retention.raw to keep it");
        return ERR_INVALID;
    }
    if (time_ms > intake->tenant->now_ms + TRACES_FUTURE_MS_MAX)
        return fail(row_why, ERR_INVALID,
                    "%s lies more than a day in the future; set the sender's "
                    "clock",
                    what);
    if (time_ms - intake->stage_ms >= 0 && time_ms - intake->stage_ms < CLOCK_MS_PER_DAY)
        return ERR_NONE;
    return find_stage(intake, day_of(time_ms), row_why);
}

static enum err accept_spans(struct intake *intake, struct why *why)
{
    const struct batch *batch = intake->batch;
    struct why row_why = WHY_INIT;

    for (size_t i = 0; i < batch->spans.count; i++) {
        const struct span *span = &batch->spans.items[i];
        enum err err = place_item(intake, "a span", span->start_ns, &row_why);
        if (err == ERR_NONE)
            trace_stage_span(&intake->stage->traces, span);
        else
            TRY(turn_away(intake, err, &row_why, why));
    }
    return ERR_NONE;
}

static enum err accept_events(struct intake *intake, struct why *why)
{
    const struct batch *batch = intake->batch;
    struct why row_why = WHY_INIT;

    for (size_t i = 0; i < batch->events.count; i++) {
        const struct event *event = &batch->events.items[i];
        enum err err = place_item(intake, "a log record", event->time_ns, &row_why);
        if (err == ERR_NONE)
            trace_stage_event(&intake->stage->traces, event);
        else
            TRY(turn_away(intake, err, &row_why, why));
    }
    return ERR_NONE;
}

/* How much the stages held before a batch. */
struct trace_mark {
    const struct day *day;
    size_t spans;
    size_t events;
};

static void mark_traces(const struct tenant *tenant, struct trace_mark marks[TENANT_DAYS_OPEN_MAX])
{
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++)
        marks[i] = (struct trace_mark){
            .day = tenant->stages[i].day,
            .spans = tenant->stages[i].traces.spans_count,
            .events = tenant->stages[i].traces.events_count,
        };
}

static void take_back_traces(struct tenant *tenant, const struct trace_mark *marks)
{
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        struct stage *stage = &tenant->stages[i];
        bool same_day = stage->day == marks[i].day; /* Else it was empty and given to another. */
        stage->traces.spans_count = same_day ? marks[i].spans : 0;
        stage->traces.events_count = same_day ? marks[i].events : 0;
    }
}

/* --- descriptions ---------------------------------------------------------------------------- */

bool tenant_keep_info(struct tenant *tenant, const struct metric_info *info)
{
    struct metric_info *known = map_get(&tenant->infos, info->name);

    if (known != NULL && known->kind == info->kind && str_eq(known->unit, info->unit) &&
        str_eq(known->help, info->help))
        return false;
    struct metric_info *kept = ARENA_NEW(tenant->info_arena, struct metric_info);
    if (kept == NULL)
        return false;
    *kept = (struct metric_info){
        .name = arena_str(tenant->info_arena, info->name),
        .unit = arena_str(tenant->info_arena, info->unit),
        .help = arena_str(tenant->info_arena, info->help),
        .kind = info->kind,
    };
    if (kept->name.data == NULL || kept->unit.data == NULL || kept->help.data == NULL)
        return false;
    int code = pthread_mutex_lock(&tenant->lock);
    MUST(code == 0);
    (void)map_put(&tenant->infos, known == NULL ? kept->name : known->name, kept);
    code = pthread_mutex_unlock(&tenant->lock);
    MUST(code == 0);
    return true;
}

static void accept_infos(struct tenant *tenant, const struct batch *batch)
{
    for (size_t i = 0; i < batch->infos.count; i++) {
        const struct metric_info *info = &batch->infos.items[i];
        if (info->name.size == 0 || !tenant_keep_info(tenant, info))
            continue;
        if (tenant->dirty_infos_count == tenant->dirty_infos_capacity)
            grow((void **)&tenant->dirty_infos, &tenant->dirty_infos_capacity, 16,
                 sizeof(*tenant->dirty_infos));
        struct metric_info *kept = map_get(&tenant->infos, info->name);
        tenant->dirty_infos[tenant->dirty_infos_count++] = *kept;
    }
}

static uint64_t rows_by_memory(const struct tenant *tenant)
{
    return tenant->options->head_bytes / (sizeof(uint32_t) + sizeof(double));
}

/* Rows that the head may hold before it is sealed. */
static uint64_t head_rows_max(const struct tenant *tenant)
{
    uint64_t by_memory = rows_by_memory(tenant);
    uint64_t by_series = (uint64_t)tenant->active * HEAD_CHUNK_ROWS_MIN * 2;

    return by_memory > by_series ? by_memory : by_series;
}

/* Under heavy ingest the head may grow: blocks are then large at once, and need no compaction. */
static bool head_is_full(const struct tenant *tenant, uint64_t rows)
{
    if (rows < head_rows_max(tenant))
        return false;
    return rows >= HEAVY_FACTOR * rows_by_memory(tenant) ||
           clock_monotonic_ns() - tenant->sealed_ns >= HEAVY_NS;
}

static void fit_chunks(struct tenant *tenant)
{
    uint64_t active = tenant->active == 0 ? 1 : tenant->active;
    uint64_t rows = head_rows_max(tenant) / active;

    if (rows < HEAD_CHUNK_ROWS_MIN)
        rows = HEAD_CHUNK_ROWS_MIN;
    tenant->head.chunk_rows = rows > HEAD_CHUNK_ROWS_MAX ? HEAD_CHUNK_ROWS_MAX : (uint32_t)rows;
}

static enum err seal_full_traces(struct tenant *tenant, struct why *why)
{
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        struct day *day = tenant->stages[i].day;
        if (day != NULL && day->waiting.items > 0)
            TRY(traces_judge(tenant, day, false, why));
        if (day != NULL &&
            (day->pending_items >= TRACES_SEAL_ITEMS || day->pending_bytes >= TRACES_SEAL_BYTES))
            TRY(traces_seal(tenant, day, why));
    }
    return ERR_NONE;
}

/* Before a batch: what the head holds beyond its measure goes to blocks. */
static enum err make_room(struct tenant *tenant, struct why *why)
{
    uint64_t rows = 0;

    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        if (!stage_is_empty(&tenant->stages[i]))
            return ERR_NONE; /* In the middle of a group of batches. */
        if (tenant->stages[i].day != NULL)
            rows += tenant->stages[i].day->pending_samples;
    }
    TRY(seal_full_traces(tenant, why));
    if (!head_is_full(tenant, rows)) {
        if (tenant->compact_wanted)
            TRY(tenant_compact(tenant, COMPACT_SLICE_NS / 4, why));
        return ERR_NONE;
    }
    TRY(tenant_seal_all(tenant, why));
    tenant->sealed_ns = clock_monotonic_ns();
    fit_chunks(tenant);
    return tenant_compact(tenant, COMPACT_SLICE_NS, why);
}

enum err tenant_accept(struct tenant *tenant, struct batch *batch, struct why *why)
{
    int64_t retention = tenant->options->retention_raw_ms;
    struct intake intake = {
        .tenant = tenant,
        .batch = batch,
        .neighbour = INDEX_NONE,
        .stage_ms = INT64_MAX - CLOCK_MS_PER_DAY,
        .oldest_ms = retention == 0 ? 0 : tenant->now_ms - retention,
    };
    struct trace_mark marks[TENANT_DAYS_OPEN_MAX];

    if (intake.oldest_ms < 0)
        intake.oldest_ms = 0;
    TRY(make_room(tenant, why));
    if (batch_row_count(batch) >= SMALL_BATCH_ROWS)
        tenant->open_group = INDEX_NONE; /* A scrape of its own: its series stay together. */
    accept_infos(tenant, batch);
    TRY(accept_samples(&intake, why));
    TRY(accept_sketches(&intake, why));
    mark_traces(tenant, marks);
    enum err err = accept_spans(&intake, why);
    if (err == ERR_NONE)
        err = accept_events(&intake, why);
    if (err != ERR_NONE)
        take_back_traces(tenant, marks); /* The batch does not live until the commit. */
    return err;
}

/* --- committing ------------------------------------------------------------------------------ */

static enum err put_rows(struct day *day, const struct pending_row *rows,
                         const struct str *sketches, size_t count, struct why *why)
{
    struct buf body CLEANUP(buf_done) = {0};

    for (size_t from = 0; from < count; from += PENDING_ROWS_MAX) {
        size_t some = count - from < PENDING_ROWS_MAX ? count - from : PENDING_ROWS_MAX;
        int64_t min_ms = rows[from].time_ms;
        int64_t max_ms = min_ms;
        for (size_t i = from; i < from + some; i++) {
            min_ms = rows[i].time_ms < min_ms ? rows[i].time_ms : min_ms;
            max_ms = rows[i].time_ms > max_ms ? rows[i].time_ms : max_ms;
        }
        buf_clear(&body);
        pending_encode(rows + from, sketches == NULL ? NULL : sketches + from, some, &body);
        TRY(day_put_pending(day, KIND_METRIC, min_ms, max_ms, some, buf_view(&body), why));
        day->pending_rows++;
    }
    return ERR_NONE;
}

static enum err put_stage(struct tenant *tenant, struct stage *stage, struct why *why)
{
    struct day *day = stage->day;
    uint64_t items_before = day->pending_items;
    uint64_t bytes_before = day->pending_bytes;
    uint64_t waiting_before = day->waiting.items;

    TRY(day_begin(day, why));
    enum err err = put_rows(day, stage->rows, NULL, stage->count, why);
    if (err == ERR_NONE)
        err = put_rows(day, stage->sketch_rows, stage->sketches, stage->sketch_count, why);
    if (err == ERR_NONE)
        err = traces_put(tenant, day, &stage->traces, why);
    if (err == ERR_NONE)
        err = day_commit(day, why);
    else
        day_rollback(day);
    if (err != ERR_NONE) {
        day->pending_items = items_before;
        day->pending_bytes = bytes_before;
        traces_forget_waiting(day, day->waiting.items - waiting_before);
    }
    return err;
}

void tenant_apply(struct tenant *tenant, const struct pending_row *row, int32_t day,
                  struct str sketch)
{
    struct track *track = index_track(&tenant->index, row->track);
    struct head_row head_row = {row->time_ms, row->value, sketch};
    uint64_t bits;

    head_append(&tenant->head, row->id, day, &head_row);
    memcpy(&bits, &row->value, sizeof(bits));
    if (row->time_ms > atomic_load_explicit(&track->last_ms, memory_order_relaxed))
        track_set_last(track, row->time_ms, bits);
}

static void stage_clear(struct stage *stage)
{
    for (size_t i = 0; i < stage->sketch_count; i++)
        free((void *)stage->sketches[i].data);
    stage->count = 0;
    stage->sketch_count = 0;
    stage->traces.spans_count = 0;
    stage->traces.events_count = 0;
    if (stage->capacity > STAGE_ROWS_KEPT) {
        free(stage->rows);
        stage->rows = NULL;
        stage->capacity = 0;
    }
}

static void apply_stage(struct tenant *tenant, struct stage *stage)
{
    int32_t day = stage->day->from_day;

    for (size_t i = 0; i < stage->count; i++)
        tenant_apply(tenant, &stage->rows[i], day, STR_NONE);
    for (size_t i = 0; i < stage->sketch_count; i++)
        tenant_apply(tenant, &stage->sketch_rows[i], day, stage->sketches[i]);
    stage->day->pending_samples += stage->count + stage->sketch_count;
    stage->day->touched_ms = tenant->now_ms;
    tenant->stats.samples += stage->count + stage->sketch_count;
    tenant->stats.spans += stage->traces.spans_count;
    tenant->stats.events += stage->traces.events_count;
    stage_clear(stage);
}

/* Nothing of the stage was kept: the newest times are what readers know again. */
static void abandon_rows(struct tenant *tenant, const struct pending_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct track *track = index_track(&tenant->index, rows[i].track);
        track->tail_ms = atomic_load_explicit(&track->last_ms, memory_order_relaxed);
    }
}

void tenant_abandon(struct tenant *tenant)
{
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        struct stage *stage = &tenant->stages[i];
        if (stage->day == NULL)
            continue;
        abandon_rows(tenant, stage->rows, stage->count);
        abandon_rows(tenant, stage->sketch_rows, stage->sketch_count);
        stage_clear(stage);
    }
}

/* Days are committed one by one; those done stay done, and their rows are shown. */
static enum err commit_stages(struct tenant *tenant, struct why *why)
{
    TRY(tenant_save_catalog(tenant, why));
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        struct stage *stage = &tenant->stages[i];
        if (stage->day == NULL || stage_is_empty(stage))
            continue;
        uint64_t rows_before = stage->day->pending_rows;
        enum err err = put_stage(tenant, stage, why);
        if (err != ERR_NONE) {
            stage->day->pending_rows = rows_before;
            return err;
        }
        apply_stage(tenant, stage);
    }
    return ERR_NONE;
}

enum err tenant_commit(struct tenant *tenant, struct why *why)
{
    int64_t before = clock_monotonic_ns();
    enum err err = commit_stages(tenant, why);
    int64_t took = clock_monotonic_ns() - before;

    if (err != ERR_NONE) {
        tenant->stats.failed_commits++;
        tenant_abandon(tenant);
        return err;
    }
    tenant->stats.commits++;
    tenant->stats.commit_ns += took;
    if (took > tenant->stats.commit_ns_max)
        tenant->stats.commit_ns_max = took;
    return ERR_NONE;
}

/* --- about once a second --------------------------------------------------------------------- */

static void scan_activity(struct tenant *tenant, int64_t now_ms)
{
    int64_t limit_ms = now_ms - tenant->options->active_ms;

    tenant->active_scan_ms = now_ms;
    for (uint32_t i = 0; i < index_count(&tenant->index); i++) {
        struct track *track = index_track(&tenant->index, i);
        if (!track->active || track->tail_ms >= limit_ms)
            continue;
        track->active = false;
        tenant->active--;
        if (track->metric != INDEX_NONE) {
            struct pair *metric = index_pair(&tenant->index, track->metric);
            metric->active--;
            metric->refused = 0;
        }
    }
}

/* Days that nobody has written to for a while are sealed and their connection closed. */
static enum err rest_idle_days(struct tenant *tenant, struct why *why)
{
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        struct stage *stage = &tenant->stages[i];
        if (stage->day == NULL || !stage_is_empty(stage) || stage->day->waiting.items > 0 ||
            stage->day->from_day >= day_of(tenant->now_ms) ||
            tenant->now_ms - stage->day->touched_ms < tenant->options->out_of_order_ms)
            continue;
        TRY(tenant_seal(tenant, stage->day, why));
        day_rest(stage->day);
        stage->day = NULL;
    }
    return ERR_NONE;
}

void tenant_tick(struct tenant *tenant, int64_t now_ms)
{
    struct why why = WHY_INIT;

    tenant->now_ms = now_ms;
    head_reclaim(&tenant->head);
    if (now_ms - tenant->active_scan_ms >= ACTIVE_SCAN_MS)
        scan_activity(tenant, now_ms);
    enum err err = make_room(tenant, &why);
    if (err == ERR_NONE)
        err = rest_idle_days(tenant, &why);
    if (err == ERR_NONE)
        err = tenant_roll_up(tenant, COMPACT_SLICE_NS, &why);
    if (err != ERR_NONE)
        tenant_notice(tenant, "%s", why.text);
}
