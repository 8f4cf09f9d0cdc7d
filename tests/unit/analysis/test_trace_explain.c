/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/trace_explain.h"
#include "test.h"

#include "trace_maker.h"

static struct trace_explained explain(struct arena *arena)
{
    struct trace_explained explained = {.findings_count = 0};
    struct why why = WHY_INIT;

    if (trace_explain(maker.spans, maker.count, arena, &explained, &why) != ERR_NONE)
        test_complain(__FILE__, __LINE__, why.text);
    return explained;
}

static const struct trace_finding *find(const struct trace_explained *explained,
                                        enum trace_finding_kind kind)
{
    for (size_t i = 0; i < explained->findings_count; i++) {
        if (explained->findings[i].kind == kind)
            return &explained->findings[i];
    }
    return NULL;
}

static bool says(struct str text, const char *part)
{
    bool does = str_find_str(text, str_of(part)) >= 0;

    if (!does)
        printf("# \"%.*s\" does not say \"%s\"\n", STR_ARG(text), part);
    return does;
}

TEST(durations_are_told_with_three_digits)
{
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {{0, "0 ns"},           {85, "85 ns"},          {999, "999 ns"},
                 {1000, "1.00 µs"},     {420000, "420 µs"},     {999999, "1.00 ms"},
                 {80300000, "80.3 ms"}, {1240000000, "1.24 s"}, {90 * 1000000000LL, "1 min 30 s"},
                 {-5000000, "-5.00 ms"}};

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf out CLEANUP(buf_done) = {0};
        trace_write_ns(&out, cases[i].ns);
        EXPECT_TEXT(buf_cstr(&out), cases[i].text);
    }
}

TEST(a_query_that_takes_most_of_the_time_is_named)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);

    maker_clear();
    maker_add(1, 0, "shop", "GET /orders", 0, 1000);
    maker_query(2, 1, "shop", "SELECT * FROM orders WHERE email = 'a@b'", 50, 950);
    struct trace_explained explained = explain(arena);
    const struct trace_finding *finding = find(&explained, TRACE_SLOW_QUERY);
    ASSERT(finding != NULL);
    EXPECT(finding->finding.severity == SEVERITY_WARNING);
    EXPECT(says(finding->finding.claim, "SELECT * FROM orders WHERE email = ?"));
    EXPECT(says(finding->finding.next_step, "EXPLAIN (ANALYZE, BUFFERS)"));
    EXPECT_NEAR(finding->share, 0.9, 1e-9);
    EXPECT(finding->nodes_count == 1 && finding->nodes[0] == maker_node(&explained.tree, 2));
    EXPECT(says(finding->finding.expr, "resource.service.name = \"shop\""));
}

/* count queries of 2 ms, one after the other. */
static void add_queries(uint32_t first, uint32_t parent, uint32_t count, double from_ms)
{
    static char statements[64][64];

    for (uint32_t i = 0; i < count; i++) {
        (void)snprintf(statements[i % 64], 64, "SELECT name FROM items WHERE id = %u", i);
        maker_query(first + i, parent, "shop", statements[i % 64], from_ms + 3 * i,
                    from_ms + 3 * i + 2);
    }
}

TEST(one_query_for_each_item_is_n_plus_one_and_not_a_slow_query)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);

    maker_clear();
    maker_add(1, 0, "shop", "GET /cart", 0, 200);
    add_queries(10, 1, 50, 10);
    struct trace_explained explained = explain(arena);
    const struct trace_finding *finding = find(&explained, TRACE_N_PLUS_ONE);
    ASSERT(finding != NULL);
    EXPECT(finding->calls == 50 && finding->time_ns == 100 * MS);
    EXPECT(finding->saving_ns == 98 * MS);
    EXPECT(says(finding->finding.claim, "50 times"));
    EXPECT(says(finding->finding.evidence, "WHERE id = ?"));
    EXPECT(find(&explained, TRACE_SLOW_QUERY) == NULL);
    EXPECT(find(&explained, TRACE_RETRIES) == NULL);
}

TEST(n_plus_one_is_seen_through_a_span_around_each_query)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);

    maker_clear();
    maker_add(1, 0, "shop", "GET /cart", 0, 200);
    for (uint32_t i = 0; i < 20; i++) {
        maker_add(10 + i, 1, "shop", "load item", 5 * i, 5 * i + 4);
        maker_query(50 + i, 10 + i, "shop", "SELECT name FROM items WHERE id = $1", 5 * i + 1,
                    5 * i + 3);
    }
    struct trace_explained explained = explain(arena);
    const struct trace_finding *finding = find(&explained, TRACE_N_PLUS_ONE);
    ASSERT(finding != NULL);
    EXPECT(finding->calls == 20);
    EXPECT(explained.calls.of[finding->nodes[0]] != TRACE_NONE); /* The queries, not around them. */
}

