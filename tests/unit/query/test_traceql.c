/* SPDX-License-Identifier: Apache-2.0 */
/* Against traces in memory whose search answers as the store's does: by what trace_query can say.
 */
#include "query/traceql.h"
#include "store/terms.h"
#include "store/trace_read.h"
#include "test.h"

#define MS INT64_C(1000000)

/* One trace is a line of spans: id, parent, service, name, kind, status, start and end in ms. */
struct row {
    uint8_t trace;
    uint8_t id;
    uint8_t parent;
    const char *service;
    const char *name;
    enum span_kind kind;
    enum span_status status;
    int start_ms;
    int end_ms;
    const char *key; /* One attribute, or NULL. */
    const char *text;
    int64_t number; /* When text is NULL. */
};

static const struct row rows[] = {
    /* Trace 1: api calls the database twice and a cache. */
    {1, 1, 0, "api", "GET /cart", SPAN_KIND_SERVER, SPAN_STATUS_UNSET, 1000, 1900,
     "http.status_code", NULL, 200},
    {1, 2, 1, "api", "query", SPAN_KIND_CLIENT, SPAN_STATUS_UNSET, 1010, 1300, "db.system",
     "postgresql", 0},
    {1, 3, 1, "api", "query", SPAN_KIND_CLIENT, SPAN_STATUS_UNSET, 1300, 1800, "db.system",
     "postgresql", 0},
    {1, 4, 2, "cache", "get", SPAN_KIND_SERVER, SPAN_STATUS_OK, 1020, 1025, NULL, NULL, 0},
    /* Trace 2: fails. */
    {2, 1, 0, "api", "POST /order", SPAN_KIND_SERVER, SPAN_STATUS_ERROR, 2000, 2600,
     "http.status_code", NULL, 500},
    {2, 2, 1, "pay", "charge", SPAN_KIND_CLIENT, SPAN_STATUS_ERROR, 2050, 2500, "retry", NULL, 3},
    /* Trace 3: its root has not arrived; parents form a circle. */
    {3, 1, 2, "worker", "job", SPAN_KIND_CONSUMER, SPAN_STATUS_UNSET, 3000, 3100, NULL, NULL, 0},
    {3, 2, 1, "worker", "step", SPAN_KIND_INTERNAL, SPAN_STATUS_UNSET, 3010, 3020, NULL, NULL, 0},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static struct span spans[ROWS];
static struct resource resources[ROWS];
static struct attribute attributes[ROWS];

static struct span_event events[2 * ROWS];
static struct span_link links[ROWS];
static const struct scope scope = {.name = STR("lib"), .version = STR("1.2")};
static const struct attribute exception = {STR("exception.type"),
                                           {.kind = VALUE_TEXT, .text = STR("CardDeclined")}};

static void make_spans(void)
{
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        resources[i].service_name = str_of(row->service);
        attributes[i].key = str_of(row->key);
        attributes[i].value = row->text != NULL
                                  ? (struct value){.kind = VALUE_TEXT, .text = str_of(row->text)}
                                  : (struct value){.kind = VALUE_INTEGER, .integer = row->number};
        spans[i] = (struct span){
            .start_ns = row->start_ms * MS,
            .end_ns = row->end_ms * MS,
            .name = str_of(row->name),
            .kind = row->kind,
            .status = row->status,
            .attributes = {.items = &attributes[i], .count = row->key != NULL},
            .resource = &resources[i],
        };
        spans[i].events = &events[2 * i];
        spans[i].event_count = row->status == SPAN_STATUS_ERROR ? 2 : 0;
        spans[i].links = &links[i];
        spans[i].link_count = row->kind == SPAN_KIND_CONSUMER;
        spans[i].scope = row->trace == 1 ? &scope : NULL;
        events[2 * i] = (struct span_event){.time_ns = spans[i].start_ns, .name = STR("begun")};
        events[2 * i + 1] = (struct span_event){
            .time_ns = spans[i].start_ns + 20 * MS,
            .name = STR("exception"),
            .attributes = {.items = &exception, .count = 1},
        };
        links[i].trace_id[0] = 0xab;
        spans[i].trace_id[0] = row->trace;
        spans[i].span_id[0] = row->id;
        spans[i].parent_span_id[0] = row->parent;
    }
}

static size_t searches;
static uint8_t too_large; /* The trace that no memory is enough for; 0: none. */

