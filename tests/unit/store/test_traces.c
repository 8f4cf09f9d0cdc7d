/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "codec/otlp.h"
#include "store/span_block.h"
#include "store/store.h"
#include "store/trace_read.h"
#include "test.h"

#include <unistd.h>

enum { TRACES = 300, SPANS = 10 };

static const char *const services[] = {"front", "cart", "db"};
static const char *const names[] = {"GET /", "GET /cart", "POST /pay", "SELECT"};

static struct str text_of(struct arena *arena, const char *format, size_t number)
{
    return str_of(arena_printf(arena, format, number));
}

/* Spans as a shop might send them: 12 attributes, some with events and links. */
static void fill_span(struct batch *batch, struct resource *resources, size_t trace, size_t number,
                      int64_t base_ns)
{
    struct span *span;
    struct arena *arena = batch->arena;
    enum err err = batch_span(batch, &span, NULL);
    MUST(err == ERR_NONE);
    uint64_t id = (trace + 1) * UINT64_C(0x9e3779b97f4a7c15);

    memcpy(span->trace_id, &id, 8);
    memcpy(span->trace_id + 8, &trace, 8);
    id = (trace * 100 + number + 1) * UINT64_C(0xbf58476d1ce4e5b9);
    memcpy(span->span_id, &id, 8);
    if (number > 0) {
        id = (trace * 100 + number) * UINT64_C(0xbf58476d1ce4e5b9);
        memcpy(span->parent_span_id, &id, 8);
    }
    span->start_ns = base_ns + (int64_t)(trace * 1000003 + number * 1717);
    span->end_ns = span->start_ns + (int64_t)((trace * 37 + number * 11) % 5000000);
    span->name = str_of(names[(trace + number) % 4]);
    span->kind = (enum span_kind)(number % 6);
    span->status = trace % 50 == 7 && number == 3 ? SPAN_STATUS_ERROR : SPAN_STATUS_UNSET;
    span->flags = 1;
    span->resource = &resources[number % 3];
    struct attribute *items = ARENA_ARRAY(arena, 12, struct attribute);
    for (size_t i = 0; i < 8; i++) {
        items[i].key = text_of(arena, "http.attribute.%zu", i);
        items[i].value = (struct value){.kind = VALUE_TEXT,
                                        .text = text_of(arena, "value %zu", (trace * i) % 17)};
    }
    items[8] = (struct attribute){STR("http.status_code"), {VALUE_INTEGER, .integer = 200}};
    items[9] = (struct attribute){STR("user.id"),
                                  {VALUE_TEXT, .text = text_of(arena, "user-%zu", trace * 31)}};
    items[10] = (struct attribute){STR("ratio"), {VALUE_DOUBLE, .number = (double)trace / 7}};
    items[11] = (struct attribute){STR("cached"), {VALUE_BOOL, .boolean = trace % 2 == 0}};
    span->attributes = (struct attributes){items, 12, number == 5 ? 3 : 0};
    if (number != 2)
        return;
    struct span_event *events = ARENA_ARRAY(arena, 1, struct span_event);
    events[0] = (struct span_event){span->start_ns + 5, STR("exception"), {items, 2, 1}};
    span->events = events;
    span->event_count = 1;
    struct span_link *links = ARENA_ARRAY(arena, 1, struct span_link);
    memcpy(links[0].trace_id, span->trace_id, 16);
    links[0].trace_state = STR("a=b");
    links[0].flags = 257;
    links[0].attributes = (struct attributes){items + 8, 4, 0};
    span->links = links;
    span->link_count = 1;
}

static struct batch *shop(int64_t base_ns)
{
    struct batch *batch = batch_new("default", "test", 64 << 20);
    struct resource *resources = ARENA_ARRAY(batch->arena, 3, struct resource);

    for (size_t i = 0; i < 3; i++) {
        struct attribute *items = ARENA_ARRAY(batch->arena, 1, struct attribute);
        items[0] =
            (struct attribute){STR("service.name"), {VALUE_TEXT, .text = str_of(services[i])}};
        resources[i].attributes = (struct attributes){items, 1, 0};
        resources[i].service_name = str_of(services[i]);
        resources[i].schema_url = STR("https://schema");
    }
    for (size_t number = 0; number < SPANS; number++) { /* Interleaved, as they end. */
        for (size_t trace = 0; trace < TRACES; trace++)
            fill_span(batch, resources, trace, number, base_ns);
    }
    return batch;
}

