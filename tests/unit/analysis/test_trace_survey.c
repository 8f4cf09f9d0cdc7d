/* SPDX-License-Identifier: Apache-2.0 */
/* Many traces of "GET /orders" in memory: most take 20 ms, some wait for a query 400 ms longer; and
 * those have tenant=acme and an audit. */
#include "analysis/trace_compare.h"
#include "analysis/trace_survey.h"
#include "query/traceql.h"
#include "store/trace_read.h"
#include "test.h"

#include "trace_maker.h"

enum { TRACES = 200, SLOW_EACH = 20 };

static void make_traces(uint32_t count)
{
    uint32_t state = 5;

    maker_clear();
    for (uint32_t i = 0; i < count; i++) {
        bool is_slow = i % SLOW_EACH == 7;
        double query = 10 + maker_random(&state) % 100 / 10.0 + (is_slow ? 400 : 0);
        double from = 1000.0 * i;
        size_t first = maker.count;
        struct span *root = maker_add(1, 0, "shop", "GET /orders", from, from + query + 10);
        maker_text(root, "tenant", is_slow ? "acme" : i % 2 == 0 ? "x" : "y");
        maker_query(2, 1, "shop", "SELECT * FROM orders WHERE email = 'a'", from + 2,
                    from + 2 + query);
        if (is_slow)
            maker_add(3, 1, "shop", "audit", from + 2 + query, from + 4 + query);
        for (size_t k = first; k < maker.count; k++)
            memcpy(maker.spans[k].trace_id, &i, sizeof(i));
    }
}

/* ---- A view of them. ---- */

static enum err read_traces(struct store_view *view, const uint8_t (*ids)[TRACE_ID_BYTES],
                            size_t count, struct arena *arena, struct span_list *ret_spans,
                            struct why *why)
{
    (void)view;
    for (size_t i = 0; i < count; i++) {
        struct span *found = ARENA_ARRAY(arena, 8, struct span);
        size_t used = 0;
        if (found == NULL)
            return arena_spent(arena, "a trace", why);
        for (size_t k = 0; k < maker.count; k++) {
            if (memcmp(maker.spans[k].trace_id, ids[i], TRACE_ID_BYTES) == 0)
                found[used++] = maker.spans[k];
        }
        ret_spans[i] = (struct span_list){found, used};
    }
    return ERR_NONE;
}

static enum err read_trace(struct store_view *view, const uint8_t trace_id[TRACE_ID_BYTES],
                           struct arena *arena, struct span_list *ret_spans, struct why *why)
{
    return read_traces(view, (const uint8_t(*)[TRACE_ID_BYTES])trace_id, 1, arena, ret_spans, why);
}

static enum err search(struct store_view *view, const struct trace_query *query,
                       struct arena *arena, struct span_list *ret_spans, struct why *why)
{
    struct span *found = ARENA_ARRAY(arena, maker.count + 1, struct span);
    size_t used = 0;

    (void)view;
    if (found == NULL)
        return arena_spent(arena, "a search", why);
    for (size_t k = maker.count; k-- > 0 && used < query->limit;) {
        const struct span *span = &maker.spans[k];
        if ((query->service.data == NULL || str_eq(query->service, span->resource->service_name)) &&
            (query->name.data == NULL || str_eq(query->name, span->name)))
            found[used++] = *span;
    }
    *ret_spans = (struct span_list){found, used};
    return ERR_NONE;
}

static const struct trace_view_ops trace_ops = {
    .trace = read_trace, .traces = read_traces, .search = search};
static const struct store_view_ops view_ops = {.traces = &trace_ops};

static struct store_view view = {.ops = &view_ops};

/* ---- One operation. ---- */

static struct survey survey_of(struct arena *arena)
{
    const struct survey_question question = {
        .service = STR("shop"), .operation = STR("GET /orders"), .to_ms = INT64_MAX};
    struct survey survey = {.traces = 0};
    struct why why = WHY_INIT;

    if (trace_survey(&view, &question, arena, &survey, &why) != ERR_NONE)
        test_complain(__FILE__, __LINE__, why.text);
    return survey;
}

