/* SPDX-License-Identifier: Apache-2.0 */
#include "report/performance.h"
#include "test.h"

static struct arena *arena;

static struct promises read_text(const char *yaml)
{
    struct promises promises = {0};
    struct why why = WHY_INIT;

    enum err err = promises_read(str_of(yaml), "sla.yaml", arena, &promises, &why);
    EXPECT(err == ERR_NONE);
    if (err != ERR_NONE)
        printf("# %s\n", why.text);
    return promises;
}

static void expect_refused(const char *yaml, const char *place, const char *word)
{
    struct promises promises;
    struct why why = WHY_INIT;

    EXPECT(promises_read(str_of(yaml), "sla.yaml", arena, &promises, &why) == ERR_INVALID);
    EXPECT(strncmp(why.text, place, strlen(place)) == 0 && strstr(why.text, word) != NULL);
    if (strncmp(why.text, place, strlen(place)) != 0 || strstr(why.text, word) == NULL)
        printf("# told: %s\n", why.text);
}

static struct service_operation operation(const char *service, const char *name, double p95_ms,
                                          double success_rate)
{
    return (struct service_operation){str_of(service),
                                      str_of(name),
                                      {.measure = {.count = 100,
                                                   .p50_ms = p95_ms / 2,
                                                   .p95_ms = p95_ms,
                                                   .p99_ms = p95_ms * 2,
                                                   .throughput_rps = 8.5,
                                                   .success_rate = success_rate}}};
}

/* Two services; shop has retrieval and generation. */
static const struct services *measured(void)
{
    static struct service_operation operations[3];
    static struct service_total totals[2];
    static struct services services;

    operations[0] = operation("bank", "retrieval", 20, 1);
    operations[1] = operation("shop", "generation", 1900, 0.94);
    operations[2] = operation("shop", "retrieval", 125.6, 1);
    totals[0] = (struct service_total){STR("bank"), operations[0].numbers, 0, 1};
    totals[1] = (struct service_total){STR("shop"), operations[1].numbers, 1, 2};
    services = (struct services){
        .all = {STR_NONE, operation("", "", 325.4, 0.923).numbers, 0, 3},
        .totals = totals,
        .totals_count = 2,
        .operations = operations,
        .operations_count = 3,
    };
    return &services;
}

static struct verdict judged(const char *yaml)
{
    struct promises promises = read_text(yaml);
    struct verdict verdict = {0};
    struct why why = WHY_INIT;

    EXPECT(promises_judge(&promises, measured(), arena, &verdict, &why) == ERR_NONE);
    return verdict;
}

static void expect_line(const struct verdict *verdict, size_t index, enum status status,
                        const char *sentence)
{
    EXPECT(index < verdict->count);
    if (index >= verdict->count)
        return;
    EXPECT(verdict->lines[index].status == status);
    EXPECT_TEXT(verdict->lines[index].sentence.data, sentence);
}

TEST(broken_promises_are_told_in_the_words_users_know)
{
    struct verdict verdict = judged("max_p95_latency_ms: 300\n"
                                    "min_throughput_rps: 10\n"
                                    "min_success_rate: 0.95\n"
                                    "operations:\n"
                                    "  retrieval: {max_p95_latency_ms: 100}\n");

    EXPECT(verdict.broken_count == 4 && verdict.count == 4);
    expect_line(&verdict, 0, STATUS_BAD, "Overall P95 latency (325.4ms) exceeds target (300.0ms)");
    expect_line(&verdict, 1, STATUS_BAD, "Overall throughput (8.5 RPS) below target (10.0 RPS)");
    expect_line(&verdict, 2, STATUS_BAD, "Overall success rate (92.3%) below target (95.0%)");
    expect_line(&verdict, 3, STATUS_BAD,
                "Operation 'retrieval' P95 (125.6ms) exceeds target (100.0ms)");
}

