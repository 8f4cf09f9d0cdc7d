/* SPDX-License-Identifier: Apache-2.0 */
/* Two kinds of series make up an operation: counters by outcome, one set per instance, and sketches
 * of what came since the sample before. Counters are walked from the sample before the stretch of
 * time to its end, and each rise belongs to the moment at which it is seen; a fall is a restart,
 * and the whole value is new. So a restart in the midst costs nothing that was told before it. Who
 * seems to begin in the stretch may only have been out of reach, so the sample before is looked for
 * a day back.
 *
 * One walk serves both questions: it hands every rise and every sketch to a receiver, which adds up
 * over all of time or by the step. */
#include "analysis/services.h"
#include "sketch/quantile.h"
#include "store/store_read.h"

#include <stdlib.h>

#define LOOKBACK_MS (INT64_C(60) * 1000) /* Most counters are told anew within ten seconds. */
#define SILENCE_MS  (INT64_C(24) * 3600 * 1000) /* A counter that was away for less goes on. */
#define MS_PER_S    1e3                         /* Sketches hold seconds. */
#define COARSE_MS   (INT64_C(6) * 3600 * 1000)

/* ---- Where the numbers are. ---- */

struct family {
    struct str calls;
    struct str durations;
    struct str service; /* Names of labels. */
    struct str operation;
    struct str outcome;
    struct str failed; /* Value of the outcome. */
};

static const struct family families[] = {
    {{"sonde_operation_calls_total", 27},
     {"sonde_operation_duration_seconds", 32},
     {"job", 3},
     {"operation", 9},
     {"outcome", 7},
     {"error", 5}},
    {{"traces_span_metrics_calls_total", 31},
     {"traces_span_metrics_duration_seconds", 36},
     {"service", 7},
     {"span_name", 9},
     {"status_code", 11},
     {"STATUS_CODE_ERROR", 17}},
};

static struct matcher equals(struct str name, struct str value)
{
    return (struct matcher){.op = MATCH_EQUAL, .name = name, .value = value};
}

/* A receiver of what happened. */
struct walk {
    const struct services_question *question;
    int64_t step_ms; /* Coarsest that still serves. */
    struct arena *arena;
    void (*count)(struct walk *walk, const struct family *family, const struct labels *labels,
                  int64_t time_ms, uint64_t calls, bool failed);
    void (*durations)(struct walk *walk, const struct family *family, const struct labels *labels,
                      int64_t time_ms, const struct quantile *sketch);
    /* Whether this series is wanted at all; NULL: all are. */
    bool (*wanted)(struct walk *walk, const struct family *family, const struct labels *labels);
};

static enum err select_series(struct store_view *view, const struct walk *walk,
                              const struct family *family, struct str metric,
                              struct series_set *ret_set, struct why *why)
{
    const struct services_question *question = walk->question;
    struct matcher matchers[3] = {equals(LABEL_NAME, metric)};
    size_t count = 1;

    if (question->service.data != NULL)
        matchers[count++] = equals(family->service, question->service);
    if (question->operation.data != NULL)
        matchers[count++] = equals(family->operation, question->operation);
    return view->ops->select(view, matchers, count, question->from_ms - LOOKBACK_MS,
                             question->to_ms, walk->arena, ret_set, why);
}

static enum err read_series(struct store_view *view, const struct walk *walk,
                            const struct series_set *set, struct samples **ret_samples,
                            struct why *why)
{
    const struct services_question *question = walk->question;
    const struct read_request request = {
        .from_ms = question->from_ms - LOOKBACK_MS,
        .to_ms = question->to_ms,
        .step_ms = walk->step_ms,
        .field = FIELD_LAST,
    };

    *ret_samples = ARENA_ARRAY(walk->arena, set->count + 1, struct samples);
    if (*ret_samples == NULL)
        return arena_spent(walk->arena, "the services", why);
    return view->ops->read(view, set, &request, walk->arena, *ret_samples, why);
}