TEST(the_slow_traces_are_slow_for_their_query)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(64 << 20);

    make_traces(TRACES);
    struct survey survey CLEANUP(trace_survey_done) = survey_of(arena);
    EXPECT(survey.traces == TRACES && !survey.is_cut);
    EXPECT(survey.p50_ns < 40e6 && survey.p99_ns > 400e6);
    EXPECT(survey.slow->count == SURVEY_SLOW_MIN && survey.median->count == TRACES / 10);
    ASSERT(survey.differences_count > 0);
    const struct trace_finding *first = &survey.differences[0];
    EXPECT(str_find_str(first->finding.claim, STR("SELECT * FROM orders WHERE email = ?")) >= 0);
    EXPECT_NEAR(first->share, 1, 0.05);
    ASSERT(survey.tallies.count > 0);
    EXPECT(survey.tallies.items[0]->finding.kind == TRACE_SLOW_QUERY);
    EXPECT(survey.tallies.items[0]->traces == SURVEY_SLOW_MIN);
}

TEST(the_parts_of_the_difference_add_up_to_it)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(64 << 20);
    double sum_ms = 0;

    make_traces(TRACES);
    struct survey survey CLEANUP(trace_survey_done) = survey_of(arena);
    for (size_t i = 0; i < survey.contrast.rows_count; i++)
        sum_ms += survey.contrast.rows[i].difference_ms;
    EXPECT_NEAR(sum_ms, survey.contrast.b_mean_ms - survey.contrast.a_mean_ms, 1e-6);
}

TEST(none_one_and_few_traces_are_answered_too)
{
    for (uint32_t count = 0; count < 12; count++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new(64 << 20);
        make_traces(count);
        struct survey survey CLEANUP(trace_survey_done) = survey_of(arena);
        EXPECT(survey.traces == count);
        EXPECT(survey.slow->count + survey.median->count <= count);
        EXPECT(count == 0 || survey.slow->count > 0);
    }
}

/* ---- Two sets. ---- */

static struct trace_comparison compare(struct arena *arena, const char *a, const char *b)
{
    struct traceql *first CLEANUP(traceql_freep) = NULL;
    struct traceql *second CLEANUP(traceql_freep) = NULL;
    struct trace_comparison comparison = {.findings_count = 0};
    struct why why = WHY_INIT;

    if (traceql_parse(str_of(a), arena, &first, &why) != ERR_NONE ||
        traceql_parse(str_of(b), arena, &second, &why) != ERR_NONE) {
        test_complain(__FILE__, __LINE__, why.text);
        return comparison;
    }
    const struct trace_set_question questions[2] = {{first, 0, INT64_MAX}, {second, 0, INT64_MAX}};
    if (trace_compare(&view, questions, 0, arena, &comparison, &why) != ERR_NONE)
        test_complain(__FILE__, __LINE__, why.text);
    return comparison;
}

TEST(what_tells_fast_from_slow_is_found_with_its_counts)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(64 << 20);

    make_traces(TRACES);
    struct trace_comparison found CLEANUP(trace_comparison_done) =
        compare(arena, "{ traceDuration < 200ms }", "{ traceDuration >= 200ms }");
    EXPECT(found.sets[0].group->count == 190 && found.sets[1].group->count == 10);
    EXPECT_NEAR(found.contrast.shift_ms, 400, 10);
    EXPECT(found.contrast.low_ms < 400 && found.contrast.high_ms > 395);
    ASSERT(found.telling_count > 0);
    EXPECT(str_eq(found.telling[0].key, STR("tenant")));
    EXPECT(str_eq(found.telling[0].value, STR("acme")));
    EXPECT(found.telling[0].traces[0] == 0 && found.telling[0].traces[1] == 10);
    EXPECT(found.telling[0].p_adjusted < 1e-6);
    bool audit = false;
    for (size_t i = 0; i < found.findings_count; i++)
        audit |=
            str_find_str(found.findings[i].finding.claim, STR("audit in shop is in more")) >= 0;
    EXPECT(audit);
}

TEST(two_halves_of_the_same_differ_in_nothing)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(64 << 20);

    make_traces(TRACES);
    struct trace_comparison found CLEANUP(trace_comparison_done) =
        compare(arena, "{ .tenant = \"x\" }", "{ .tenant = \"y\" }");
    EXPECT(found.contrast.p > 0.01);
    for (size_t i = 0; i < found.telling_count; i++)
        EXPECT(str_eq(found.telling[i].key, STR("tenant"))); /* As was asked for. */
}

TEST(an_empty_set_is_no_error)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(64 << 20);

    make_traces(TRACES);
    struct trace_comparison found CLEANUP(trace_comparison_done) =
        compare(arena, "{}", "{ name = \"nothing\" }");
    EXPECT(found.sets[1].group->count == 0 && found.findings_count == 0);
}

TEST_MAIN
