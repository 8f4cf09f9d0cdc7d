/* SPDX-License-Identifier: Apache-2.0 */
/* A load of a minute on a machine of two cores, with made-up figures and spans: what was planted is
 * named, and where nothing was, nothing is. */
#include "analysis/load_explain.h"
#include "store/trace_read.h"
#include "test.h"

#include <math.h>

#include "fake_view.h"
#include "trace_maker.h"

#define FROM_MS INT64_C(600000)
#define TO_MS   INT64_C(660000)

static const uint8_t run_id[SPAN_ID_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8};

/* ---- Series. ---- */

/* A counter that rises by before each second, and by during while the load runs. */
static void add_counter(struct fake_view *fake, double before, double during)
{
    double value = 1000;

    for (int64_t at = FROM_MS - 120000; at <= TO_MS; at += 1000) {
        fake_sample(fake, at, value);
        value += at >= FROM_MS ? during : before;
    }
}

static void add_host(struct fake_view *fake, double used_before, double used, double runnable)
{
    for (int cpu = 0; cpu < 2; cpu++) {
        fake_add(fake, "node_cpu_seconds_total", "mode", "idle", "cpu", cpu == 0 ? "0" : "1",
                 "instance", "vm", NULL);
        add_counter(fake, 1 - used_before, 1 - used);
        fake_add(fake, "node_cpu_seconds_total", "mode", "idle", "cpu", cpu == 0 ? "0" : "1",
                 "instance", "elsewhere", NULL); /* Another machine, at rest. */
        add_counter(fake, 1, 1);
    }
    fake_add(fake, "node_procs_running", "instance", "vm", NULL);
    fake_line(fake, FROM_MS - 120000, TO_MS, 1000, runnable, runnable);
}

static void add_process(struct fake_view *fake, const char *name, double before, double during)
{
    fake_add(fake, "namedprocess_namegroup_cpu_seconds_total", "groupname", name, "instance", "vm",
             NULL);
    add_counter(fake, before, during);
    fake_add(fake, "namedprocess_namegroup_num_procs", "groupname", name, "instance", "vm", NULL);
    fake_line(fake, FROM_MS - 120000, TO_MS, 1000, 1, 1);
}

/* ---- Spans. ---- */

static enum err walk(struct store_view *view, const struct span_walk *walk, struct why *why)
{
    static uint8_t traces[MAKER_SPANS_MAX][TRACE_ID_BYTES];
    static uint8_t ids[MAKER_SPANS_MAX][SPAN_ID_BYTES];
    static uint8_t parents[MAKER_SPANS_MAX][SPAN_ID_BYTES];
    static int64_t starts[MAKER_SPANS_MAX], durations[MAKER_SPANS_MAX];
    static uint64_t kinds[MAKER_SPANS_MAX], places[MAKER_SPANS_MAX];
    static struct str texts[MAKER_SPANS_MAX];
    static struct resource resources[MAKER_SPANS_MAX];
    bool is_enough = false;

    (void)view;
    for (size_t i = 0; i < maker.count; i++) {
        const struct span *span = &maker.spans[i];
        memcpy(traces[i], span->trace_id, TRACE_ID_BYTES);
        memcpy(ids[i], span->span_id, SPAN_ID_BYTES);
        memcpy(parents[i], span->parent_span_id, SPAN_ID_BYTES);
        starts[i] = span->start_ns;
        durations[i] = span->end_ns - span->start_ns;
        kinds[i] = (uint64_t)span->kind | (uint64_t)span->status << 3;
        places[i] = i;
        texts[i] = span->name;
        resources[i] = *span->resource;
    }
    const struct span_run run = {
        .count = maker.count,
        .traces = traces[0],
        .traces_count = maker.count,
        .trace_of = places,
        .ids = ids[0],
        .parent_ids = parents[0],
        .start_ns = starts,
        .duration_ns = durations,
        .kinds = kinds,
        .texts = texts,
        .texts_count = maker.count,
        .name_of = places,
        .resources = resources,
        .resources_count = maker.count,
        .resource_of = places,
    };
    return walk->show(walk->self, &run, &is_enough, why);
}

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
            (query->name.data == NULL || str_eq(query->name, span->name)) &&
            (!query->only_errors || span->status == SPAN_STATUS_ERROR))
            found[used++] = *span;
    }
    *ret_spans = (struct span_list){found, used};
    return ERR_NONE;
}

