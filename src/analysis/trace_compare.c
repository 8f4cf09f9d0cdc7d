/* SPDX-License-Identifier: Apache-2.0 */
/* Two sets of traces. The searches give ids; then each trace is read into an arena that is emptied
 * before the next, explained, digested and its attributes counted: memory is that of the largest
 * trace and of what is kept. */
#include "analysis/trace_compare.h"
#include "analysis/trace_visit.h"

#include "base/json.h"
#include "query/traceql.h"
#include "stats/describe.h"
#include "store/trace_read.h"

#include <math.h>

#define SIGNIFICANT    0.05
#define SHARE_MIN      0.10 /* Of the difference, for an operation to be told. */
#define SHARE_LARGE    0.30
#define DIFFERENCE_MIN 0.30 /* Of shares, for an attribute to be told. */
#define OPERATIONS_MAX 4
#define ATTRIBUTES_MAX 4
#define SERVICES_MAX   2 /* Named beside the first of those that share an attribute. */
#define PRESENCES_MAX  3
#define NAME_BYTES_MAX 160

struct reading {
    struct store_view *view;
    struct arena *scratch; /* Of one trace. */
    struct trace_comparison *comparison;
    size_t traces_max;
    int which; /* Of the sets, now being read. */
};

/* ---- Reading. ---- */

static enum err show(void *self, const uint8_t trace_id[TRACE_ID_BYTES],
                     const struct span_list *spans, struct why *why)
{
    struct reading *reading = self;
    struct trace_comparison *comparison = reading->comparison;
    struct trace_explained explained;

    TRY(trace_explain(spans->items, spans->count, reading->scratch, &explained, why));
    TRY(trace_digests_add(&comparison->digests, comparison->sets[reading->which].group, trace_id,
                          &explained, why));
    return trace_features_add(&comparison->features, reading->which, spans->items, spans->count,
                              why);
}

/* What the search read is given back before the traces are read: only the ids stay. */
static enum err find_ids(struct reading *reading, const struct trace_set_question *question,
                         struct arena *arena, uint8_t (**ret_ids)[TRACE_ID_BYTES],
                         size_t *ret_count, bool *ret_is_cut, struct why *why)
{
    const struct traceql_request request = {
        .from_ms = question->from_ms,
        .to_ms = question->to_ms,
        .traces_max = reading->traces_max,
        .spans_max = 1,
    };
    struct traceql_answer answer;

    arena_clear(reading->scratch);
    TRY(traceql_search(question->query, reading->view, &request, reading->scratch, &answer, why));
    uint8_t(*ids)[TRACE_ID_BYTES] = arena_array(arena, answer.count + 1, sizeof(*ids));
    if (ids == NULL)
        return arena_spent(arena, "a comparison of traces", why);
    for (size_t i = 0; i < answer.count; i++)
        memcpy(ids[i], answer.traces[i].trace_id, TRACE_ID_BYTES);
    *ret_ids = ids;
    *ret_count = answer.count;
    *ret_is_cut = answer.is_cut;
    return ERR_NONE;
}

static void describe_set(struct trace_set *set, double *values)
{
    const struct trace_group *group = set->group;
    double spans = 0;

    set->median_ns = set->p95_ns = set->spans = NAN;
    for (size_t i = 0; i < group->count; i++) {
        values[i] = (double)group->items[i].duration_ns;
        spans += group->items[i].spans;
        set->errors += group->items[i].failed;
    }
    if (group->count == 0)
        return;
    set->median_ns = describe_median(values, group->count);
    set->p95_ns = describe_quantile(values, group->count, 0.95);
    set->spans = spans / (double)group->count;
}

static enum err read_set(struct reading *reading, int which,
                         const struct trace_set_question *question, struct arena *arena,
                         struct why *why)
{
    struct trace_set *set = &reading->comparison->sets[which];
    const struct trace_visit visit = {reading->view, reading->scratch, reading, show};
    uint8_t(*ids)[TRACE_ID_BYTES] = NULL;
    size_t count = 0;

    TRY(find_ids(reading, question, arena, &ids, &count, &set->is_cut, why));
    reading->which = which;
    TRY(trace_visit_all(&visit, (const uint8_t(*)[TRACE_ID_BYTES])ids, count, why));
    double *values = ARENA_ARRAY(arena, set->group->count + 1, double);
    if (values == NULL)
        return arena_spent(arena, "a comparison of traces", why);
    describe_set(set, values);
    return ERR_NONE;
}

/* ---- Telling. ---- */

struct telling {
    struct trace_comparison *comparison;
    struct arena *arena;
    struct buf text;
    bool is_spent;
};

static struct str take_text(struct telling *telling)
{
    struct str kept = arena_str(telling->arena, buf_view(&telling->text));