TEST(services_have_promises_of_their_own)
{
    struct verdict verdict = judged("services:\n"
                                    "  shop:\n"
                                    "    min_success_rate: 95%\n"
                                    "    operations:\n"
                                    "      retrieval: {max_p95_latency_ms: 30}\n"
                                    "  bank:\n"
                                    "    operations:\n"
                                    "      retrieval: {max_p95_latency_ms: 30}\n");

    EXPECT(verdict.broken_count == 2);
    expect_line(&verdict, 0, STATUS_BAD,
                "Service 'shop': Overall success rate (94.0%) below target (95.0%)");
    expect_line(&verdict, 1, STATUS_BAD,
                "Operation 'retrieval' P95 (125.6ms) exceeds target (30.0ms)");
    EXPECT(str_eq(verdict.lines[1].service, STR("shop")));
}

TEST(journeys_are_kept_broken_or_not_measured)
{
    struct verdict verdict =
        judged("journeys:\n"
               "  - {name: ask, operation: generation, max_response_time_ms: 2000,"
               " min_success_rate: 95%}\n"
               "  - {name: find, operation: retrieval, service: shop, max_response_time_ms: 50}\n"
               "  - {name: seek, operation: retrieval, service: bank, max_response_time_ms: 50}\n"
               "  - {name: fly, operation: flight, max_response_time_ms: 50}\n");

    EXPECT(verdict.broken_count == 2);
    expect_line(&verdict, 0, STATUS_BAD, "Journey 'ask' success rate (94.0%) below target (95.0%)");
    expect_line(&verdict, 1, STATUS_BAD,
                "Journey 'find' P95 response time (125.6ms) exceeds target (50.0ms)");
    expect_line(&verdict, 2, STATUS_GOOD,
                "Journey 'seek' is kept: P95 20.0ms, success rate 100.0%");
    expect_line(&verdict, 3, STATUS_INFO, "Journey 'fly' was not measured: no calls of 'flight'");
}

TEST(mistakes_are_told_with_line_and_key)
{
    expect_refused("max_p96_latency_ms: 3\n", "sla.yaml:1:", "max_p96_latency_ms");
    expect_refused("operations:\n  x:\n    max_p95_latency_ms: soon\n",
                   "sla.yaml:3:", "operations.x.max_p95_latency_ms");
    expect_refused("max_p95_latency_ms: -1\n", "sla.yaml:1:", "not negative");
    expect_refused("min_success_rate: 950\n", "sla.yaml:1:", "min_success_rate");
    expect_refused("operations: 7\n", "sla.yaml:1:", "operations");
    expect_refused("operations:\n  x: {operations: {}}\n", "sla.yaml:2:", "operations.x");
    expect_refused("journeys:\n  - {name: a}\n", "sla.yaml:2:", "operation");
    expect_refused("journeys: {a: 1}\n", "sla.yaml:1:", "journeys");
    expect_refused("from: {range: -5m}\n", "sla.yaml:1:", "from.range");
    expect_refused("services:\n  shop:\n    journeys: []\n", "sla.yaml:3:", "services.shop");
    expect_refused("a: [\n", "sla.yaml:", "");
    expect_refused("7\n", "sla.yaml:1:", "");
}

TEST(what_nobody_called_is_told)
{
    struct verdict verdict = judged("operations:\n"
                                    "  retreival: {max_p95_latency_ms: 3000}\n"
                                    "services:\n"
                                    "  shoop: {min_success_rate: 1%}\n");

    EXPECT(verdict.broken_count == 0 && verdict.judged_count == 0 && verdict.unmeasured_count == 2);
    expect_line(&verdict, 0, STATUS_INFO, "Operation 'retreival' was not measured: no calls");
    expect_line(&verdict, 1, STATUS_INFO, "Service 'shoop' was not measured: no calls");
}

TEST(json_will_do_as_well)
{
    struct verdict verdict = judged("{\n\t\"min_success_rate\": 0.9999,\n\t\"operations\": {\n"
                                    "\t\t\"retrieval\": {\"max_p95_latency_ms\": 100}\n\t}\n}\n");

    EXPECT(verdict.broken_count >= 2 && verdict.judged_count == 2);
    expect_refused("{\"operations\": {\"x\":\n {\"max_p95_latenc_ms\": 1}}}\n",
                   "sla.yaml:2:", "max_p95_latenc_ms");
}

TEST(an_empty_file_promises_nothing)
{
    struct promises none = read_text("");

    EXPECT(!promises_any(&none));
    EXPECT(judged("").count == 0);
    EXPECT(judged("# Later.\n").count == 0);
}