static const struct trace_view_ops trace_ops = {
    .traces = read_traces, .search = search, .walk = walk};
static const struct store_view_ops ops_with_traces = {
    .select = fake_select,
    .read = fake_read,
    .instant = fake_instant,
    .release = fake_release,
    .traces = &trace_ops,
};

/* Requests of the run, each with a query that takes query_ms of it; the last ones fail. */
static void make_requests(uint32_t count, double query_ms, uint32_t failed)
{
    maker_clear();
    for (uint32_t i = 0; i < count; i++) {
        double from = (double)FROM_MS + 10.0 * i;
        size_t first = maker.count;
        struct span *root = maker_add(1, 0, "shop", "GET /orders", from, from + query_ms + 2);
        root->kind = SPAN_KIND_SERVER;
        memcpy(root->parent_span_id, run_id, SPAN_ID_BYTES);
        maker_query(2, 1, "shop", "SELECT * FROM orders WHERE email = 'a'", from + 1,
                    from + 1 + query_ms);
        if (i >= count - failed) {
            root->status = SPAN_STATUS_ERROR;
            maker.spans[maker.count - 1].status = SPAN_STATUS_ERROR;
            maker.spans[maker.count - 1].status_message = STR("deadlock detected");
        }
        for (size_t k = first; k < maker.count; k++) {
            memcpy(maker.spans[k].trace_id, run_id, SPAN_ID_BYTES);
            memcpy(maker.spans[k].trace_id + SPAN_ID_BYTES, &i, sizeof(i));
        }
    }
}

/* ---- Asking. ---- */

static struct load_facts facts_of_a_failure(void)
{
    struct load_facts facts = {
        .from_ms = FROM_MS,
        .to_ms = TO_MS,
        .is_here = true,
        .instance = STR("vm"),
        .has_trace_run = true,
        .requests = 100,
        .quantile = 0.95,
        .service_ms = NAN,
        .has_failed = true,
        .slow = STR("p95 < 5ms broke (90 ms)"),
    };

    memcpy(facts.trace_run, run_id, SPAN_ID_BYTES);
    return facts;
}

static void explain(struct fake_view *fake, const struct load_facts *facts,
                    struct load_explained *explained)
{
    struct why why = WHY_INIT;

    if (load_explain(&fake->view, facts, fake->arena, explained, &why) != ERR_NONE)
        test_complain(__FILE__, __LINE__, why.text);
}

static bool notes_say(const struct load_explained *explained, const char *text)
{
    for (size_t i = 0; i < explained->notes_count; i++) {
        if (str_find_str(explained->notes[i].text, str_of(text)) >= 0)
            return true;
    }
    return false;
}

static const struct load_figure *figure(const struct load_explained *explained, const char *key)
{
    for (size_t i = 0; i < explained->figures_count; i++) {
        if (strcmp(explained->figures[i].key, key) == 0)
            return &explained->figures[i];
    }
    return NULL;
}

TEST(a_full_machine_is_named_with_who_filled_it)
{
    struct load_explained explained CLEANUP(load_explain_done) = {.entries_count = 0};
    struct load_facts facts = facts_of_a_failure();
    struct fake_view *fake = fake_new();

    add_host(fake, 0.1, 0.97, 9);
    add_process(fake, "app", 0.1, 1.8);
    add_process(fake, "sonde", 0, 0.1);
    facts.generator_cores = 0.1;
    explain(fake, &facts, &explained);
    EXPECT(explained.cores == 2);
    EXPECT_NEAR(figure(&explained, "cpu")->during, 0.97, 0.01);
    EXPECT_NEAR(figure(&explained, "cpu")->before, 0.1, 0.01);
    ASSERT(explained.findings_count == 1 && explained.findings[0].is_cause);
    EXPECT(notes_say(&explained, "p95 < 5ms broke (90 ms): The host's CPU was saturated (97 %"));
    EXPECT(notes_say(&explained, "run queue 9): process app used 1.8 cores"));
    EXPECT(notes_say(&explained, "the generator itself 0.1"));
    fake_free(fake);
}

