/* SPDX-License-Identifier: Apache-2.0 */
/*     question ──► durations and ids of what fits ──► by duration ──► two groups
 *              ──► each trace read, explained, digested, forgotten ──► contrast and tally
 */
#include "analysis/trace_survey.h"
#include "analysis/trace_visit.h"

#include "base/json.h"
#include "query/traceql.h"
#include "stats/array.h"
#include "stats/describe.h"
#include "store/trace_read.h"

#include <math.h>
#include <stdlib.h>

#define DIFFERENCE_SHARE_MIN 0.10
#define SIGNIFICANT          0.05

struct candidate {
    uint8_t trace_id[TRACE_ID_BYTES];
    int64_t duration_ns;
};

struct candidates {
    struct candidate *items;
    size_t count;
    bool is_cut;
};

/* ---- What fits. ---- */

static enum err candidates_by_query(struct store_view *view, const struct survey_question *question,
                                    struct arena *arena, struct arena *scratch,
                                    struct candidates *ret, struct why *why)
{
    struct traceql_request request = {
        .from_ms = question->from_ms,
        .to_ms = question->to_ms,
        .traces_max = question->traces_max,
        .spans_max = 1,
    };
    struct traceql_answer answer;

    TRY(traceql_search(question->query, view, &request, scratch, &answer, why));
    ret->items = ARENA_ARRAY_RAW(arena, answer.count + 1, struct candidate);
    if (ret->items == NULL)
        return arena_spent(arena, "a survey of traces", why);
    for (size_t i = 0; i < answer.count; i++) {
        memcpy(ret->items[i].trace_id, answer.traces[i].trace_id, TRACE_ID_BYTES);
        ret->items[i].duration_ns = answer.traces[i].duration_ns;
    }
    ret->count = answer.count;
    ret->is_cut = answer.is_cut;
    return ERR_NONE;
}

/* Of several spans of the operation in one trace the longest counts. */
static void take_span(struct map *by_id, struct candidates *candidates, const struct span *span)
{
    int64_t duration_ns = span->end_ns > span->start_ns ? span->end_ns - span->start_ns : 0;
    struct str id = {(const char *)span->trace_id, TRACE_ID_BYTES};
    struct candidate *known = map_get(by_id, id);

    if (known == NULL) {
        known = &candidates->items[candidates->count++];
        memcpy(known->trace_id, span->trace_id, TRACE_ID_BYTES);
        known->duration_ns = duration_ns;
        (void)map_put(by_id, (struct str){(const char *)known->trace_id, TRACE_ID_BYTES}, known);
    } else if (duration_ns > known->duration_ns) {
        known->duration_ns = duration_ns;
    }
}

static enum err candidates_by_operation(struct store_view *view,
                                        const struct survey_question *question, struct arena *arena,
                                        struct arena *scratch, struct candidates *ret,
                                        struct why *why)
{
    struct trace_query query = TRACE_QUERY_ANY;
    struct map by_id CLEANUP(map_done) = {0};
    struct span_list spans;

    query.from_ms = question->from_ms;
    query.to_ms = question->to_ms;
    query.service = question->service;
    query.name = question->operation;
    query.limit = question->traces_max;
    TRY(view->ops->traces->search(view, &query, scratch, &spans, why));
    ret->items = ARENA_ARRAY_RAW(arena, spans.count + 1, struct candidate);
    if (ret->items == NULL)
        return arena_spent(arena, "a survey of traces", why);
    for (size_t i = 0; i < spans.count; i++)
        take_span(&by_id, ret, &spans.items[i]);
    ret->is_cut = spans.count == query.limit;
    return ERR_NONE;
}

static int shortest_first(const void *a, const void *b)
{
    const struct candidate *left = a;
    const struct candidate *right = b;

    if (left->duration_ns != right->duration_ns)
        return left->duration_ns < right->duration_ns ? -1 : 1;
    return memcmp(left->trace_id, right->trace_id, TRACE_ID_BYTES);
}

/* ---- Two groups. ---- */

struct ranks {
    size_t from;
    size_t count;
};