TEST(where_to_measure_is_told)
{
    struct promises promises = read_text("from: {service: shop, range: 15m}\n");

    EXPECT(str_eq(promises.from_service, STR("shop")) && promises.from_range_ms == 900000);
    promises = read_text("from: {report: out/report.json}\n");
    EXPECT(str_eq(promises.from_report, STR("out/report.json")));
}

TEST(what_is_suggested_is_kept)
{
    struct buf yaml CLEANUP(buf_done) = {0};

    promises_suggest(measured(), SLA_LATENCY_FACTOR, SLA_THROUGHPUT_FACTOR, &yaml);
    EXPECT(strstr(buf_cstr(&yaml), "max_p95_latency_ms: 391") != NULL);
    EXPECT(strstr(buf_cstr(&yaml), "min_throughput_rps: 6.8") != NULL);
    EXPECT(judged(buf_cstr(&yaml)).broken_count == 0);
    EXPECT(read_text(buf_cstr(&yaml)).count == 5);
}

TEST(a_report_is_read_back_as_it_was_measured)
{
    const struct services_question question = {0, 1800000000000, STR_NONE, STR_NONE};
    struct verdict verdict = judged("max_p95_latency_ms: 300\n");
    struct document *document = performance_document(measured(), &verdict, NULL, &question);
    struct buf json CLEANUP(buf_done) = {0};
    struct services services;
    struct verdict own;
    struct why why = WHY_INIT;

    ASSERT(document_write(document, FORM_JSON, NULL, &json, &why) == ERR_NONE);
    ASSERT(performance_read(buf_view(&json), "report", arena, &services, &own, &why) == ERR_NONE);
    EXPECT(services.operations_count == 3 && services.totals_count == 2);
    EXPECT(services.all.numbers.measure.p95_ms == 325.4);
    EXPECT(str_eq(services.operations[2].service, STR("shop")));
    EXPECT(services.operations[2].numbers.measure.p95_ms == 125.6);
    EXPECT(own.broken_count == 1 && own.count == 1);
    expect_line(&own, 0, STATUS_BAD, "Overall P95 latency (325.4ms) exceeds target (300.0ms)");
    document_free(document);
}

TEST(a_report_says_how_much_of_what_was_promised_could_be_judged)
{
    const struct services_question question = {0, 1800000000000, STR_NONE, STR_NONE};
    struct verdict verdict = judged("max_p95_latency_ms: 400\n"
                                    "operations:\n"
                                    "  retrieval: {max_p95_latency_ms: 999}\n"
                                    "  absent: {max_p95_latency_ms: 1}\n");
    struct document *document = performance_document(measured(), &verdict, NULL, &question);
    struct buf json CLEANUP(buf_done) = {0};
    struct services services;
    struct verdict own;
    struct why why = WHY_INIT;

    ASSERT(document_write(document, FORM_JSON, NULL, &json, &why) == ERR_NONE);
    ASSERT(performance_read(buf_view(&json), "report", arena, &services, &own, &why) == ERR_NONE);
    EXPECT(own.broken_count == 0 && own.judged_count == 2 && own.unmeasured_count == 1);
    document_free(document);
}

TEST(what_is_no_report_is_refused)
{
    static const char *const wrong[] = {
        "",
        "[]",
        "{}",
        "{\"title\":\"x\"}",
        "{\"title\":\"x\",\"sections\":[]}",
        "{\"title\":\"x\",\"sections\":{\"overall\":{}}}",
        "{\"title\":\"x\",\"sections\":{\"overall\":{\"count\":1},\"operations\":{\"operations\":"
        "[{}]}}}",
    };
    struct services services;
    struct verdict own;
    struct why why = WHY_INIT;

    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        EXPECT(performance_read(str_of(wrong[i]), "report", arena, &services, &own, &why) ==
               ERR_INVALID);
}

__attribute__((constructor)) static void open_arena(void)
{
    arena = arena_new((size_t)64 << 20);
}

__attribute__((destructor)) static void close_arena(void)
{
    arena = arena_free(arena);
}

TEST_MAIN