TEST(a_machine_that_was_full_before_is_said_to_be)
{
    struct load_explained explained CLEANUP(load_explain_done) = {.entries_count = 0};
    struct load_facts facts = facts_of_a_failure();
    struct fake_view *fake = fake_new();

    add_host(fake, 0.96, 0.97, 9);
    explain(fake, &facts, &explained);
    EXPECT(notes_say(&explained, "and was before the run"));
    fake_free(fake);
}

TEST(one_thread_at_its_end_is_named)
{
    struct load_explained explained CLEANUP(load_explain_done) = {.entries_count = 0};
    struct load_facts facts = facts_of_a_failure();
    struct fake_view *fake = fake_new();

    add_host(fake, 0.1, 0.55, 1);
    add_process(fake, "python3", 0.02, 1.0);
    explain(fake, &facts, &explained);
    EXPECT(notes_say(&explained, "Process python3 used 1.00 cores, of 2"));
    fake_free(fake);
}

TEST(a_busy_machine_on_which_nobody_waits_explains_nothing)
{
    struct load_explained explained CLEANUP(load_explain_done) = {.entries_count = 0};
    struct load_facts facts = facts_of_a_failure();
    struct fake_view *fake = fake_new();

    add_host(fake, 0.1, 0.6, 1);
    add_process(fake, "app", 0.1, 0.5);
    explain(fake, &facts, &explained);
    EXPECT(explained.findings_count == 0);
    ASSERT(explained.notes_count == 1);
    EXPECT(notes_say(&explained, "Nothing that the daemon saw of the target explains it"));
    facts.has_failed = false;
    facts.slow = STR_NONE;
    load_explain_done(&explained);
    explain(fake, &facts, &explained);
    EXPECT(explained.notes_count == 0);
    fake_free(fake);
}

TEST(memory_that_climbs_all_the_way_is_named_and_what_levels_off_is_not)
{
    struct load_explained explained CLEANUP(load_explain_done) = {.entries_count = 0};
    struct load_facts facts = facts_of_a_failure();
    struct fake_view *fake = fake_new();

    add_host(fake, 0.1, 0.5, 1);
    fake_add(fake, "namedprocess_namegroup_memory_bytes", "memtype", "resident", "groupname",
             "leaky", "instance", "vm", NULL);
    fake_line(fake, FROM_MS, TO_MS, 1000, 100e6, 400e6);
    fake_add(fake, "namedprocess_namegroup_memory_bytes", "memtype", "resident", "groupname",
             "cache", "instance", "vm", NULL);
    fake_line(fake, FROM_MS, FROM_MS + 20000, 1000, 100e6, 400e6);
    fake_line(fake, FROM_MS + 21000, TO_MS, 1000, 400e6, 401e6);
    explain(fake, &facts, &explained);
    ASSERT(explained.findings_count == 1);
    EXPECT(str_find_str(explained.findings[0].finding.claim, STR("leaky grew all the time")) >= 0);
    fake_free(fake);
}

TEST(another_machine_is_not_blamed)
{
    struct load_explained explained CLEANUP(load_explain_done) = {.entries_count = 0};
    struct load_facts facts = facts_of_a_failure();
    struct fake_view *fake = fake_new();

    add_host(fake, 0.1, 0.99, 9);
    facts.is_here = false;
    explain(fake, &facts, &explained);
    EXPECT(explained.findings_count == 0 && notes_say(&explained, "it watches another machine"));
    fake_free(fake);
}