/* Both as OTLP, which tells everything about a span. */
static bool same_span(const struct span *a, const struct span *b)
{
    struct buf left = {0};
    struct buf right = {0};

    otlp_write_traces(a, 1, &left);
    otlp_write_traces(b, 1, &right);
    bool same = str_eq(buf_view(&left), buf_view(&right));
    buf_done(&left);
    buf_done(&right);
    return same;
}

static const struct span *find(const struct batch *batch, const struct span *span)
{
    for (size_t i = 0; i < batch->spans.count; i++) {
        if (memcmp(batch->spans.items[i].span_id, span->span_id, 8) == 0)
            return &batch->spans.items[i];
    }
    return NULL;
}

static void round_trip(bool sealed)
{
    struct batch *batch = shop(1700000000000000000);
    struct span_packer *packer = span_packer_new();
    const struct span *spans[TRACES * SPANS];
    struct span_block_info info;
    struct span_block block;
    struct buf bytes = {0};
    struct arena *arena = arena_new(1 << 28);
    struct why why = WHY_INIT;

    for (size_t i = 0; i < batch->spans.count; i++)
        spans[i] = &batch->spans.items[i];
    size_t taken = span_block_encode(packer, spans, batch->spans.count, sealed, &bytes, &info);
    EXPECT(taken == batch->spans.count && info.rows == taken);
    printf("# %zu bytes, %.1f a span\n", bytes.size, (double)bytes.size / (double)taken);
    ASSERT(span_block_parse(buf_view(&bytes), arena, &block, &why) == ERR_NONE);
    struct span *back = ARENA_ARRAY(arena, taken, struct span);
    EXPECT(span_block_read(&block, NULL, back, &why) == ERR_NONE);
    size_t same = 0;
    for (size_t i = 0; i < taken; i++)
        same += same_span(spans[i], &back[i]);
    EXPECT(same == taken);
    arena_free(arena);
    buf_done(&bytes);
    span_packer_free(packer);
    batch_free(batch);
}

TEST(a_pending_block_gives_back_every_span)
{
    round_trip(false);
}

TEST(a_sealed_block_gives_back_every_span)
{
    round_trip(true);
}

TEST(a_block_cut_short_or_bent_is_refused_or_read_but_never_overrun)
{
    struct batch *batch = shop(1700000000000000000);
    struct span_packer *packer = span_packer_new();
    const struct span *spans[200];
    struct span_block_info info;
    struct buf bytes = {0};

    for (size_t i = 0; i < 200; i++)
        spans[i] = &batch->spans.items[i * 7];
    (void)span_block_encode(packer, spans, 200, false, &bytes, &info);
    for (size_t i = 0; i < bytes.size; i += 3) {
        struct arena *arena = arena_new(1 << 26);
        struct span_block block;
        char *copy = malloc(bytes.size);
        memcpy(copy, bytes.data, bytes.size);
        copy[i] = (char)(copy[i] ^ (1 << i % 8));
        struct str bent = {copy, i % 2 == 0 ? bytes.size : i};
        struct span *back = calloc(SPAN_BLOCK_ROWS_MAX, sizeof(*back));
        if (span_block_parse(bent, arena, &block, NULL) == ERR_NONE) {
            struct span_run run;
            (void)span_block_read(&block, NULL, back, NULL);
            (void)span_block_run(&block, true, &run, NULL);
        }
        free(back);
        free(copy);
        arena_free(arena);
    }
    buf_done(&bytes);
    span_packer_free(packer);
    batch_free(batch);
}

/* ---- Through the store. ---- */

static char folder[64];

static struct store *open_store(void)
{
    struct store_options options = store_options_default;
    struct store *store = NULL;
    struct why why = WHY_INIT;

    options.path = folder;
    options.free_bytes_min = 0;
    enum err err = store_open(&options, &store, &why);
    if (err != ERR_NONE)
        printf("# %s\n", why.text);
    return store;
}

static void fresh_folder(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/sonde-traces-XXXXXX");
    char *made = mkdtemp(folder);
    MUST(made != NULL);
}

static void remove_folder(void)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    int status = system(command);
    MUST(status == 0);
}

static void expect_trace(struct store *store, const struct batch *batch, size_t trace)
{
    struct arena *arena = arena_new(1 << 28);
    struct store_view *view = NULL;
    struct span_list list = {0};
    struct why why = WHY_INIT;

    ASSERT(store_view(store, "default", NULL, &view, &why) == ERR_NONE);
    EXPECT(view->ops->traces->trace(view, batch->spans.items[trace].trace_id, arena, &list, &why) ==
           ERR_NONE);
    EXPECT(list.count == SPANS);
    for (size_t i = 0; i < list.count; i++)
        EXPECT(same_span(&list.items[i], find(batch, &list.items[i])));
    store_view_release(view);
    arena_free(arena);
}