    telling->is_spent |= kept.data == NULL;
    buf_clear(&telling->text);
    return kept;
}

static void write_ms(struct buf *out, double ms)
{
    trace_write_ns(out, (int64_t)(ms * 1e6));
}

static void add(struct telling *telling, const struct trace_finding *finding)
{
    struct trace_comparison *comparison = telling->comparison;

    if (comparison->findings_count < TRACE_COMPARE_FINDINGS_MAX)
        comparison->findings[comparison->findings_count++] = *finding;
}

static void write_query(struct buf *out, struct str service, struct str name)
{
    buf_text(out, "{ resource.service.name = ");
    json_str(out, service);
    buf_text(out, " && name = ");
    json_str(out, name);
    buf_text(out, " }");
}

static void set_confidence(struct trace_finding *finding, double p)
{
    finding->finding.confidence = isnan(p) ? 0.3 : p <= SIGNIFICANT ? 0.9 : 0.4;
}

static void tell_durations(struct telling *telling)
{
    const struct trace_comparison *comparison = telling->comparison;
    const struct contrast *contrast = &comparison->contrast;
    struct trace_finding finding = {.kind = TRACE_DIFFERENCE};
    struct buf *text = &telling->text;
    bool is_sure = contrast->p <= SIGNIFICANT;

    buf_text(text, !is_sure                 ? "No difference of durations can be made out: "
                   : contrast->shift_ms > 0 ? "The second set is slower: "
                                            : "The second set is faster: ");
    write_ms(text, contrast->b_median_ms);
    buf_text(text, " instead of ");
    write_ms(text, contrast->a_median_ms);
    buf_text(text, " at the median.");
    finding.finding.claim = take_text(telling);
    buf_printf(text, "%zu and %zu traces; typical difference ", comparison->sets[0].group->count,
               comparison->sets[1].group->count);
    write_ms(text, contrast->shift_ms);
    if (!isnan(contrast->low_ms)) {
        buf_text(text, ", with 95 % confidence from ");
        write_ms(text, contrast->low_ms);
        buf_text(text, " to ");
        write_ms(text, contrast->high_ms);
    }
    buf_text(text, "; ");
    contrast_write_p(text, contrast->p);
    buf_byte(text, '.');
    finding.finding.evidence = take_text(telling);
    finding.finding.id = STR("difference:duration");
    finding.finding.next_step = is_sure
                                    ? STR("The next findings tell what takes the difference.")
                                    : STR("Compare more traces, or sets that lie further apart.");
    finding.finding.severity = SEVERITY_INFO;
    finding.time_ns = (int64_t)(fabs(contrast->shift_ms) * 1e6);
    finding.share = 1;
    set_confidence(&finding, contrast->p);
    add(telling, &finding);
}

static struct trace_finding begin_row(struct telling *telling, const struct contrast_row *row)
{
    const struct digest_operation *operation =
        &telling->comparison->digests.operations[row->operation];
    struct trace_finding finding = {
        .kind = TRACE_DIFFERENCE,
        .service = operation->service,
        .operation = operation->name,
        .time_ns = (int64_t)(fabs(row->difference_ms) * 1e6),
        .share = isnan(row->share) || row->share < 0 ? 0
                 : row->share > 1                    ? 1
                                                     : row->share,
    };

    write_query(&telling->text, operation->service, operation->name);
    finding.finding.expr = take_text(telling);
    return finding;
}

static void write_counts(struct telling *telling, const struct contrast_row *row)
{
    const struct trace_comparison *comparison = telling->comparison;

    buf_printf(&telling->text,
               "In %u of %zu traces of the first set and %u of %zu of the second; %.1f and %.1f "
               "calls a trace; ",
               row->a_traces, comparison->sets[0].group->count, row->b_traces,
               comparison->sets[1].group->count, row->a_calls, row->b_calls);
}

static void tell_operation(struct telling *telling, const struct contrast_row *row)
{
    struct trace_finding finding = begin_row(telling, row);
    struct str name = digest_operation_text(
        &telling->comparison->digests.operations[row->operation], telling->arena);
    struct buf *text = &telling->text;

    buf_printf(text, "difference:time:%.*s", STR_ARG(name));
    finding.finding.id = take_text(telling);
    buf_printf(text, "%.0f %% of the difference is %.*s: ", finding.share * 100, STR_ARG(name));
    write_ms(text, row->b_ms);
    buf_text(text, " a trace instead of ");
    write_ms(text, row->a_ms);
    buf_byte(text, '.');
    finding.finding.claim = take_text(telling);
    write_counts(telling, row);
    contrast_write_p(text, row->p_adjusted);
    buf_byte(text, '.');
    finding.finding.evidence = take_text(telling);
    double more = fabs(row->b_calls - row->a_calls);
    bool is_count = row->calls_p <= SIGNIFICANT && more > 0.5 * fmin(row->a_calls, row->b_calls);
    finding.finding.next_step =
        is_count ? STR("It is called another number of times: look at what asks for it.")
                 : STR("Each call takes another time: look at the attributes below, and at one "
                       "trace of either set.");
    finding.finding.severity = finding.share >= SHARE_LARGE ? SEVERITY_WARNING : SEVERITY_INFO;
    set_confidence(&finding, row->p_adjusted);
    add(telling, &finding);
}