TEST(queries_side_by_side_and_few_queries_are_no_n_plus_one)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);

    maker_clear();
    maker_add(1, 0, "shop", "GET /cart", 0, 100);
    for (uint32_t i = 0; i < 30; i++)
        maker_query(10 + i, 1, "shop", "SELECT 1 FROM a WHERE b = $1", 10 + 0.1 * i, 60 + 0.1 * i);
    struct trace_explained explained = explain(arena);
    EXPECT(find(&explained, TRACE_N_PLUS_ONE) == NULL);
    maker_clear();
    maker_add(1, 0, "shop", "GET /cart", 0, 100);
    add_queries(10, 1, 4, 10);
    explained = explain(arena);
    EXPECT(find(&explained, TRACE_N_PLUS_ONE) == NULL);
}

TEST(asking_again_after_errors_is_a_retry_with_its_pauses)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);

    maker_clear();
    maker_add(1, 0, "shop", "POST /pay", 0, 1000);
    for (uint32_t i = 0; i < 6; i++) {
        struct span *span =
            maker_get(10 + i, 1, "shop", "http://bank:80/pay", 100 * i, 100 * i + 99);
        span->status = i < 5 ? SPAN_STATUS_ERROR : SPAN_STATUS_OK;
        span->status_message = STR("503");
    }
    struct trace_explained explained = explain(arena);
    const struct trace_finding *finding = find(&explained, TRACE_RETRIES);
    ASSERT(finding != NULL);
    EXPECT(finding->calls == 6 && finding->finding.severity == SEVERITY_WARNING);
    EXPECT(finding->saving_ns == 500 * MS);
    EXPECT(says(finding->finding.claim, "Retry storm: shop asked GET bank:80/pay 6 times, 5 of"));
    EXPECT(says(finding->finding.claim, "then it went well"));
    EXPECT(says(finding->finding.evidence, "no pause"));
    EXPECT(find(&explained, TRACE_N_PLUS_ONE) == NULL);
}

TEST(a_client_that_asks_again_by_itself_is_seen_from_the_other_side)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);

    maker_clear();
    maker_add(1, 0, "shop", "POST /checkout", 0, 200);
    maker_get(2, 1, "shop", "http://bank/pay", 10, 190);
    for (uint32_t i = 0; i < 3; i++) {
        struct span *attempt = maker_add(10 + i, 2, "bank", "POST /pay", 20 + 50 * i, 60 + 50 * i);
        attempt->kind = SPAN_KIND_SERVER;
        attempt->status = i < 2 ? SPAN_STATUS_ERROR : SPAN_STATUS_UNSET;
        attempt->status_message = STR("busy");
    }
    struct trace_explained explained = explain(arena);
    const struct trace_finding *finding = find(&explained, TRACE_RETRIES);
    ASSERT(finding != NULL);
    EXPECT(finding->calls == 3);
    EXPECT(says(finding->finding.claim, "Retries: shop asked"));
    EXPECT(says(finding->finding.claim, "3 times, 2 of them failed, then it went well"));
    EXPECT(says(finding->finding.evidence, "busy"));
    maker.spans[2].status = SPAN_STATUS_UNSET; /* Answered several times, but none asked again. */
    maker.spans[3].status = SPAN_STATUS_UNSET;
    explained = explain(arena);
    EXPECT(find(&explained, TRACE_RETRIES) == NULL);
}

TEST(retries_of_retries_multiply)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);
    uint32_t id = 100;

    maker_clear();
    maker_add(1, 0, "shop", "POST /pay", 0, 1000);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t outer = id++;
        uint32_t server = id++;
        maker_get(outer, 1, "shop", "http://stock/reserve", 300 * i, 300 * i + 290)->status =
            SPAN_STATUS_ERROR;
        maker_add(server, outer, "stock", "reserve", 300 * i + 1, 300 * i + 289)->status =
            SPAN_STATUS_ERROR;
        for (uint32_t k = 0; k < 4; k++)
            maker_get(id++, server, "stock", "http://bank/charge", 300 * i + 70 * k + 2,
                      300 * i + 70 * k + 72.5)
                ->status = SPAN_STATUS_ERROR; /* Half a millisecond over the next one. */
    }
    struct trace_explained explained = explain(arena);
    bool found = false;
    for (size_t i = 0; i < explained.findings_count; i++) {
        const struct trace_finding *finding = &explained.findings[i];
        if (finding->kind != TRACE_RETRIES || !str_eq(finding->service, STR("stock")))
            continue;
        found = true;
        EXPECT(finding->calls == 12);
        EXPECT(finding->finding.severity == SEVERITY_CRITICAL);
        EXPECT(says(finding->finding.claim, "12 times in 3 rounds"));
        EXPECT(says(finding->finding.evidence, "they multiply"));
    }
    EXPECT(found);
}