/* All traces of the batch at once, one of them twice and one that is not there. */
static void expect_traces(struct store *store, const struct batch *batch)
{
    struct arena *arena = arena_new(1 << 28);
    struct store_view *view = NULL;
    struct span_list lists[TRACES + 2];
    uint8_t ids[TRACES + 2][TRACE_ID_BYTES] = {{0}};
    struct why why = WHY_INIT;
    size_t wrong = 0;

    for (size_t i = 0; i <= TRACES; i++)
        memcpy(ids[i], batch->spans.items[i % TRACES * SPANS].trace_id, TRACE_ID_BYTES);
    ASSERT(store_view(store, "default", NULL, &view, &why) == ERR_NONE);
    EXPECT(view->ops->traces->traces(view, (const uint8_t(*)[TRACE_ID_BYTES])ids, TRACES + 2, arena,
                                     lists, &why) == ERR_NONE);
    for (size_t i = 0; i <= TRACES; i++) {
        wrong += lists[i].count != SPANS;
        for (size_t k = 0; k < lists[i].count; k++)
            wrong += !same_span(&lists[i].items[k], find(batch, &lists[i].items[k])) ||
                     memcmp(lists[i].items[k].trace_id, ids[i], TRACE_ID_BYTES) != 0;
    }
    EXPECT(wrong == 0);
    EXPECT(lists[TRACES + 1].count == 0);
    store_view_release(view);
    arena_free(arena);
}

static size_t count_found(struct store *store, const struct trace_query *query)
{
    struct arena *arena = arena_new(1 << 28);
    struct store_view *view = NULL;
    struct span_list list = {0};
    struct why why = WHY_INIT;

    if (store_view(store, "default", NULL, &view, &why) != ERR_NONE)
        return SIZE_MAX;
    enum err err = view->ops->traces->search(view, query, arena, &list, &why);
    if (err != ERR_NONE)
        printf("# %s\n", why.text);
    for (size_t i = 1; i < list.count; i++)
        EXPECT(list.items[i].start_ns <= list.items[i - 1].start_ns);
    store_view_release(view);
    arena_free(arena);
    return list.count;
}

static void expect_searches(struct store *store)
{
    struct trace_query query = TRACE_QUERY_ANY;

    query.limit = 100000;
    EXPECT(count_found(store, &query) == TRACES * SPANS);
    query.limit = 25;
    EXPECT(count_found(store, &query) == 25);
    query.one_per_trace = true;
    EXPECT(count_found(store, &query) == 25);
    query.limit = 100000;
    EXPECT(count_found(store, &query) == TRACES);
    query.one_per_trace = false;
    query.only_errors = true;
    EXPECT(count_found(store, &query) == TRACES / 50);
    query.only_errors = false;
    query.service = STR("cart");
    EXPECT(count_found(store, &query) == TRACES * 3);
    query.service = STR("nobody");
    EXPECT(count_found(store, &query) == 0);
    query.service = STR_NONE;
    query.pairs[0] = (struct trace_pair){STR("user.id"), STR("user-31")};
    query.pairs_count = 1;
    EXPECT(count_found(store, &query) == SPANS);
    query.pairs[1] = (struct trace_pair){STR("http.status_code"), STR("200")};
    query.pairs[2] = (struct trace_pair){STR("cached"), STR("false")};
    query.pairs_count = 3;
    EXPECT(count_found(store, &query) == SPANS);
    query.pairs[2].value = STR("true");
    EXPECT(count_found(store, &query) == 0);
    query.pairs_count = 0;
    query.to_ms = 1000;
    EXPECT(count_found(store, &query) == 0);
}

/* What a walk was shown, held against the batch. */
struct shown {
    const struct batch *batch;
    size_t runs, wanted, wrong;
    size_t runs_max;
};

static bool agrees(const struct span_run *run, size_t at, const struct span *span)
{
    return memcmp(run->traces + run->trace_of[at] * TRACE_ID_BYTES, span->trace_id, 16) == 0 &&
           memcmp(run->parent_ids + at * SPAN_ID_BYTES, span->parent_span_id, 8) == 0 &&
           run->start_ns[at] == span->start_ns &&
           run->duration_ns[at] == span->end_ns - span->start_ns &&
           run->kinds[at] == ((uint64_t)span->kind | (uint64_t)span->status << 3) &&
           str_eq(run->texts[run->name_of[at]], span->name) &&
           str_eq(run->resources[run->resource_of[at]].service_name,
                  span->resource->service_name) &&
           run->event_counts[at] == span->event_count &&
           (span->event_count == 0 || str_eq(run->events[at][0].name, STR("exception")));
}