static bool passes(const struct trace_query *query, const struct span *span)
{
    int64_t duration_ns = span->end_ns - span->start_ns;

    if ((query->service.data != NULL && !str_eq(query->service, span->resource->service_name)) ||
        (query->name.data != NULL && !str_eq(query->name, span->name)) ||
        duration_ns < query->duration_min_ns || duration_ns > query->duration_max_ns ||
        (query->only_errors && span->status != SPAN_STATUS_ERROR))
        return false;
    for (size_t i = 0; i < query->pairs_count; i++) {
        const struct value *value = attributes_get(&span->attributes, query->pairs[i].key);
        char scratch[TERM_TEXT_SIZE];
        struct str text;
        if (value == NULL || !term_text(value, scratch, &text) ||
            !str_eq(text, query->pairs[i].value))
            return false;
    }
    return true;
}

static enum err memory_search(struct store_view *view, const struct trace_query *query,
                              struct arena *arena, struct span_list *ret_spans, struct why *why)
{
    struct span *found = ARENA_ARRAY(arena, ROWS, struct span);
    size_t count = 0;

    (void)view;
    (void)why;
    searches++;
    for (size_t i = ROWS; i-- > 0;) {
        bool is_known = query->one_per_trace && count > 0 &&
                        memcmp(found[count - 1].trace_id, spans[i].trace_id, TRACE_ID_BYTES) == 0;
        if (passes(query, &spans[i]) && count < query->limit && !is_known)
            found[count++] = spans[i];
    }
    *ret_spans = (struct span_list){found, count};
    return ERR_NONE;
}

static enum err memory_trace(struct store_view *view, const uint8_t trace_id[TRACE_ID_BYTES],
                             struct arena *arena, struct span_list *ret_spans, struct why *why)
{
    struct span *found = ARENA_ARRAY(arena, ROWS, struct span);
    size_t count = 0;

    (void)view;
    if (too_large != 0 && trace_id[0] == too_large)
        return arena_spent(arena, "the answer", why);
    for (size_t i = 0; i < ROWS; i++) {
        if (memcmp(spans[i].trace_id, trace_id, TRACE_ID_BYTES) == 0)
            found[count++] = spans[i];
    }
    *ret_spans = (struct span_list){found, count};
    return ERR_NONE;
}

static enum err memory_traces(struct store_view *view, const uint8_t (*trace_ids)[TRACE_ID_BYTES],
                              size_t count, struct arena *arena, struct span_list *ret_spans,
                              struct why *why)
{
    for (size_t i = 0; i < count; i++)
        TRY(memory_trace(view, trace_ids[i], arena, &ret_spans[i], why));
    return ERR_NONE;
}

static const struct trace_view_ops trace_ops = {
    .trace = memory_trace, .traces = memory_traces, .search = memory_search};
static const struct store_view_ops view_ops = {.traces = &trace_ops};

/* "1,2" for the traces found, oldest first; an error is "!" and its sentence. */
static const char *found_by(const char *text)
{
    static char result[WHY_TEXT_SIZE + 8];
    struct arena *arena CLEANUP(arena_freep) = arena_new(16 << 20);
    struct traceql *query CLEANUP(traceql_freep) = NULL;
    struct store_view view = {.ops = &view_ops};
    const struct traceql_request request = {.from_ms = 0, .to_ms = INT64_MAX};
    struct traceql_answer answer;
    struct why why = WHY_INIT;

    make_spans();
    result[0] = '\0';
    if (traceql_parse(str_of(text), arena, &query, &why) != ERR_NONE ||
        traceql_search(query, &view, &request, arena, &answer, &why) != ERR_NONE) {
        (void)snprintf(result, sizeof(result), "!%s", why.text); /* Cut is fine. */
        return result;
    }
    for (size_t i = answer.count; i-- > 0;) {
        size_t used = strlen(result);
        (void)snprintf(result + used, sizeof(result) - used, "%s%d", used > 0 ? "," : "",
                       answer.traces[i].trace_id[0]); /* Fits. */
    }
    return result;
}