static void tell_operations(struct telling *telling)
{
    const struct contrast *contrast = &telling->comparison->contrast;
    size_t told = 0;

    for (size_t i = 0; i < contrast->rows_count && told < OPERATIONS_MAX; i++) {
        const struct contrast_row *row = &contrast->rows[i];
        if (!(row->share >= SHARE_MIN) || !(row->p_adjusted <= SIGNIFICANT))
            continue;
        tell_operation(telling, row);
        told++;
    }
}

static void tell_presence(struct telling *telling, const struct contrast_row *row)
{
    struct trace_finding finding = begin_row(telling, row);
    struct str name = digest_operation_text(
        &telling->comparison->digests.operations[row->operation], telling->arena);
    bool is_new = (double)row->b_traces * (double)telling->comparison->sets[0].group->count >
                  (double)row->a_traces * (double)telling->comparison->sets[1].group->count;

    buf_printf(&telling->text, "difference:presence:%.*s", STR_ARG(name));
    finding.finding.id = take_text(telling);
    buf_printf(&telling->text, "%.*s is in %s of the second set.", STR_ARG(name),
               is_new ? "more traces" : "fewer traces");
    finding.finding.claim = take_text(telling);
    write_counts(telling, row);
    contrast_write_p(&telling->text, row->presence_p);
    buf_byte(&telling->text, '.');
    finding.finding.evidence = take_text(telling);
    finding.finding.next_step = STR("Look at what decides whether it is called: a cache, a "
                                    "feature flag, a release.");
    set_confidence(&finding, row->presence_p);
    add(telling, &finding);
}

static double presence_difference(const struct trace_comparison *comparison,
                                  const struct contrast_row *row)
{
    return fabs((double)row->b_traces / (double)comparison->sets[1].group->count -
                (double)row->a_traces / (double)comparison->sets[0].group->count);
}

/* Hundreds of rows, each with its p of presence: Bonferroni is enough here and simple to say. */
static void tell_presences(struct telling *telling)
{
    const struct trace_comparison *comparison = telling->comparison;
    const struct contrast *contrast = &comparison->contrast;
    size_t told = 0;

    for (size_t i = 0; i < contrast->rows_count && told < PRESENCES_MAX; i++) {
        const struct contrast_row *row = &contrast->rows[i];
        if (!(row->presence_p * (double)contrast->rows_count <= SIGNIFICANT) ||
            presence_difference(comparison, row) < DIFFERENCE_MIN)
            continue;
        tell_presence(telling, row);
        told++;
    }
}

/* The same value in as many traces: an attribute that goes along from service to service. */
static bool is_same_value(const struct trace_feature *a, const struct trace_feature *b)
{
    return str_eq(a->key, b->key) && str_eq(a->value, b->value) && a->traces[0] == b->traces[0] &&
           a->traces[1] == b->traces[1];
}

static bool was_told(const struct trace_comparison *comparison, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (is_same_value(&comparison->telling[i], &comparison->telling[index]))
            return true;
    }
    return false;
}

/* "shop", "shop and stock", "shop, stock and pay", "shop, stock, pay and 3 more". */
static void write_services(struct telling *telling, size_t index)
{
    const struct trace_comparison *comparison = telling->comparison;
    const struct trace_feature *feature = &comparison->telling[index];
    size_t others = 0;
    size_t said = 0;

    for (size_t i = index + 1; i < comparison->telling_count; i++)
        others += is_same_value(feature, &comparison->telling[i]);
    buf_str(&telling->text, feature->service);
    for (size_t i = index + 1; i < comparison->telling_count && said < SERVICES_MAX; i++) {
        const struct trace_feature *other = &comparison->telling[i];
        if (!is_same_value(feature, other))
            continue;
        buf_printf(&telling->text, "%s%.*s", ++said == others ? " and " : ", ",
                   STR_ARG(other->service));
    }
    if (said < others)
        buf_printf(&telling->text, " and %zu more", others - said);
}