/* What each counter had come to before the stretch of time; 0 where it begins in it. */
static enum err read_before(struct store_view *view, const struct walk *walk,
                            const struct series_set *set, const struct samples *samples,
                            double *before, struct why *why)
{
    int64_t from_ms = walk->question->from_ms;
    struct series_set late = {ARENA_ARRAY(walk->arena, set->count + 1, struct series), 0};
    int64_t *times_ms = ARENA_ARRAY(walk->arena, set->count + 1, int64_t);
    double *values = ARENA_ARRAY(walk->arena, set->count + 1, double);
    size_t next = 0;

    if (late.items == NULL || times_ms == NULL || values == NULL)
        return arena_spent(walk->arena, "the services", why);
    for (size_t i = 0; i < set->count; i++) {
        if (samples[i].count > 0 && samples[i].time_ms[0] > from_ms)
            late.items[late.count++] = set->items[i];
    }
    if (late.count == 0)
        return ERR_NONE;
    TRY(view->ops->instant(view, &late, from_ms, SILENCE_MS, walk->arena, times_ms, values, why));
    for (size_t i = 0; i < set->count && next < late.count; i++) {
        if (set->items[i].id != late.items[next].id)
            continue;
        if (times_ms[next] != INT64_MIN && values[next] >= 0) /* And no stale marker. */
            before[i] = values[next];
        next++;
    }
    return ERR_NONE;
}

static void walk_counter(struct walk *walk, const struct family *family,
                         const struct labels *labels, const struct samples *samples, double before)
{
    bool failed = str_eq(labels_get(labels, family->outcome), family->failed);

    if (samples->count > 0)
        walk->count(walk, family, labels, samples->time_ms[0], 0, failed); /* It was there. */
    for (size_t i = 0; i < samples->count; i++) {
        double value = samples->value[i];
        if (metric_is_stale(value) || !(value >= 0))
            continue;
        double rise = value >= before ? value - before : value;
        before = value;
        if (samples->time_ms[i] > walk->question->from_ms && rise > 0 && rise < 0x1p63)
            walk->count(walk, family, labels, samples->time_ms[i], (uint64_t)rise, failed);
    }
}

static enum err walk_sketches(struct walk *walk, const struct family *family,
                              const struct labels *labels, const struct samples *samples,
                              struct why *why)
{
    for (size_t i = 0; i < samples->count; i++) {
        struct quantile *sketch CLEANUP(quantile_freep) = NULL;
        if (samples->time_ms[i] <= walk->question->from_ms || samples->sketch == NULL ||
            samples->sketch[i].data == NULL)
            continue;
        TRY(quantile_read(samples->sketch[i], &sketch, why));
        walk->durations(walk, family, labels, samples->time_ms[i], sketch);
    }
    return ERR_NONE;
}

static enum err walk_family(struct store_view *view, struct walk *walk, const struct family *family,
                            struct why *why)
{
    struct series_set set = {0};
    struct samples *samples;

    TRY(select_series(view, walk, family, family->calls, &set, why));
    TRY(read_series(view, walk, &set, &samples, why));
    double *before = ARENA_ARRAY(walk->arena, set.count + 1, double);
    if (before == NULL)
        return arena_spent(walk->arena, "the services", why);
    TRY(read_before(view, walk, &set, samples, before, why));
    for (size_t i = 0; i < set.count; i++) {
        if (walk->wanted == NULL || walk->wanted(walk, family, set.items[i].labels))
            walk_counter(walk, family, set.items[i].labels, &samples[i], before[i]);
    }
    TRY(select_series(view, walk, family, family->durations, &set, why));
    TRY(read_series(view, walk, &set, &samples, why));
    for (size_t i = 0; i < set.count; i++) {
        if (walk->wanted == NULL || walk->wanted(walk, family, set.items[i].labels))
            TRY(walk_sketches(walk, family, set.items[i].labels, &samples[i], why));
    }
    return ERR_NONE;
}

/* ---- Over the whole stretch. ---- */

/* What one operation, service or everything came to, while it is added up. */
struct sum {
    const struct family *family;
    uint64_t calls;
    uint64_t failures;
    int64_t first_ms;
    int64_t last_ms;
    struct quantile *durations; /* malloc. */
};

/* By the step; arrays of the arena. */
struct trend_sum {
    struct service_trend trend;
    struct quantile **durations; /* malloc each, or NULL. */
};

struct operation_sum {
    struct str service;
    struct str operation;
    struct sum sum;
    struct trend_sum trend;
};

struct reading {
    struct walk walk;
    struct operation_sum *sums; /* By service, then by name: found by halving. */
    size_t count;
    bool is_cut;
};

static int compare(struct str left, struct str right)
{
    size_t size = left.size < right.size ? left.size : right.size;
    int order = size == 0 ? 0 : memcmp(left.data, right.data, size);

    return order != 0 ? order : (left.size > right.size) - (left.size < right.size);
}