TEST(the_query_that_slow_requests_wait_for_is_the_cause)
{
    struct load_explained explained CLEANUP(load_explain_done) = {.entries_count = 0};
    struct load_facts facts = facts_of_a_failure();
    struct fake_view *fake = fake_new();

    fake->view.ops = &ops_with_traces;
    make_requests(100, 80, 0);
    explain(fake, &facts, &explained);
    EXPECT(explained.entries_are_ours && explained.entry_spans == 100 && explained.spans == 200);
    ASSERT(explained.entries_count == 1 && explained.findings_count > 0);
    EXPECT(str_eq(explained.entries[0].name, STR("GET /orders")));
    EXPECT(explained.findings[0].is_cause && explained.findings[0].trace_ids_count > 0);
    EXPECT(memcmp(explained.findings[0].trace_ids[0], run_id, SPAN_ID_BYTES) == 0);
    EXPECT(notes_say(&explained, "p95 < 5ms broke (90 ms): Slow requests to GET /orders (shop)"));
    EXPECT(notes_say(&explained, "SELECT * FROM orders WHERE email = ?"));
    /* Nothing broke: the same is worth a row, and no word of the verdict. */
    facts.has_failed = false;
    facts.slow = STR_NONE;
    load_explain_done(&explained);
    explain(fake, &facts, &explained);
    EXPECT(explained.findings_count > 0 && !explained.findings[0].is_cause);
    EXPECT(explained.notes_count == 0);
    fake_free(fake);
}

TEST(time_before_the_service_began_is_told)
{
    struct load_explained explained CLEANUP(load_explain_done) = {.entries_count = 0};
    struct load_facts facts = facts_of_a_failure();
    struct fake_view *fake = fake_new();

    fake->view.ops = &ops_with_traces;
    make_requests(100, 0.5, 0);
    facts.service_ms = 90;
    explain(fake, &facts, &explained);
    ASSERT(explained.findings_count > 0);
    EXPECT(notes_say(&explained, "they waited before it began with them"));
    facts.service_ms = 3;
    load_explain_done(&explained);
    explain(fake, &facts, &explained);
    EXPECT(!notes_say(&explained, "they waited before it began with them"));
    fake_free(fake);
}

TEST(where_failed_requests_began_to_fail_is_the_cause)
{
    struct load_explained explained CLEANUP(load_explain_done) = {.entries_count = 0};
    struct load_facts facts = facts_of_a_failure();
    struct fake_view *fake = fake_new();

    fake->view.ops = &ops_with_traces;
    make_requests(100, 0.5, 30);
    facts.slow = STR_NONE;
    facts.errors = STR("error_rate < 1% broke (30 %)");
    facts.failures = 30;
    explain(fake, &facts, &explained);
    EXPECT(explained.entries[0].errors == 30);
    EXPECT(notes_say(&explained, "error_rate < 1% broke (30 %): In 24 of 24 failed traces"));
    EXPECT(notes_say(&explained, "deadlock detected"));
    fake_free(fake);
}

TEST(spans_of_others_count_where_none_of_the_run_came)
{
    struct load_explained explained CLEANUP(load_explain_done) = {.entries_count = 0};
    struct load_facts facts = facts_of_a_failure();
    struct fake_view *fake = fake_new();

    fake->view.ops = &ops_with_traces;
    make_requests(50, 80, 0);
    facts.trace_run[0] = 99;
    explain(fake, &facts, &explained);
    EXPECT(!explained.entries_are_ours && explained.entry_spans == 50);
    ASSERT(load_explain_count(&fake->view, &facts, fake->arena, &explained, NULL) == ERR_NONE);
    EXPECT(explained.spans == 100 && explained.entry_spans == 0 && explained.has_senders);
    maker_clear();
    ASSERT(load_explain_count(&fake->view, &facts, fake->arena, &explained, NULL) == ERR_NONE);
    EXPECT(explained.spans == 0 && !explained.has_senders);
    fake_free(fake);
}

TEST_MAIN
