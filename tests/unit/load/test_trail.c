/* SPDX-License-Identifier: Apache-2.0 */
#include "load/trail.h"

#include "codec/trace_context.h"
#include "load/plan.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

enum { IDS = 20000 };

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

TEST(no_two_requests_of_a_run_share_an_id)
{
    static uint64_t ids[2 * IDS];
    struct trail first, second;
    size_t odd = 0;

    trail_init(&first, 7, 0);
    trail_init(&second, 7, 1);
    for (size_t i = 0; i < IDS; i++) {
        ids[2 * i] = trail_next(&first);
        ids[2 * i + 1] = trail_next(&second);
    }
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++)
        odd += ids[i] & 1;
    EXPECT(odd > IDS * 0.95 && odd < IDS * 1.05); /* Samplers look at single bits. */
    qsort(ids, ARRAY_COUNT(ids), sizeof(ids[0]), compare);
    EXPECT(ids[0] != 0);
    for (size_t i = 1; i < ARRAY_COUNT(ids); i++)
        EXPECT(ids[i] != ids[i - 1]);
}

TEST(the_parent_is_one_that_others_can_read)
{
    struct trace_context context;
    char text[TRAIL_PARENT_SIZE];
    char id[TRAIL_ID_SIZE];

    trail_write_parent(UINT64_C(0x0123456789abcdef), UINT64_C(0xfedcba9876543210), text);
    trail_write_id(UINT64_C(0x0123456789abcdef), UINT64_C(0xfedcba9876543210), id);
    ASSERT(traceparent_read((struct str){text, sizeof(text)}, &context, NULL) == ERR_NONE);
    EXPECT(context.flags == TRACE_FLAG_SAMPLED);
    EXPECT(context.trace_id[0] == 0x01 && context.trace_id[15] == 0x10);
    EXPECT(memcmp(context.trace_id, context.span_id, SPAN_ID_BYTES) == 0); /* The run is both. */
    EXPECT(memcmp(text + 3, id, sizeof(id)) == 0);
    EXPECT(trail_new_run() != 0);
}

TEST(the_slowest_are_kept_in_order_and_merged)
{
    struct trail first, second;

    trail_init(&first, 7, 0);
    trail_init(&second, 7, 1);
    for (int64_t i = 0; i < 100; i++) {
        struct trail *trail = i % 2 == 0 ? &first : &second;
        int64_t latency_ns = i * 37 % 100; /* Each once, in no order. */
        if (trail_wants(trail, latency_ns))
            trail_keep(trail, &(struct trail_request){.latency_ns = latency_ns});
    }
    trail_merge(&first, &second);
    ASSERT(first.count == TRAIL_SLOWEST_MAX);
    for (size_t i = 0; i < TRAIL_SLOWEST_MAX; i++)
        EXPECT(first.slowest[i].latency_ns == 99 - (int64_t)i);
}

/* ---- In requests. ---- */

static struct step *prepare(struct plan *plan, const struct http_header *headers, size_t count)
{
    struct url url;
    struct op op = {.kind = OP_REQUEST};
    struct scenario *scenario;
    struct why why = WHY_INIT;
    struct step *step = NULL;

    if (url_parse(STR("http://127.0.0.1:1/a?b"), &url, &why) != ERR_NONE ||
        plan_step(plan, "s", &step, &why) != ERR_NONE ||
        plan_origin(plan, &url, &step->origin, &why) != ERR_NONE)
        test_complain(__FILE__, __LINE__, why.text);
    step->target = url.path;
    step->headers = headers;
    step->headers_count = count;
    step->body = STR("traceparent: in the body");
    op.step = step;
    if (plan_scenario(plan, "s", 1, &op, 1, &scenario, &why) != ERR_NONE ||
        pattern_line(&plan->pattern, 1, 1, 1000000000, &why) != ERR_NONE ||
        plan_finish(plan, &why) != ERR_NONE)
        test_complain(__FILE__, __LINE__, why.text);
    return step;
}

TEST(a_request_has_a_place_for_its_id_unless_it_was_given_one)
{
    static const struct http_header own[] = {{{"TraceParent", 11}, {"mine", 4}}};
    struct plan *traced CLEANUP(plan_freep) = plan_new(1 << 20);
    struct plan *given CLEANUP(plan_freep) = plan_new(1 << 20);
    struct plan *plain CLEANUP(plan_freep) = plan_new(1 << 20);

    traced->trace_run = given->trace_run = 5;
    const struct step *step = prepare(traced, NULL, 0);
    ASSERT(step->is_traced && step->trace_at > 0);
    struct str value = {step->wire.data + step->trace_at, TRAIL_PARENT_SIZE};
    EXPECT(str_starts(value, STR("00-0000000000000005")));
    EXPECT(memcmp(value.data + value.size, "\r\n", 2) == 0);
    step = prepare(given, own, 1);
    EXPECT(!step->is_traced && str_find_str(step->wire, STR("TraceParent: mine\r\n")) > 0);
    step = prepare(plain, NULL, 0);
    EXPECT(!step->is_traced && str_find_str(step->wire, STR("traceparent: 00")) < 0);
}

TEST(a_target_elsewhere_is_not_traced_where_only_this_machine_is_watched)
{
    struct plan *here CLEANUP(plan_freep) = plan_new(1 << 20);
    struct plan *there CLEANUP(plan_freep) = plan_new(1 << 20);
    struct url url;

    here->trace_run = there->trace_run = 5;
    here->trace_only_here = there->trace_only_here = true;
    EXPECT(prepare(here, NULL, 0)->is_traced && plan_is_local(here));
    /* A documentation address (RFC 5737) is nobody's. */
    ASSERT(url_parse(STR("http://192.0.2.1/"), &url, NULL) == ERR_NONE);
    size_t origin;
    ASSERT(plan_origin(there, &url, &origin, NULL) == ERR_NONE);
    const struct step *step = prepare(there, NULL, 0);
    EXPECT(!step->is_traced && !plan_is_local(there));
    EXPECT(str_find_str(step->wire, STR("traceparent: 00")) < 0);
}

TEST_MAIN