TEST(selectors_find_what_they_say)
{
    EXPECT_TEXT(found_by("{}"), "1,2,3");
    EXPECT_TEXT(found_by("{ name = \"GET /cart\" }"), "1");
    EXPECT_TEXT(found_by("{ resource.service.name = \"api\" && duration > 800ms }"), "1");
    EXPECT_TEXT(found_by("{ .service.name = \"worker\" }"), "3");
    EXPECT_TEXT(found_by("{ status = error }"), "2");
    EXPECT_TEXT(found_by("{ status != error && kind = server }"), "1");
    EXPECT_TEXT(found_by("{ .http.status_code >= 500 }"), "2");
    EXPECT_TEXT(found_by("{ span.db.system = \"postgresql\" }"), "1");
    EXPECT_TEXT(found_by("{ span.\"db.system\" =~ \"post.*\" }"), "1");
    EXPECT_TEXT(found_by("{ name =~ \"cart\" }"), ""); /* Anchored. */
    EXPECT_TEXT(found_by("{ .retry * 2 + 1 = 7 }"), "2");
    EXPECT_TEXT(found_by("{ !(.retry = 3) && .retry != nil }"), "");
    EXPECT_TEXT(found_by("{ .db.system = nil && kind = client }"), "2");
    EXPECT_TEXT(found_by("{ kind = client || kind = consumer }"), "1,2,3");
    EXPECT_TEXT(found_by("{ traceDuration > 700ms }"), "1");
    EXPECT_TEXT(found_by("{ rootName = `POST /order` && rootServiceName = \"api\" }"), "2");
    EXPECT_TEXT(found_by("{ childCount = 2 }"), "1");
    EXPECT_TEXT(found_by("{ duration > 0.4s && duration < 1m30s && status = error }"), "2");
    EXPECT_TEXT(found_by("{ span:id = \"0400000000000000\" }"), "1");
    EXPECT_TEXT(found_by("{ parent = nil }"), "1,2");
}

TEST(events_and_links_fit_when_one_of_them_does)
{
    EXPECT_TEXT(found_by("{ event:name = \"exception\" }"), "2");
    EXPECT_TEXT(found_by("{ event:name = \"begun\" }"), "2");
    EXPECT_TEXT(found_by("{ event:name = \"none\" }"), "");
    EXPECT_TEXT(found_by("{ event:name =~ \"exc.*\" && name = \"charge\" }"), "2");
    EXPECT_TEXT(found_by("{ event.exception.type = \"CardDeclined\" }"), "2");
    EXPECT_TEXT(found_by("{ event.exception.type != nil } | count() = 2"), "2");
    EXPECT_TEXT(found_by("{ event:timeSinceStart > 10ms }"), "2");
    EXPECT_TEXT(found_by("{ event:name = nil }"), "1,3"); /* Without any. */
    EXPECT_TEXT(found_by("{ .exception.type = \"CardDeclined\" }"), "");
    EXPECT_TEXT(found_by("{ link:traceID = \"ab000000000000000000000000000000\" }"), "3");
    EXPECT_TEXT(found_by("{ link:spanID != nil }"), "3");
    EXPECT_TEXT(found_by("{ instrumentation:name = \"lib\" && instrumentation:version = \"1.2\" }"),
                "1");
    EXPECT_TEXT(found_by("{ nestedSetParent < 0 }"), "1,2");
}

TEST(sets_are_related_by_the_tree)
{
    EXPECT_TEXT(found_by("{ name = \"GET /cart\" } >> { name = \"get\" }"), "1");
    EXPECT_TEXT(found_by("{ name = \"GET /cart\" } > { name = \"get\" }"), "");
    EXPECT_TEXT(found_by("{ name = \"query\" } > { .service.name = \"cache\" }"), "1");
    EXPECT_TEXT(found_by("{ name = \"query\" } ~ { name = \"query\" }"), "1");
    EXPECT_TEXT(found_by("{ name = \"charge\" } ~ { name = \"charge\" }"), "");
    EXPECT_TEXT(found_by("{ name = \"get\" } << { name = \"GET /cart\" }"), "1");
    EXPECT_TEXT(found_by("{ name = \"get\" } < { name = \"GET /cart\" }"), "");
    EXPECT_TEXT(found_by("{ name = \"charge\" } && { .http.status_code = 500 }"), "2");
    EXPECT_TEXT(found_by("{ name = \"charge\" } && { name = \"query\" }"), "");
    EXPECT_TEXT(found_by("{ name = \"charge\" } || { name = \"query\" }"), "1,2");
    EXPECT_TEXT(found_by("({ name = \"charge\" } || { name = \"query\" }) && { status = error }"),
                "2");
    EXPECT_TEXT(found_by("{ name = \"job\" } >> { name = \"step\" }"), "3"); /* In a circle. */
    EXPECT_TEXT(found_by("{ name = \"step\" } << { name = \"nothing\" }"), "");
}