static enum err show(void *self, const struct span_run *run, bool *is_enough, struct why *why)
{
    struct shown *shown = self;

    (void)why;
    for (size_t at = 0; at < run->count; at++) {
        struct span key = {0};
        if (!run->wanted[at])
            continue;
        memcpy(key.span_id, run->ids + at * SPAN_ID_BYTES, SPAN_ID_BYTES);
        const struct span *span = find(shown->batch, &key);
        shown->wanted++;
        shown->wrong += span == NULL || !agrees(run, at, span);
    }
    *is_enough = ++shown->runs == shown->runs_max;
    return ERR_NONE;
}

static struct shown walk_shows(struct store *store, const struct batch *batch,
                               const struct trace_query *query, const uint8_t *trace_id,
                               size_t runs_max)
{
    struct shown shown = {.batch = batch, .runs_max = runs_max};
    struct span_walk walk = {trace_id, query, true, &shown, show};
    struct store_view *view = NULL;
    struct why why = WHY_INIT;

    if (store_view(store, "default", NULL, &view, &why) != ERR_NONE)
        return shown;
    EXPECT(view->ops->traces->walk(view, &walk, &why) == ERR_NONE);
    store_view_release(view);
    return shown;
}

static void expect_walks(struct store *store, const struct batch *batch)
{
    struct trace_query query = TRACE_QUERY_ANY;
    struct shown shown = walk_shows(store, batch, &query, NULL, 0);

    EXPECT(shown.wanted == TRACES * SPANS && shown.wrong == 0);
    query.service = STR("cart");
    shown = walk_shows(store, batch, &query, NULL, 0);
    EXPECT(shown.wanted == TRACES * 3 && shown.wrong == 0);
    shown = walk_shows(store, batch, NULL, batch->spans.items[5].trace_id, 0);
    EXPECT(shown.wanted == SPANS && shown.wrong == 0);
    shown = walk_shows(store, batch, &query, NULL, 1);
    EXPECT(shown.runs == 1);
}

static void expect_span(struct store *store, const struct batch *batch, size_t number)
{
    const struct span *wanted = &batch->spans.items[number];
    struct arena *arena = arena_new(1 << 28);
    struct store_view *view = NULL;
    struct span_list list = {0};
    struct why why = WHY_INIT;

    ASSERT(store_view(store, "default", NULL, &view, &why) == ERR_NONE);
    EXPECT(view->ops->traces->span(view, wanted->trace_id, wanted->span_id, arena, &list, &why) ==
           ERR_NONE);
    EXPECT(list.count == 1 && same_span(&list.items[0], wanted));
    store_view_release(view);
    arena_free(arena);
}

TEST(a_walk_shows_columns_and_one_span_is_found_by_its_id)
{
    struct batch *batch = shop(clock_now_ns() - 60 * CLOCK_NS_PER_S);
    struct why why = WHY_INIT;

    fresh_folder();
    struct store *store = open_store();
    ASSERT(store != NULL);
    EXPECT(store_accept(store, batch, &why) == ERR_NONE);
    EXPECT(store_commit(store, &why) == ERR_NONE);
    expect_walks(store, batch);
    expect_span(store, batch, 1234);
    EXPECT(store_compact(store, &why) == ERR_NONE); /* Seals. */
    expect_walks(store, batch);
    expect_span(store, batch, 1234);
    store = store_close(store);
    batch_free(batch);
    remove_folder();
}

TEST(spans_are_found_while_pending_when_sealed_and_after_a_restart)
{
    struct batch *batch = shop(clock_now_ns() - 60 * CLOCK_NS_PER_S);
    struct why why = WHY_INIT;

    fresh_folder();
    struct store *store = open_store();
    ASSERT(store != NULL);
    EXPECT(store_accept(store, batch, &why) == ERR_NONE);
    EXPECT(store_commit(store, &why) == ERR_NONE);
    expect_trace(store, batch, 17);
    expect_traces(store, batch);
    expect_searches(store);
    EXPECT(store_compact(store, &why) == ERR_NONE); /* Seals. */
    expect_trace(store, batch, 17);
    expect_traces(store, batch);
    expect_searches(store);
    store = store_close(store);
    store = open_store();
    expect_trace(store, batch, 299);
    expect_searches(store);
    store = store_close(store);
    batch_free(batch);
    remove_folder();
}