static size_t between(size_t value, size_t least, size_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* From the 99th percentile on; of few traces a quarter, so that the rest can be compared with. */
static struct ranks slow_ranks(size_t count)
{
    size_t least = count / 4 < SURVEY_SLOW_MIN ? count / 4 : SURVEY_SLOW_MIN;
    size_t wanted = between(count / 100, least == 0 ? 1 : least, SURVEY_GROUP_MAX);

    if (wanted > count)
        wanted = count;
    return (struct ranks){count - wanted, wanted};
}

/* The tenth of them around the median, and no slow one. */
static struct ranks median_ranks(size_t count, struct ranks slow)
{
    size_t least = count / 2 < 2 * SURVEY_SLOW_MIN ? count / 2 : 2 * SURVEY_SLOW_MIN;
    size_t wanted = between(count / 10, least, SURVEY_GROUP_MAX);
    size_t from = (count - wanted) / 2;

    if (from + wanted > slow.from)
        from = slow.from > wanted ? slow.from - wanted : 0;
    return (struct ranks){from, wanted < slow.from - from ? wanted : slow.from - from};
}

struct reading {
    struct store_view *view;
    const struct survey_question *question;
    struct arena *scratch;
    struct survey *survey;
    struct trace_group *group; /* Now being filled. */
    bool with_findings;
};

static enum err show(void *self, const uint8_t trace_id[TRACE_ID_BYTES],
                     const struct span_list *spans, struct why *why)
{
    struct reading *reading = self;
    struct survey *survey = reading->survey;
    struct trace_explained explained;

    TRY(trace_explain_operation(spans->items, spans->count, reading->question->service,
                                reading->question->operation, reading->scratch, &explained, why));
    TRY(trace_digests_add(&survey->digests, reading->group, trace_id, &explained, why));
    if (reading->with_findings)
        TRY(trace_tallies_add(&survey->tallies, trace_id, &explained, why));
    return ERR_NONE;
}

static enum err read_group(struct reading *reading, const struct candidates *candidates,
                           struct ranks ranks, struct why *why)
{
    const struct trace_visit visit = {reading->view, reading->scratch, reading, show};
    uint8_t ids[SURVEY_GROUP_MAX][TRACE_ID_BYTES];

    MUST(ranks.count <= SURVEY_GROUP_MAX);
    for (size_t i = 0; i < ranks.count; i++)
        memcpy(ids[i], candidates->items[ranks.from + i].trace_id, TRACE_ID_BYTES);
    return trace_visit_all(&visit, (const uint8_t(*)[TRACE_ID_BYTES])ids, ranks.count, why);
}

/* ---- What it comes to. ---- */

static void set_quantiles(struct survey *survey, const struct candidates *candidates,
                          double *sorted)
{
    for (size_t i = 0; i < candidates->count; i++)
        sorted[i] = (double)candidates->items[i].duration_ns;
    survey->p50_ns = describe_quantile_sorted(sorted, candidates->count, 0.50);
    survey->p95_ns = describe_quantile_sorted(sorted, candidates->count, 0.95);
    survey->p99_ns = describe_quantile_sorted(sorted, candidates->count, 0.99);
}

static struct str in_arena(struct arena *arena, struct buf *text)
{
    struct str kept = arena_str(arena, buf_view(text));

    buf_clear(text);
    return kept;
}

static void write_ms(struct buf *out, double ms)
{
    trace_write_ns(out, (int64_t)(ms * 1e6));
}

static struct trace_finding tell_difference(const struct survey *survey,
                                            const struct contrast_row *row, struct arena *arena)
{
    const struct digest_operation *operation = &survey->digests.operations[row->operation];
    struct str name = digest_operation_text(operation, arena);
    struct buf text CLEANUP(buf_done) = {0};
    bool is_sure = row->p_adjusted <= SIGNIFICANT;
    struct trace_finding finding = {
        .kind = TRACE_DIFFERENCE,
        .service = operation->service,
        .operation = operation->name,
        .time_ns = (int64_t)(row->b_ms * 1e6),
        .saving_ns = (int64_t)(row->difference_ms * 1e6),
        .share = row->share > 1 ? 1 : row->share,
        .calls = (uint32_t)(row->b_calls * (double)survey->slow->count + 0.5),
    };

    buf_printf(&text, "difference:%.*s", STR_ARG(name));
    finding.finding.id = in_arena(arena, &text);
    buf_printf(&text, "%.0f %% of what makes the slow ones slow is %.*s: ", finding.share * 100,
               STR_ARG(name));
    write_ms(&text, row->b_ms);
    buf_text(&text, " instead of ");
    write_ms(&text, row->a_ms);
    buf_byte(&text, '.');
    finding.finding.claim = in_arena(arena, &text);
    buf_printf(&text,
               "In %u of %zu slow traces and %u of %zu around the median; %.1f calls a trace "
               "instead of %.1f; ",
               row->b_traces, survey->slow->count, row->a_traces, survey->median->count,
               row->b_calls, row->a_calls);
    contrast_write_p(&text, row->p_adjusted);
    buf_byte(&text, '.');
    finding.finding.evidence = in_arena(arena, &text);
    buf_text(&text, row->b_calls > row->a_calls * 1.5 + 0.5
                        ? "It is called more often in the slow ones: look at what they ask for."
                        : "Each call takes longer in the slow ones: compare one of them with a "
                          "usual one, attribute by attribute (sonde trace compare).");
    finding.finding.next_step = in_arena(arena, &text);
    buf_text(&text, "{ resource.service.name = ");
    json_str(&text, operation->service);
    buf_text(&text, " && name = ");
    json_str(&text, operation->name);
    buf_text(&text, " }");
    finding.finding.expr = in_arena(arena, &text);
    finding.finding.severity = finding.share >= 0.3 && is_sure ? SEVERITY_WARNING : SEVERITY_INFO;
    finding.finding.confidence = isnan(row->p_adjusted) ? 0.3 : is_sure ? 0.9 : 0.4;
    return finding;
}

static bool tell_differences(struct survey *survey, struct arena *arena)
{
    struct trace_finding *items = ARENA_ARRAY(arena, SURVEY_DIFFERENCES_MAX, struct trace_finding);

    if (items == NULL)
        return false;
    survey->differences = items;
    for (size_t i = 0; i < survey->contrast.rows_count; i++) {
        const struct contrast_row *row = &survey->contrast.rows[i];
        bool is_worth = row->difference_ms > 0 && row->share >= DIFFERENCE_SHARE_MIN &&
                        (isnan(row->p_adjusted) || row->p_adjusted <= 4 * SIGNIFICANT);
        if (!is_worth || survey->differences_count == SURVEY_DIFFERENCES_MAX)
            continue;
        struct trace_finding finding = tell_difference(survey, row, arena);
        if (finding.finding.expr.data == NULL || finding.finding.claim.data == NULL)
            return false;
        items[survey->differences_count++] = finding;
    }
    return true;
}

static enum err look(struct reading *reading, struct arena *arena, struct candidates *candidates,
                     struct why *why)
{
    struct survey *survey = reading->survey;
    double *sorted = ARENA_ARRAY_RAW(arena, candidates->count + 1, double);

    if (sorted == NULL)
        return arena_spent(arena, "a survey of traces", why);
    survey->traces = candidates->count;
    survey->is_cut = candidates->is_cut;
    qsort(candidates->items, candidates->count, sizeof(*candidates->items), shortest_first);
    set_quantiles(survey, candidates, sorted);
    if (candidates->count > 0) {
        struct ranks slow = slow_ranks(candidates->count);
        struct ranks median = median_ranks(candidates->count, slow);
        reading->group = survey->slow;
        reading->with_findings = true;
        TRY(read_group(reading, candidates, slow, why));
        reading->group = survey->median;
        reading->with_findings = false;
        TRY(read_group(reading, candidates, median, why));
    }
    TRY(trace_contrast(&survey->digests, survey->median, survey->slow, arena, &survey->contrast,
                       why));
    if (survey->median->count > 0 && !tell_differences(survey, arena))
        return arena_spent(arena, "a survey of traces", why);
    trace_tallies_sort(&survey->tallies);
    return ERR_NONE;
}

static enum err begin(struct survey *survey, struct arena *arena, struct why *why)
{
    *survey = (struct survey){
        .median = ARENA_NEW(arena, struct trace_group),
        .slow = ARENA_NEW(arena, struct trace_group),
    };
    trace_digests_init(&survey->digests, arena);
    if (survey->median == NULL || survey->slow == NULL)
        return arena_spent(arena, "a survey of traces", why);
    return trace_tallies_init(&survey->tallies, arena, why);
}

void trace_survey_done(struct survey *survey)
{
    trace_digests_done(&survey->digests);
    trace_tallies_done(&survey->tallies);
}

enum err trace_survey(struct store_view *view, const struct survey_question *question,
                      struct arena *arena, struct survey *ret_survey, struct why *why)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new_beside(arena, arena_budget(arena));
    struct survey_question own = *question;
    struct candidates candidates = {.count = 0};
    struct survey survey CLEANUP(trace_survey_done) = {.traces = 0};
    struct reading reading = {
        .view = view, .question = &own, .scratch = scratch, .survey = &survey};

    if (view->ops->traces == NULL)
        return fail(why, ERR_UNSUPPORTED, "no traces are kept here");
    if (own.traces_max == 0)
        own.traces_max = SURVEY_TRACES_DEFAULT;
    TRY(begin(&survey, arena, why));
    TRY(own.query != NULL ? candidates_by_query(view, &own, arena, scratch, &candidates, why)
                          : candidates_by_operation(view, &own, arena, scratch, &candidates, why));
    TRY(look(&reading, arena, &candidates, why));
    *ret_survey = survey;
    survey = (struct survey){.traces = 0}; /* Handed over. */
    return ERR_NONE;
}