TEST(stages_judge_and_group_the_sets)
{
    EXPECT_TEXT(found_by("{ kind = client } | count() > 1"), "1");
    EXPECT_TEXT(found_by("{} | avg(duration) > 400ms"), "1,2");
    EXPECT_TEXT(found_by("{} | max(duration) >= 900ms"), "1");
    EXPECT_TEXT(found_by("{} | min(.http.status_code) = 500"), "2");
    EXPECT_TEXT(found_by("{} | sum(.retry) > -1"), "2");
    EXPECT_TEXT(found_by("{} | by(resource.service.name) | count() >= 3"), "1");
    EXPECT_TEXT(found_by("{} | by(.service.name) | count() >= 3 | { kind = server }"), "1");
    EXPECT_TEXT(found_by("{} | by(name) | coalesce() | count() = 4"), "1");
    EXPECT_TEXT(found_by("{} | select(name, .db.system) | count() = 2"), "2,3");
}

TEST(mistakes_are_told_by_place)
{
    EXPECT_TEXT(found_by(""), "!1:1: the query is empty");
    EXPECT_TEXT(found_by("{ nam = 1 }"), "!1:3: 'nam' is neither a value nor an intrinsic");
    EXPECT_TEXT(found_by("{ name = "), "!1:10: a value or an attribute is expected here");
    EXPECT_TEXT(found_by("{ name = \"x\""), "!1:13: expected '}' where the selector ends");
    EXPECT_TEXT(found_by("{ name == 1 }"), "!1:8: '==' is written '=' here");
    EXPECT_TEXT(found_by("{ duration > 5 parsecs }"),
                "!1:16: expected '}' where the selector ends");
    EXPECT_TEXT(found_by("{ duration > 5parsecs }"), "!1:14: 'parsecs' is no unit of time");
    EXPECT_TEXT(found_by("{} | cuont() > 1"), "!1:6: 'cuont' is no stage");
    EXPECT_TEXT(found_by("{} | count()"), "!1:13: a comparison is expected here");
    EXPECT_TEXT(found_by("{} {}"), "!1:4: the query should end here");
    EXPECT_TEXT(found_by("{ name =~ .x }"), "!1:8: a pattern is a text: =~ \"GET /.*\"");
    EXPECT_TEXT(found_by("{ name = \"x }"), "!1:10: this text does not end");
}

TEST(a_deep_query_is_refused)
{
    char text[600];

    memset(text, '(', sizeof(text));
    text[0] = '{';
    text[sizeof(text) - 1] = '\0';
    EXPECT(strstr(found_by(text), "nested deeper") != NULL);
}

TEST(the_index_is_asked_for_what_it_can_say)
{
    searches = 0;
    EXPECT_TEXT(found_by("{ status = error } || { name = \"get\" }"), "1,2");
    EXPECT(searches == 2);
}

TEST(a_trace_that_memory_is_not_enough_for_hides_no_other)
{
    too_large = 2;
    EXPECT_TEXT(found_by("{}"), "1,3");
    EXPECT_TEXT(found_by("{ status = error }"), "");
    too_large = 0;
    EXPECT_TEXT(found_by("{}"), "1,2,3");
}

TEST(the_answer_is_what_tempo_says)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(16 << 20);
    struct traceql *query CLEANUP(traceql_freep) = NULL;
    struct store_view view = {.ops = &view_ops};
    const struct traceql_request request = {.to_ms = INT64_MAX, .traces_max = 1};
    struct traceql_answer answer;
    struct buf out CLEANUP(buf_done) = {0};

    make_spans();
    ASSERT(traceql_parse(STR("{ .retry > 1 } | by(kind) | select(name)"), arena, &query, NULL) ==
           ERR_NONE);
    ASSERT(traceql_search(query, &view, &request, arena, &answer, NULL) == ERR_NONE);
    traceql_write_json(&answer, &out);
    EXPECT_TEXT(
        buf_cstr(&out),
        "{\"traces\":[{\"traceID\":\"02000000000000000000000000000000\","
        "\"rootServiceName\":\"api\",\"rootTraceName\":\"POST /order\","
        "\"startTimeUnixNano\":\"2000000000\",\"durationMs\":600,\"spanCount\":2,"
        "\"errorCount\":2,\"spanSets\":[{\"matched\":1,\"attributes\":[{\"key\":\"kind\","
        "\"value\":{\"stringValue\":\"client\"}}],\"spans\":[{\"spanID\":\"0200000000000000\","
        "\"name\":\"charge\",\"startTimeUnixNano\":\"2050000000\",\"durationNanos\":\"450000000\","
        "\"attributes\":[{\"key\":\".retry\",\"value\":{\"stringValue\":\"3\"}},"
        "{\"key\":\"name\",\"value\":{\"stringValue\":\"charge\"}}]}]}]}],"
        "\"metrics\":{\"inspectedSpans\":4,\"completed\":false}}");
}

TEST_MAIN