TEST(calls_that_could_run_side_by_side_are_a_question)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);

    maker_clear();
    maker_add(1, 0, "web", "GET /home", 0, 320);
    maker_get(2, 1, "web", "http://users/me", 0, 100);
    maker_get(3, 1, "web", "http://news/latest", 101, 201);
    maker_get(4, 1, "web", "http://ads/one", 202, 312);
    struct trace_explained explained = explain(arena);
    const struct trace_finding *finding = find(&explained, TRACE_SEQUENTIAL_CALLS);
    ASSERT(finding != NULL);
    EXPECT(finding->calls == 3 && finding->saving_ns == 200 * MS);
    EXPECT(finding->finding.confidence <= 0.5);
    EXPECT(says(finding->finding.claim, "200 ms"));
}

TEST(writes_one_after_the_other_are_meant)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);

    maker_clear();
    maker_add(1, 0, "shop", "POST /order", 0, 200);
    maker_query(2, 1, "shop", "INSERT INTO orders VALUES (1)", 0, 100);
    maker_query(3, 1, "shop", "UPDATE stock SET n = n - 1", 100, 200);
    struct trace_explained explained = explain(arena);
    EXPECT(find(&explained, TRACE_SEQUENTIAL_CALLS) == NULL);
}

TEST(a_stretch_that_no_span_covers_is_a_gap_with_its_neighbours)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);

    maker_clear();
    maker_add(1, 0, "shop", "GET /", 0, 1000);
    maker_add(2, 1, "shop", "load", 0, 200);
    maker_add(3, 1, "shop", "render", 700, 1000);
    struct trace_explained explained = explain(arena);
    const struct trace_finding *finding = find(&explained, TRACE_GAP);
    ASSERT(finding != NULL);
    EXPECT(finding->time_ns == 500 * MS);
    EXPECT(says(finding->finding.claim, "between load and render"));
}

TEST(an_error_is_followed_down_to_where_it_began)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);

    maker_clear();
    maker_add(1, 0, "web", "GET /", 0, 100)->status = SPAN_STATUS_ERROR;
    maker_add(2, 1, "web", "handled", 0, 10)->status = SPAN_STATUS_ERROR;
    maker_add(3, 1, "shop", "serve", 20, 90)->status = SPAN_STATUS_ERROR;
    struct span *origin = maker_query(4, 3, "shop", "SELECT 1", 30, 80);
    origin->status = SPAN_STATUS_ERROR;
    origin->status_message = STR("deadlock detected");
    maker_add(5, 1, "web", "log", 90, 95);
    maker.spans[1].parent_span_id[0] = 5; /* "handled": its parent did not fail. */
    struct trace_explained explained = explain(arena);
    const struct trace_finding *finding = find(&explained, TRACE_ERROR_ORIGIN);
    ASSERT(finding != NULL);
    EXPECT(finding->finding.severity == SEVERITY_CRITICAL);
    EXPECT(says(finding->finding.claim, "GET / of web failed because SELECT of shop did"));
    EXPECT(says(finding->finding.claim, "deadlock detected"));
    EXPECT(finding->nodes_count == 3);
}

TEST(an_error_that_a_service_answered_with_is_told_first)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);

    maker_clear();
    maker_add(1, 0, "page", "click", 0, 100); /* Knows nothing of errors. */
    struct span *answered = maker_add(2, 1, "shop", "POST /pay", 1, 99);
    answered->kind = SPAN_KIND_SERVER;
    answered->status = SPAN_STATUS_ERROR;
    answered->status_message = STR("declined");
    add_queries(10, 2, 30, 2);
    struct trace_explained explained = explain(arena);
    ASSERT(explained.findings_count > 1);
    EXPECT(find(&explained, TRACE_N_PLUS_ONE) != NULL);
    const struct trace_finding *finding = &explained.findings[0];
    EXPECT(finding->kind == TRACE_ERROR_ORIGIN);
    EXPECT(finding->finding.severity == SEVERITY_WARNING);
    EXPECT(says(finding->finding.claim, "does not say what became of it"));
}