static int compare_names(const struct operation_sum *sum, struct str service, struct str operation)
{
    int order = compare(sum->service, service);

    return order != 0 ? order : compare(sum->operation, operation);
}

/* Where it is, or would be. */
static size_t place_of(const struct reading *reading, struct str service, struct str operation)
{
    size_t low = 0;
    size_t high = reading->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_names(&reading->sums[middle], service, operation) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* NULLs where the arena is spent, which is told at the end by its being spent. */
static struct trend_sum make_trend(const struct reading *reading)
{
    size_t steps = reading->walk.question->trend_steps;
    struct arena *arena = reading->walk.arena;
    struct trend_sum trend = {{ARENA_ARRAY(arena, steps + 1, uint64_t),
                               ARENA_ARRAY(arena, steps + 1, uint64_t),
                               ARENA_ARRAY(arena, steps + 1, double)},
                              ARENA_ARRAY(arena, steps + 1, struct quantile *)};

    if (steps == 0 || trend.trend.calls == NULL || trend.trend.failures == NULL ||
        trend.trend.p95_ms == NULL || trend.durations == NULL)
        return (struct trend_sum){{NULL, NULL, NULL}, NULL};
    return trend;
}

/* NULL: there are too many. */
static struct operation_sum *sum_of(struct reading *reading, const struct family *family,
                                    const struct labels *labels)
{
    struct str service = labels_get(labels, family->service);
    struct str operation = labels_get(labels, family->operation);
    size_t place = place_of(reading, service, operation);

    if (place < reading->count && compare_names(&reading->sums[place], service, operation) == 0)
        return &reading->sums[place];
    if (reading->count == SERVICES_OPERATIONS_MAX) {
        reading->is_cut = true;
        return NULL;
    }
    memmove(&reading->sums[place + 1], &reading->sums[place],
            (reading->count - place) * sizeof(reading->sums[0]));
    reading->count++;
    reading->sums[place] = (struct operation_sum){
        service, operation, {.family = family, .first_ms = INT64_MAX}, make_trend(reading)};
    return &reading->sums[place];
}

static void note_time(struct sum *sum, int64_t time_ms)
{
    sum->first_ms = time_ms < sum->first_ms ? time_ms : sum->first_ms;
    sum->last_ms = time_ms > sum->last_ms ? time_ms : sum->last_ms;
}

static size_t trend_step(const struct services_question *question, int64_t time_ms)
{
    int64_t range_ms = question->to_ms - question->from_ms;
    int64_t passed_ms = time_ms - question->from_ms - 1;
    size_t step = passed_ms <= 0 ? 0 : (size_t)passed_ms * question->trend_steps / (size_t)range_ms;

    return step < question->trend_steps ? step : question->trend_steps - 1;
}

static void add_count(struct walk *walk, const struct family *family, const struct labels *labels,
                      int64_t time_ms, uint64_t calls, bool failed)
{
    struct operation_sum *of = sum_of((struct reading *)walk, family, labels);

    if (of == NULL)
        return;
    of->sum.calls += calls;
    of->sum.failures += failed ? calls : 0;
    note_time(&of->sum, time_ms);
    if (of->trend.durations == NULL || calls == 0)
        return;
    size_t step = trend_step(walk->question, time_ms);
    of->trend.trend.calls[step] += calls;
    of->trend.trend.failures[step] += failed ? calls : 0;
}

static void merge(struct quantile **into, const struct quantile *sketch)
{
    if (*into == NULL)
        *into = quantile_new(0, 0);
    quantile_merge(*into, sketch);
}

static void add_durations(struct walk *walk, const struct family *family,
                          const struct labels *labels, int64_t time_ms,
                          const struct quantile *sketch)
{
    struct operation_sum *of = sum_of((struct reading *)walk, family, labels);

    if (of == NULL)
        return;
    note_time(&of->sum, time_ms);
    if (of->trend.durations != NULL)
        merge(&of->trend.durations[trend_step(walk->question, time_ms)], sketch);
    else
        merge(&of->sum.durations, sketch);
}

/* With a trend each sketch was merged into its step alone; the steps together are the whole. */
static void add_trends(struct reading *reading)
{
    for (size_t i = 0; i < reading->count; i++) {
        struct operation_sum *of = &reading->sums[i];
        for (size_t j = 0; of->trend.durations != NULL && j < reading->walk.question->trend_steps;
             j++) {
            if (of->trend.durations[j] != NULL)
                merge(&of->sum.durations, of->trend.durations[j]);
        }
    }
}

/* Whoever sends its own statistics is not counted by its spans as well. */
static bool is_not_told_yet(struct walk *walk, const struct family *family,
                            const struct labels *labels)
{
    struct reading *reading = (struct reading *)walk;
    struct str service = labels_get(labels, family->service);
    size_t place = place_of(reading, service, (struct str){"", 0});

    return place == reading->count || !str_eq(reading->sums[place].service, service) ||
           reading->sums[place].sum.family == family;
}

static double at_ms(const struct sum *sum, double q)
{
    return sum->durations == NULL ? NAN : quantile_at(sum->durations, q) * MS_PER_S;
}

static struct service_numbers describe(const struct services_question *question,
                                       const struct sum *sum)
{
    uint64_t calls = sum->calls;
    uint64_t sketched = sum->durations == NULL ? 0 : quantile_count(sum->durations);
    /* What began in this stretch, about a second before it was first told of, has been there for
     * less than all of it. */
    int64_t since_ms =
        sum->first_ms - 1000 > question->from_ms ? sum->first_ms - 1000 : question->from_ms;
    double elapsed_s = (double)(question->to_ms - since_ms) / 1e3;

    if (calls == 0)
        calls = sketched; /* A sender that tells no counter. */
    return (struct service_numbers){
        .measure = {.count = calls,
                    .p50_ms = at_ms(sum, 0.5),
                    .p95_ms = at_ms(sum, 0.95),
                    .p99_ms = at_ms(sum, 0.99),
                    .throughput_rps = elapsed_s > 0 ? (double)calls / elapsed_s : 0,
                    .success_rate =
                        calls == 0 ? 1 : (double)(calls - sum->failures) / (double)calls},
        .failures = sum->failures,
        .p90_ms = at_ms(sum, 0.9),
        .p999_ms = at_ms(sum, 0.999),
        .mean_ms = sketched == 0 ? NAN : quantile_mean(sum->durations) * MS_PER_S,
        .min_ms = at_ms(sum, 0),
        .max_ms = at_ms(sum, 1),
        .last_ms = sum->last_ms,
    };
}

static void add_sum(struct sum *into, const struct sum *sum)
{
    into->family = sum->family;
    into->calls += sum->calls;
    into->failures += sum->failures;
    note_time(into, sum->first_ms);
    note_time(into, sum->last_ms);
    if (sum->durations != NULL)
        merge(&into->durations, sum->durations);
}

static void done_sum(struct sum *sum)
{
    sum->durations = quantile_free(sum->durations);
}

/* What was there and was not called is no news: it holds no sketches either. */
static void drop_idle(struct reading *reading)
{
    size_t kept = 0;

    for (size_t i = 0; i < reading->count; i++) {
        const struct sum *sum = &reading->sums[i].sum;
        if (sum->calls > 0 || sum->durations != NULL)
            reading->sums[kept++] = reading->sums[i];
    }
    reading->count = kept;
}

static struct service_trend describe_trend(const struct services_question *question,
                                           const struct operation_sum *of)
{
    struct service_trend trend = of->trend.trend;

    for (size_t i = 0; trend.calls != NULL && i < question->trend_steps; i++) {
        const struct quantile *durations = of->trend.durations[i];
        trend.p95_ms[i] = durations == NULL ? NAN : quantile_at(durations, 0.95) * MS_PER_S;
    }
    return trend;
}

/* The sums of operations as answers, and those of their services and of all beside them. */
static void gather(const struct reading *reading, struct services *services)
{
    const struct services_question *question = reading->walk.question;
    struct sum all = {.family = &families[0], .first_ms = INT64_MAX};

    for (size_t i = 0; i < reading->count;) {
        struct str service = reading->sums[i].service;
        struct sum total = {.first_ms = INT64_MAX};
        struct service_total *answer = &services->totals[services->totals_count++];
        *answer = (struct service_total){.service = service, .first = i};
        for (; i < reading->count && str_eq(reading->sums[i].service, service); i++) {
            const struct operation_sum *sum = &reading->sums[i];
            services->operations[i] = (struct service_operation){
                sum->service, sum->operation, describe(question, &sum->sum),
                describe_trend(question, sum), sum->sum.family != &families[0]};
            add_sum(&total, &sum->sum);
        }
        answer->count = i - answer->first;
        answer->numbers = describe(question, &total);
        add_sum(&all, &total);
        done_sum(&total);
    }
    services->operations_count = reading->count;
    services->all = (struct service_total){
        .service = STR_NONE, .numbers = describe(question, &all), .count = reading->count};
    done_sum(&all);
}

static int64_t coarsest(const struct services_question *question)
{
    return question->to_ms - question->from_ms > COARSE_MS ? 60000 : 0;
}

static void done_reading(struct reading *reading)
{
    for (size_t i = 0; i < reading->count; i++) {
        struct quantile **durations = reading->sums[i].trend.durations;
        done_sum(&reading->sums[i].sum);
        for (size_t j = 0; durations != NULL && j < reading->walk.question->trend_steps; j++)
            quantile_free(durations[j]);
    }
    free(reading->sums);
}

enum err services_read(struct store_view *view, const struct services_question *question,
                       struct arena *arena, struct services *ret_services, struct why *why)
{
    struct reading reading CLEANUP(done_reading) = {
        .walk = {.question = question,
                 .step_ms = coarsest(question),
                 .arena = arena,
                 .count = add_count,
                 .durations = add_durations,
                 .wanted = is_not_told_yet},
        .sums = calloc(SERVICES_OPERATIONS_MAX, sizeof(struct operation_sum)),
    };

    if (reading.sums == NULL)
        return fail(why, ERR_LIMIT, "no memory for the services");
    if (question->trend_steps > SERVICES_TREND_MAX)
        return fail(why, ERR_INVALID, "at most %d steps of a trend can be told",
                    SERVICES_TREND_MAX);
    for (size_t i = 0; i < ARRAY_COUNT(families); i++)
        TRY(walk_family(view, &reading.walk, &families[i], why));
    add_trends(&reading);
    drop_idle(&reading);
    struct services services = {
        .totals = ARENA_ARRAY(arena, reading.count + 1, struct service_total),
        .operations = ARENA_ARRAY(arena, reading.count + 1, struct service_operation),
        .is_cut = reading.is_cut,
    };
    if (services.totals == NULL || services.operations == NULL)
        return arena_spent(arena, "the services", why);
    gather(&reading, &services);
    *ret_services = services;
    return ERR_NONE;
}

/* ---- By the step. ---- */

struct plotting {
    struct walk walk;
    struct service_history *history;
    struct quantile **sketches; /* One a step, or NULL. */
    int64_t step_ms;
    struct str *told; /* Services that tell of themselves, not counted by their spans as well. */
    size_t told_count;
};

static size_t step_of(const struct plotting *plotting, int64_t time_ms)
{
    size_t step = (size_t)((time_ms - plotting->walk.question->from_ms - 1) / plotting->step_ms);

    return step < plotting->history->count ? step : plotting->history->count - 1;
}

static void plot_count(struct walk *walk, const struct family *family, const struct labels *labels,
                       int64_t time_ms, uint64_t calls, bool failed)
{
    struct plotting *plotting = (struct plotting *)walk;

    (void)family, (void)labels; /* All instances together. */
    if (calls == 0)
        return;
    size_t step = step_of(plotting, time_ms);
    plotting->history->calls[step] += calls;
    plotting->history->failures[step] += failed ? calls : 0;
}

static void plot_durations(struct walk *walk, const struct family *family,
                           const struct labels *labels, int64_t time_ms,
                           const struct quantile *sketch)
{
    struct plotting *plotting = (struct plotting *)walk;

    (void)family, (void)labels; /* All instances together. */
    merge(&plotting->sketches[step_of(plotting, time_ms)], sketch);
}

/* Beyond SERVICES_OPERATIONS_MAX of them nothing is noted, and their spans count as well. */
static bool is_plotted(struct walk *walk, const struct family *family, const struct labels *labels)
{
    struct plotting *plotting = (struct plotting *)walk;
    struct str service = labels_get(labels, family->service);

    for (size_t i = plotting->told_count; i-- > 0;) {
        if (str_eq(plotting->told[i], service))
            return family == &families[0];
    }
    if (family == &families[0] && plotting->told_count < SERVICES_OPERATIONS_MAX)
        plotting->told[plotting->told_count++] = service;
    return true;
}

static void plot_heat(struct service_history *history, size_t step, const struct quantile *sketch)
{
    uint32_t *row = &history->heat[step * (SERVICES_HEAT_ROWS + 1)];
    uint64_t below = 0;

    for (size_t i = 0; i < SERVICES_HEAT_ROWS; i++) {
        double count = quantile_count_below(sketch, history->bounds_ms[i] / MS_PER_S);
        uint64_t whole = (uint64_t)llround(count);
        row[i] = (uint32_t)(whole > below ? whole - below : 0);
        below = whole > below ? whole : below;
    }
    uint64_t all = quantile_count(sketch);
    row[SERVICES_HEAT_ROWS] = (uint32_t)(all > below ? all - below : 0);
}

static void finish_steps(const struct plotting *plotting)
{
    struct service_history *history = plotting->history;

    for (size_t i = 0; i < history->count; i++) {
        const struct quantile *sketch = plotting->sketches[i];
        history->p50_ms[i] = history->p95_ms[i] = history->p99_ms[i] = NAN;
        if (sketch == NULL || quantile_count(sketch) == 0)
            continue;
        history->p50_ms[i] = quantile_at(sketch, 0.5) * MS_PER_S;
        history->p95_ms[i] = quantile_at(sketch, 0.95) * MS_PER_S;
        history->p99_ms[i] = quantile_at(sketch, 0.99) * MS_PER_S;
        plot_heat(history, i, sketch);
    }
}

static enum err make_history(const struct services_question *question, int64_t step_ms,
                             struct arena *arena, struct service_history *history, struct why *why)
{
    int64_t steps =
        step_ms <= 0 ? 0 : (question->to_ms - question->from_ms + step_ms - 1) / step_ms;

    if (steps <= 0 || steps > SERVICES_STEPS_MAX)
        return fail(why, ERR_INVALID,
                    "the stretch of time holds %lld steps; at most %d can be told",
                    (long long)steps, SERVICES_STEPS_MAX);
    size_t count = (size_t)steps;
    *history = (struct service_history){
        .count = count,
        .times_ms = ARENA_ARRAY(arena, count, int64_t),
        .calls = ARENA_ARRAY(arena, count, uint64_t),
        .failures = ARENA_ARRAY(arena, count, uint64_t),
        .p50_ms = ARENA_ARRAY(arena, count, double),
        .p95_ms = ARENA_ARRAY(arena, count, double),
        .p99_ms = ARENA_ARRAY(arena, count, double),
        .heat = ARENA_ARRAY(arena, count * (SERVICES_HEAT_ROWS + 1), uint32_t),
    };
    if (history->times_ms == NULL || history->calls == NULL || history->failures == NULL ||
        history->p50_ms == NULL || history->p95_ms == NULL || history->p99_ms == NULL ||
        history->heat == NULL)
        return arena_spent(arena, "the service's history", why);
    for (size_t i = 0; i < count; i++)
        history->times_ms[i] = question->from_ms + (int64_t)(i + 1) * step_ms;
    for (int i = 0; i < SERVICES_HEAT_ROWS; i++)
        history->bounds_ms[i] = 0.1 * exp2((double)i / 2);
    return ERR_NONE;
}

static void done_plotting(struct plotting *plotting)
{
    for (size_t i = 0; plotting->sketches != NULL && i < plotting->history->count; i++)
        quantile_free(plotting->sketches[i]);
    free(plotting->sketches);
}

enum err services_history(struct store_view *view, const struct services_question *question,
                          int64_t step_ms, struct arena *arena, struct service_history *ret_history,
                          struct why *why)
{
    struct service_history history;

    TRY(make_history(question, step_ms, arena, &history, why));
    struct plotting plotting CLEANUP(done_plotting) = {
        .walk = {.question = question,
                 .step_ms = coarsest(question) < step_ms ? coarsest(question) : 0,
                 .arena = arena,
                 .count = plot_count,
                 .durations = plot_durations,
                 .wanted = is_plotted},
        .history = &history,
        .sketches = calloc(history.count, sizeof(struct quantile *)),
        .step_ms = step_ms,
        .told = ARENA_ARRAY(arena, SERVICES_OPERATIONS_MAX, struct str),
    };
    if (plotting.told == NULL)
        return arena_spent(arena, "the service's history", why);
    if (plotting.sketches == NULL)
        return fail(why, ERR_LIMIT, "no memory for the service's history");
    for (size_t i = 0; i < ARRAY_COUNT(families); i++)
        TRY(walk_family(view, &plotting.walk, &families[i], why));
    finish_steps(&plotting);
    *ret_history = history;
    return ERR_NONE;
}
