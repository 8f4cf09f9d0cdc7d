/* SPDX-License-Identifier: Apache-2.0 */
#include "load/plan.h"

#include "base/clock.h"
#include "load/script.h"
#include "test.h"

static struct url url_of(const char *text)
{
    struct url url = {0};

    if (url_parse(str_of(text), &url, NULL) != ERR_NONE)
        printf("# no URL: %s\n", text);
    return url;
}

static struct step *step_at(struct plan *plan, const char *text)
{
    struct url url = url_of(text);
    struct step *step = NULL;

    if (plan_step(plan, "s", &step, NULL) != ERR_NONE ||
        plan_origin(plan, &url, &step->origin, NULL) != ERR_NONE)
        printf("# no step\n");
    step->target = url.path;
    return step;
}

static enum err finish(struct plan *plan, struct step *step, struct why *why)
{
    const struct op op = {.kind = OP_REQUEST, .step = step};
    struct scenario *scenario;

    TRY(plan_scenario(plan, "s", 1, &op, 1, &scenario, why));
    TRY(pattern_line(&plan->pattern, 1, 1, CLOCK_NS_PER_S, why));
    return plan_finish(plan, why);
}

TEST(origins_are_shared_by_host_and_sockets_by_path_too)
{
    struct plan *plan = plan_new(1 << 20);
    struct url urls[] = {url_of("http://A:80/x"), url_of("http://a/y"), url_of("https://a/"),
                         url_of("ws://a/x"),      url_of("ws://a/y"),   url_of("ws://a/x")};
    const size_t wanted[] = {0, 0, 1, 2, 3, 2};

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        size_t origin;
        ASSERT(plan_origin(plan, &urls[i], &origin, NULL) == ERR_NONE);
        EXPECT(origin == wanted[i]);
    }
    EXPECT(plan->origins[2]->wire == WIRE_WEBSOCKET);
    (void)plan_free(plan);
}

TEST(a_request_that_never_changes_is_written_once)
{
    struct plan *plan = plan_new(1 << 20);
    struct step *step = step_at(plan, "http://127.0.0.1:81/a?b");
    struct why why = WHY_INIT;

    step->method = STR("POST");
    step->body = STR("xyz");
    ASSERT(finish(plan, step, &why) == ERR_NONE);
    EXPECT(
        str_eq(step->wire, STR("POST /a?b HTTP/1.1\r\nHost: 127.0.0.1:81\r\nUser-Agent: sonde\r\n"
                               "Content-Length: 3\r\n\r\nxyz")));
    EXPECT(plan->grace_ns == plan->timeout_ns && step->timeout_ns == plan->timeout_ns);
    (void)plan_free(plan);
}

TEST(a_proxy_is_asked_for_the_whole_url_or_for_a_tunnel)
{
    struct plan *plan = plan_new(1 << 20);
    struct step *plain = step_at(plan, "http://10.0.0.1/a");
    struct step *secure = step_at(plan, "https://10.0.0.1/a");

    plan->proxy = (struct proxy){.host = STR("127.0.0.1"), .port = 3128};
    ASSERT(finish(plan, plain, NULL) == ERR_NONE);
    EXPECT(str_starts(plain->wire, STR("GET http://10.0.0.1/a HTTP/1.1\r\n")));
    EXPECT(str_starts(secure->wire, STR("GET /a HTTP/1.1\r\n")));
    EXPECT(!plan->origins[plain->origin]->tunnels && plan->origins[secure->origin]->tunnels);
    (void)plan_free(plan);
}

TEST(what_could_not_be_sent_is_refused)
{
    static const struct {
        const char *method, *target, *name, *value;
    } cases[] = {{"GE T", "/", "a", "b"},
                 {"GET", "/a b", "a", "b"},
                 {"GET", "/", "a b", "c"},
                 {"GET", "/", "a", "b\r\nc: d"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plan *plan = plan_new(1 << 20);
        struct step *step = step_at(plan, "http://127.0.0.1/");
        const struct http_header header = {str_of(cases[i].name), str_of(cases[i].value)};
        step->method = str_of(cases[i].method);
        step->target = str_of(cases[i].target);
        step->headers = &header;
        step->headers_count = 1;
        EXPECT(finish(plan, step, NULL) == ERR_INVALID);
        (void)plan_free(plan);
    }
}

TEST(a_plan_without_load_or_steps_is_none)
{
    struct plan *plan = plan_new(1 << 20);
    struct scenario *scenario;

    EXPECT(plan_finish(plan, NULL) == ERR_INVALID);
    EXPECT(plan_scenario(plan, "s", 1, NULL, 0, &scenario, NULL) == ERR_INVALID);
    (void)plan_free(plan);
}

TEST(think_times_are_read)
{
    struct think_time think;

    ASSERT(think_parse(STR("uniform(1s, 3s)"), &think, NULL) == ERR_NONE);
    EXPECT(think.kind == THINK_UNIFORM && think.a_ns == 1e9 && think.b_ns == 3e9);
    ASSERT(think_parse(STR("lognormal(1s, 0.5)"), &think, NULL) == ERR_NONE);
    EXPECT(think.kind == THINK_LOGNORMAL && think.b_ns == 0.5);
    EXPECT(think_parse(STR("uniform(3s, 1s)"), &think, NULL) == ERR_INVALID);
    EXPECT(think_parse(STR("exponential(1s, 2s)"), &think, NULL) == ERR_INVALID);
}

TEST_MAIN