TEST(an_error_that_was_got_over_needs_no_attention)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);

    maker_clear();
    maker_add(1, 0, "shop", "GET /", 0, 100);
    maker_get(2, 1, "shop", "http://cache/x", 1, 2)->status = SPAN_STATUS_ERROR;
    struct trace_explained explained = explain(arena);
    const struct trace_finding *finding = find(&explained, TRACE_ERROR_ORIGIN);
    ASSERT(finding != NULL);
    EXPECT(finding->finding.severity == SEVERITY_INFO);
    EXPECT(says(finding->finding.claim, "got over it"));
}

static const char *written(double ns)
{
    static char text[64];
    struct buf out = {0};

    trace_write_ns(&out, (int64_t)ns);
    (void)snprintf(text, sizeof(text), "%.*s", STR_ARG(buf_view(&out))); /* Fits. */
    buf_done(&out);
    return text;
}

TEST(durations_are_told_in_the_unit_that_fits)
{
    EXPECT_TEXT(written(0), "0 ns");
    EXPECT_TEXT(written(999.6e3), "1.00 ms");
    EXPECT_TEXT(written(12.34e6), "12.3 ms");
    EXPECT_TEXT(written(59.9e9), "59.9 s");
    EXPECT_TEXT(written(59.96e9), "1 min");
    EXPECT_TEXT(written(100e9), "1 min 40 s");
    EXPECT_TEXT(written(-100e9), "-1 min 40 s");
    EXPECT_TEXT(written(7500e9), "2 h 5 min");
    EXPECT_TEXT(written(273600e9), "3 d 4 h");
}

TEST(a_quiet_trace_is_told_nothing_bad)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);

    maker_clear();
    maker_add(1, 0, "shop", "GET /", 0, 2);
    maker_query(2, 1, "shop", "SELECT 1", 0.5, 1);
    struct trace_explained explained = explain(arena);
    EXPECT(explained.findings_count == 0);
}

TEST(flaws_of_the_trace_are_said)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);

    maker_clear();
    maker_add(1, 9, "shop", "GET /", 0, 2);
    maker_add(2, 1, "bank", "serve", 500, 501)->kind = SPAN_KIND_SERVER;
    struct trace_explained explained = explain(arena);
    const struct trace_finding *skew = find(&explained, TRACE_CLOCK_SKEW);
    const struct trace_finding *whole = find(&explained, TRACE_INCOMPLETE);
    ASSERT(skew != NULL && whole != NULL);
    EXPECT(says(whole->finding.claim, "its root has not arrived, 1 span whose parent has not"));
    EXPECT(says(skew->finding.claim, "1 of 2 spans"));
}

TEST(one_operation_within_a_trace_can_be_explained_alone)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(4 << 20);
    struct trace_explained explained;

    maker_clear();
    maker_add(1, 0, "web", "GET /", 0, 1000);
    maker_query(2, 1, "web", "SELECT slow", 0, 800);
    maker_add(3, 1, "shop", "GET /cart", 800, 1000);
    add_queries(10, 3, 30, 801);
    ASSERT(trace_explain_operation(maker.spans, maker.count, STR("shop"), STR("GET /cart"), arena,
                                   &explained, NULL) == ERR_NONE);
    EXPECT(explained.top == maker_node(&explained.tree, 3));
    EXPECT(find(&explained, TRACE_SLOW_QUERY) == NULL);
    const struct trace_finding *finding = find(&explained, TRACE_N_PLUS_ONE);
    ASSERT(finding != NULL);
    EXPECT_NEAR(finding->share, 0.3, 1e-9);
}

TEST(any_trace_is_explained_and_its_findings_are_sound)
{
    for (uint32_t seed = 1; seed <= 300; seed++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new(16 << 20);
        maker_scramble(seed, 1 + seed % 80);
        for (size_t i = 0; i < maker.count; i++) {
            if (i % 3 == 0)
                maker_text(maker_text(&maker.spans[i], "db.system", "mysql"), "db.statement",
                           i % 2 == 0 ? "SELECT 1" : "UPDATE a SET b = 'c'");
        }
        struct trace_explained explained = explain(arena);
        for (size_t i = 0; i < explained.findings_count; i++) {
            const struct trace_finding *finding = &explained.findings[i];
            EXPECT(finding->share >= 0 && finding->share <= 1);
            EXPECT(finding->finding.claim.size > 0 && finding->finding.next_step.size > 0);
            EXPECT(finding->finding.confidence > 0 && finding->finding.confidence <= 1);
            EXPECT(finding->nodes_count > 0);
            for (uint32_t k = 0; k < finding->nodes_count; k++)
                EXPECT(finding->nodes[k] < explained.tree.count);
        }
    }
}

TEST_MAIN
