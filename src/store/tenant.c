/* SPDX-License-Identifier: Apache-2.0 */
/* The way in: accept finds each row's track and stages the row for its day, until tenant_commit.c
 * writes it.
 *
 * A label set that came before leads to its track by the slot in it: no hash, no comparison. */
#include "store/tenant_priv.h"

#include "base/clock.h"
#include "sketch/quantile.h"

#include <stdlib.h>
#include <string.h>

enum { SMALL_BATCH_ROWS = 32 };

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

    if (name.size > TENANT_NAME_SHOWN)
        name.size = TENANT_NAME_SHOWN;
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
        enum err err = tenant_resolve(tenant, labels, intake->neighbour, &number, why);
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
        tenant_activate(tenant, track);
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
            tenant_grow((void **)&stage->rows, &stage->capacity, 1024, sizeof(*stage->rows));
        stage->rows[stage->count++] =
            (struct pending_row){number, track->id, sample->time_ms, sample->value};
    }
    return ERR_NONE;
}

static void stage_sketch(struct stage *stage, const struct pending_row *row, struct str sketch)
{
    if (stage->sketch_count == stage->sketch_capacity) {
        size_t capacity = stage->sketch_capacity;
        tenant_grow((void **)&stage->sketches, &capacity, 64, sizeof(*stage->sketches));
        tenant_grow((void **)&stage->sketch_rows, &stage->sketch_capacity, 64,
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
            tenant_grow((void **)&tenant->dirty_infos, &tenant->dirty_infos_capacity, 16,
                        sizeof(*tenant->dirty_infos));
        struct metric_info *kept = map_get(&tenant->infos, info->name);
        tenant->dirty_infos[tenant->dirty_infos_count++] = *kept;
    }
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
    TRY(tenant_make_room(tenant, why));
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