static void tell_attribute(struct telling *telling, size_t index)
{
    const struct trace_comparison *comparison = telling->comparison;
    const struct trace_feature *feature = &comparison->telling[index];
    const uint32_t *all = comparison->features.traces;
    double difference = trace_feature_difference(&comparison->features, feature);
    struct buf *text = &telling->text;
    struct trace_finding finding = {
        .kind = TRACE_DIFFERENCE, .service = feature->service, .share = fabs(difference)};

    buf_printf(text, "difference:attribute:%.*s:%.*s=%.*s", STR_ARG(feature->service),
               STR_ARG(feature->key), STR_ARG(feature->value));
    finding.finding.id = take_text(telling);
    buf_printf(text, "%.*s = %.*s of ", STR_ARG(feature->key), STR_ARG(feature->value));
    write_services(telling, index);
    buf_printf(text, " is in %.0f %% of the second set and in %.0f %% of the first.",
               100.0 * feature->traces[1] / all[1], 100.0 * feature->traces[0] / all[0]);
    finding.finding.claim = take_text(telling);
    buf_printf(text, "%u of %u traces against %u of %u; ", feature->traces[1], all[1],
               feature->traces[0], all[0]);
    contrast_write_p(text, feature->p_adjusted);
    buf_printf(text, ", adjusted for %zu attributes that were tested.", comparison->tested_count);
    finding.finding.evidence = take_text(telling);
    finding.finding.next_step = STR("It goes with the difference; whether it is its cause, an "
                                    "experiment tells: the same request with another value.");
    buf_printf(text, "{ %s.", feature->of_resource ? "resource" : "span");
    json_str(text, feature->key);
    buf_text(text, " = ");
    json_str(text, feature->value);
    buf_text(text, " }");
    finding.finding.expr =
        str_eq(feature->key, STR("status")) ? STR("{ status = error }") : buf_view(text);
    finding.finding.expr = arena_str(telling->arena, finding.finding.expr);
    telling->is_spent |= finding.finding.expr.data == NULL;
    buf_clear(text);
    set_confidence(&finding, feature->p_adjusted);
    add(telling, &finding);
}

static void tell_attributes(struct telling *telling)
{
    const struct trace_comparison *comparison = telling->comparison;
    size_t told = 0;

    for (size_t i = 0; i < comparison->telling_count && told < ATTRIBUTES_MAX; i++) {
        const struct trace_feature *feature = &comparison->telling[i];
        if (fabs(trace_feature_difference(&comparison->features, feature)) < DIFFERENCE_MIN ||
            was_told(comparison, i))
            continue;
        tell_attribute(telling, i);
        told++;
    }
}

static enum err tell(struct trace_comparison *comparison, struct arena *arena, struct why *why)
{
    struct telling telling = {.comparison = comparison, .arena = arena};

    comparison->findings = ARENA_ARRAY(arena, TRACE_COMPARE_FINDINGS_MAX, struct trace_finding);
    telling.is_spent = comparison->findings == NULL;
    bool has_both = comparison->sets[0].group->count > 0 && comparison->sets[1].group->count > 0;
    if (!telling.is_spent && has_both) {
        tell_durations(&telling);
        tell_operations(&telling);
        tell_presences(&telling);
        tell_attributes(&telling);
    }
    buf_done(&telling.text);
    return telling.is_spent ? arena_spent(arena, "a comparison of traces", why) : ERR_NONE;
}

/* ---- All of it. ---- */

void trace_comparison_done(struct trace_comparison *comparison)
{
    trace_digests_done(&comparison->digests);
    trace_features_done(&comparison->features);
}

enum err trace_compare(struct store_view *view, const struct trace_set_question questions[2],
                       size_t traces_max, struct arena *arena,
                       struct trace_comparison *ret_comparison, struct why *why)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new_beside(arena, arena_budget(arena));
    struct trace_comparison comparison CLEANUP(trace_comparison_done) = {.findings_count = 0};
    struct reading reading = {
        .view = view,
        .scratch = scratch,
        .comparison = &comparison,
        .traces_max = traces_max == 0 ? TRACE_COMPARE_DEFAULT : traces_max,
    };

    if (view->ops->traces == NULL)
        return fail(why, ERR_UNSUPPORTED, "no traces are kept here");
    trace_digests_init(&comparison.digests, arena);
    trace_features_init(&comparison.features, arena);
    for (int i = 0; i < 2; i++) {
        comparison.sets[i].group = ARENA_NEW(arena, struct trace_group);
        if (comparison.sets[i].group == NULL)
            return arena_spent(arena, "a comparison of traces", why);
        TRY(read_set(&reading, i, &questions[i], arena, why));
    }
    TRY(trace_contrast(&comparison.digests, comparison.sets[0].group, comparison.sets[1].group,
                       arena, &comparison.contrast, why));
    TRY(trace_features_telling(&comparison.features, &comparison.telling, &comparison.telling_count,
                               &comparison.tested_count, why));
    TRY(tell(&comparison, arena, why));
    *ret_comparison = comparison;
    comparison = (struct trace_comparison){.findings_count = 0}; /* Handed over. */
    return ERR_NONE;
}