TEST(a_trace_sent_twice_is_there_once)
{
    int64_t base_ns = clock_now_ns() - 60 * CLOCK_NS_PER_S;
    struct batch *batch = shop(base_ns);
    struct batch *again = shop(base_ns);
    struct why why = WHY_INIT;

    fresh_folder();
    struct store *store = open_store();
    EXPECT(store_accept(store, batch, &why) == ERR_NONE);
    EXPECT(store_commit(store, &why) == ERR_NONE);
    EXPECT(store_compact(store, &why) == ERR_NONE);
    EXPECT(store_accept(store, again, &why) == ERR_NONE);
    EXPECT(store_commit(store, &why) == ERR_NONE);
    expect_trace(store, batch, 3);
    store = store_close(store);
    batch_free(batch);
    batch_free(again);
    remove_folder();
}

TEST(spans_out_of_time_are_turned_away_with_a_reason)
{
    struct batch *early = shop(clock_now_ns() + 3 * 86400 * CLOCK_NS_PER_S);
    struct batch *before_1970 = shop(-86400 * CLOCK_NS_PER_S);
    struct why why = WHY_INIT;

    fresh_folder();
    struct store *store = open_store();
    EXPECT(store_accept(store, early, &why) == ERR_NONE);
    EXPECT(store_accept(store, before_1970, &why) == ERR_NONE);
    EXPECT(store_commit(store, &why) == ERR_NONE);
    EXPECT(early->rejected_count == TRACES * SPANS);
    EXPECT(strstr(early->rejected_why.text, "more than a day in the future") != NULL);
    EXPECT(before_1970->rejected_count == TRACES * SPANS);
    EXPECT(strstr(before_1970->rejected_why.text, "older than what is kept") != NULL);
    store = store_close(store);
    batch_free(early);
    batch_free(before_1970);
    remove_folder();
}

TEST(what_comes_long_after_its_time_is_kept_as_long_as_anything_from_then_on)
{
    struct batch *batch = shop(1000000000 * INT64_C(1000000000));
    int64_t retention_ms = store_options_default.retention_raw_ms;
    struct trace_query any = TRACE_QUERY_ANY;
    struct why why = WHY_INIT;

    fresh_folder();
    struct store *store = open_store();
    EXPECT(store_accept(store, batch, &why) == ERR_NONE);
    EXPECT(store_commit(store, &why) == ERR_NONE);
    EXPECT(batch->rejected_count == 0);
    store_tick(store, clock_now_ms() + 2 * 3600000); /* Nobody writes to it any more. */
    store_retain(store, clock_now_ms());
    expect_trace(store, batch, 3);
    store = store_close(store);
    store = open_store();
    store_retain(store, clock_now_ms() + retention_ms - 3600000);
    expect_trace(store, batch, 3);
    store_retain(store, clock_now_ms() + retention_ms + 4 * 3600000);
    EXPECT(count_found(store, &any) == 0);
    store = store_close(store);
    batch_free(batch);
    remove_folder();
}

TEST(logs_are_found_with_their_trace)
{
    struct batch *batch = batch_new("default", "test", 1 << 20);
    struct resource resource = {.service_name = STR("unknown_service")};
    struct why why = WHY_INIT;

    for (int i = 0; i < 100; i++) {
        struct event *event;
        EXPECT(batch_event(batch, &event, &why) == ERR_NONE);
        event->time_ns = clock_now_ns();
        event->observed_ns = event->time_ns + 7;
        event->severity = 9 + i % 8;
        event->severity_text = STR("INFO");
        event->body = (struct value){.kind = VALUE_TEXT, .text = STR("it happened")};
        event->trace_id[15] = (uint8_t)(i % 4);
        event->span_id[0] = 1;
        event->resource = &resource;
    }
    fresh_folder();
    struct store *store = open_store();
    EXPECT(store_accept(store, batch, &why) == ERR_NONE);
    EXPECT(store_commit(store, &why) == ERR_NONE);
    for (int round = 0; round < 2; round++) {
        struct arena *arena = arena_new(1 << 26);
        struct store_view *view = NULL;
        struct event_list list = {0};
        uint8_t id[16] = {[15] = 3};
        ASSERT(store_view(store, "default", NULL, &view, &why) == ERR_NONE);
        EXPECT(view->ops->traces->logs(view, id, arena, &list, &why) == ERR_NONE);
        EXPECT(list.count == 25);
        EXPECT(list.count > 0 && str_eq(list.items[0].body.text, STR("it happened")));
        EXPECT(list.count > 0 && list.items[0].observed_ns == list.items[0].time_ns + 7);
        store_view_release(view);
        arena_free(arena);
        EXPECT(store_compact(store, &why) == ERR_NONE);
    }
    store = store_close(store);
    batch_free(batch);
    remove_folder();
}

TEST_MAIN
