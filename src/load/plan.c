/* SPDX-License-Identifier: Apache-2.0 */
/* A plan is one object of one lifetime, so everything in it lives in its arena; only the pattern,
 * which grows, has memory of its own. */
#include "load/plan.h"

#include "base/clock.h"
#include "load/request.h"
#include "load/script.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

enum { LANES_PRESET = 1, TIMEOUT_PRESET_S = 10 };

struct plan *plan_new(size_t arena_budget_bytes)
{
    struct plan *plan = calloc(1, sizeof(*plan));

    if (plan == NULL)
        must_memory(sizeof(*plan));
    plan->arena = arena_new(arena_budget_bytes);
    plan->model = MODEL_CLOSED;
    plan->gamma_shape = 1;
    plan->threads = 1;
    plan->connections = 1;
    plan->lanes = LANES_PRESET;
    plan->keep_alive = true;
    plan->verify_tls = true;
    plan->session_reuse = true;
    plan->timeout_ns = TIMEOUT_PRESET_S * CLOCK_NS_PER_S;
    plan->grace_ns = -1;
    plan->answer_bytes_max = UINT64_C(1) << 30;
    plan->backlog_max = 1 << 20;
    plan->seed = 1;
    plan->parts = 1;
    return plan;
}

struct plan *plan_free(struct plan *plan)
{
    if (plan != NULL) {
        for (size_t i = 0; i < plan->steps_count; i++)
            script_done(plan->steps[i]->script);
        pattern_done(&plan->pattern);
        arena_free(plan->arena);
        free(plan);
    }
    return NULL;
}

void plan_freep(struct plan **plan)
{
    *plan = plan_free(*plan);
}

uint64_t plan_share(const struct plan *plan, uint64_t total)
{
    return total / plan->parts + (plan->part < total % plan->parts ? 1 : 0);
}

/* ---- Building. ---- */

enum err plan_origin(struct plan *plan, const struct url *url, size_t *ret_origin, struct why *why)
{
    for (size_t i = 0; i < plan->origins_count; i++) {
        const struct origin *origin = plan->origins[i];
        if (origin->scheme == url->scheme && origin->port == url->port &&
            str_eq_nocase(origin->host, url->host) &&
            (origin->wire != WIRE_WEBSOCKET || str_eq(origin->target, url->path))) {
            *ret_origin = i;
            return ERR_NONE;
        }
    }
    if (plan->origins_count == PLAN_ORIGINS_MAX)
        return fail(why, ERR_LIMIT, "there are more than %d different hosts", PLAN_ORIGINS_MAX);
    struct origin *origin = ARENA_NEW(plan->arena, struct origin);
    if (origin == NULL)
        return arena_spent(plan->arena, "the plan", why);
    origin->scheme = url->scheme;
    origin->host = arena_str(plan->arena, url->host);
    origin->authority = arena_str(plan->arena, url->authority);
    if (origin->host.data == NULL || origin->authority.data == NULL)
        return arena_spent(plan->arena, "the plan", why);
    origin->port = url->port;
    origin->target = arena_str(plan->arena, url->path);
    if (origin->target.data == NULL)
        return arena_spent(plan->arena, "the plan", why);
    origin->wire = url->scheme == SCHEME_TCP                               ? WIRE_TCP
                   : url->scheme == SCHEME_WS || url->scheme == SCHEME_WSS ? WIRE_WEBSOCKET
                                                                           : WIRE_HTTP1;
    *ret_origin = plan->origins_count;
    plan->origins[plan->origins_count++] = origin;
    return ERR_NONE;
}

enum err plan_step(struct plan *plan, const char *name, struct step **ret_step, struct why *why)
{
    if (plan->steps_count == PLAN_STEPS_MAX)
        return fail(why, ERR_LIMIT, "there are more than %d steps", PLAN_STEPS_MAX);
    struct step *step = ARENA_NEW(plan->arena, struct step);
    char *copy = arena_printf(plan->arena, "%s", name);
    if (step == NULL || copy == NULL)
        return arena_spent(plan->arena, "the plan", why);
    step->name = copy;
    step->index = plan->steps_count;
    step->method = STR("GET");
    step->target = STR("/");
    plan->steps[plan->steps_count++] = step;
    *ret_step = step;
    return ERR_NONE;
}

enum err plan_scenario(struct plan *plan, const char *name, double weight, const struct op *ops,
                       size_t ops_count, struct scenario **ret_scenario, struct why *why)
{
    if (plan->scenarios_count == PLAN_SCENARIOS_MAX)
        return fail(why, ERR_LIMIT, "there are more than %d scenarios", PLAN_SCENARIOS_MAX);
    if (ops_count == 0)
        return fail(why, ERR_INVALID, "scenario %s has no steps", name);
    if (!(weight > 0))
        return fail(why, ERR_INVALID, "scenario %s: a weight must be more than 0", name);
    struct scenario *scenario = ARENA_NEW(plan->arena, struct scenario);
    struct op *kept = ARENA_ARRAY(plan->arena, ops_count, struct op);
    char *copy = arena_printf(plan->arena, "%s", name);
    if (scenario == NULL || kept == NULL || copy == NULL)
        return arena_spent(plan->arena, "the plan", why);
    memcpy(kept, ops, ops_count * sizeof(*kept));
    *scenario =
        (struct scenario){.name = copy, .weight = weight, .ops = kept, .ops_count = ops_count};
    plan->scenarios[plan->scenarios_count++] = scenario;
    *ret_scenario = scenario;
    return ERR_NONE;
}

ptrdiff_t plan_find_variable(const struct plan *plan, struct str name)
{
    for (size_t i = 0; i < plan->variables_count; i++) {
        if (str_eq(plan->variables[i], name))
            return (ptrdiff_t)i;
    }
    return -1;
}

enum err plan_variable(struct plan *plan, struct str name, size_t *ret_variable, struct why *why)
{
    ptrdiff_t known = plan_find_variable(plan, name);

    if (known >= 0) {
        *ret_variable = (size_t)known;
        return ERR_NONE;
    }
    if (plan->variables_count == PLAN_VARIABLES_MAX)
        return fail(why, ERR_LIMIT, "there are more than %d variables", PLAN_VARIABLES_MAX);
    struct str kept = arena_str(plan->arena, name);
    if (kept.data == NULL)
        return arena_spent(plan->arena, "the plan", why);
    *ret_variable = plan->variables_count;
    plan->variables[plan->variables_count++] = kept;
    return ERR_NONE;
}

enum err plan_script(struct plan *plan, struct step *step, struct script **ret_script,
                     struct why *why)
{
    if (step->script == NULL)
        step->script = ARENA_NEW(plan->arena, struct script);
    if (step->script == NULL)
        return arena_spent(plan->arena, "the plan", why);
    plan->has_scripts = true;
    *ret_script = step->script;
    return ERR_NONE;
}

/* ---- Resolving names. ---- */

static enum err resolve(struct origin *origin, struct plan *plan, struct why *why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    char port[8];
    struct str host = origin->connect_host.size > 0 ? origin->connect_host : origin->host;
    const char *name = arena_printf(plan->arena, "%.*s", STR_ARG(host));

    if (name == NULL)
        return arena_spent(plan->arena, "the plan", why);
    (void)snprintf(port, sizeof(port), "%u",
                   origin->connect_port > 0 ? origin->connect_port : origin->port);
    int64_t begin_ns = clock_monotonic_ns();
    int result = getaddrinfo(name, port, &hints, &found);
    if (result != 0) {
        /* Where only loopback is configured, ADDRCONFIG hides even that. */
        hints.ai_flags = 0;
        result = getaddrinfo(name, port, &hints, &found);
    }
    origin->resolve_ns = clock_monotonic_ns() - begin_ns;
    if (result != 0) {
        enum err err = fail(why, ERR_UPSTREAM, "dns: %s could not be resolved: %s", name,
                            result == EAI_SYSTEM ? "the resolver failed" : gai_strerror(result));
        hint(why, "check the name, or name the address with --connect-to");
        return err;
    }
    for (struct addrinfo *at = found; at != NULL && origin->addresses_count < PLAN_ADDRESSES_MAX;
         at = at->ai_next) {
        if (at->ai_addrlen <= sizeof(origin->addresses[0]))
            memcpy(&origin->addresses[origin->addresses_count++], at->ai_addr, at->ai_addrlen);
    }
    freeaddrinfo(found);
    return ERR_NONE;
}

/* Each part must have somebody to do it. */
static enum err check_parts(const struct plan *plan, struct why *why)
{
    double users = plan->connections;

    if (plan->parts == 0 || plan->parts > PLAN_PARTS_MAX || plan->part >= plan->parts)
        return fail(why, ERR_INVALID, "a load is shared by 1 to %d agents", PLAN_PARTS_MAX);
    if (plan->model == MODEL_CLOSED && pattern_peak(&plan->pattern) < users)
        users = pattern_peak(&plan->pattern);
    if (plan->parts == 1 || users >= plan->parts)
        return ERR_NONE;
    enum err err = fail(why, ERR_INVALID, "%.6g users or connections cannot be shared by %u agents",
                        users, plan->parts);
    hint(why, "ask for at least one an agent, or name fewer agents");
    return err;
}

static enum err check(const struct plan *plan, struct why *why)
{
    if (plan->scenarios_count == 0)
        return fail(why, ERR_INVALID, "there is nothing to request");
    if (plan->pattern.count == 0)
        return fail(why, ERR_INVALID, "there is no load: neither users nor a rate");
    if (plan->connections == 0 || plan->connections > PLAN_CONNECTIONS_MAX)
        return fail(why, ERR_INVALID, "connections must be 1 to %d", PLAN_CONNECTIONS_MAX);
    if (plan->threads == 0 || plan->threads > PLAN_THREADS_MAX)
        return fail(why, ERR_INVALID, "threads must be 1 to %d", PLAN_THREADS_MAX);
    if (plan->lanes == 0 || plan->lanes > PLAN_LANES_MAX)
        return fail(why, ERR_INVALID, "streams must be 1 to %d", PLAN_LANES_MAX);
    return check_parts(plan, why);
}

/* Which protocol is spoken to an origin, and by which way it is reached. */
static enum err prepare_origin(struct plan *plan, struct origin *origin, struct why *why)
{
    if (origin->wire == WIRE_HTTP1 && plan->http == HTTP_CHOICE_2)
        origin->wire = WIRE_HTTP2;
    if (plan->proxy.host.size == 0)
        return ERR_NONE;
    if (origin->wire == WIRE_TCP)
        return fail(why, ERR_INVALID, "tcp:// does not go by a proxy");
    origin->by_proxy = true;
    origin->tunnels = origin->wire != WIRE_HTTP1 || scheme_is_tls(origin->scheme);
    origin->connect_host = plan->proxy.host;
    origin->connect_port = plan->proxy.port;
    return ERR_NONE;
}

static enum err prepare_step(struct plan *plan, struct step *step, struct why *why)
{
    const struct origin *origin = plan->origins[step->origin];

    if (step->timeout_ns <= 0)
        step->timeout_ns = plan->timeout_ns;
    if (step->is_grpc && origin->wire != WIRE_HTTP2)
        return fail(why, ERR_INVALID, "step %s: gRPC needs HTTP/2", step->name);
    if (step->script != NULL)
        plan->has_streams = plan->has_streams || step->script->is_stream;
    return request_prepare(plan, step, why);
}

static enum err prepare_steps(struct plan *plan, struct why *why)
{
    for (size_t i = 0; i < plan->steps_count; i++)
        TRY(prepare_step(plan, plan->steps[i], why));
    return ERR_NONE;
}

enum err plan_finish(struct plan *plan, struct why *why)
{
    if (plan->grace_ns < 0)
        plan->grace_ns = plan->timeout_ns;
    TRY(check(plan, why));
    for (size_t i = 0; i < plan->origins_count; i++)
        TRY(prepare_origin(plan, plan->origins[i], why));
    TRY(prepare_steps(plan, why));
    for (size_t i = 0; i < plan->origins_count && !plan->resolves_each && !plan->is_elsewhere; i++)
        TRY(resolve(plan->origins[i], plan, why));
    if (plan->trace_run == 0 || !plan->trace_only_here || plan_is_local(plan))
        return ERR_NONE;
    plan->trace_run = 0;
    return prepare_steps(plan, why);
}

/* ---- Where the targets are. ---- */

static bool is_same_host(const struct sockaddr *a, const struct sockaddr_storage *b)
{
    if (a->sa_family != b->ss_family)
        return false;
    if (a->sa_family == AF_INET)
        return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)b)->sin_addr.s_addr;
    return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

static bool is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->ss_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static bool is_local(const struct ifaddrs *interfaces, const struct sockaddr_storage *address)
{
    for (const struct ifaddrs *one = interfaces; one != NULL; one = one->ifa_next) {
        if (one->ifa_addr != NULL &&
            (one->ifa_addr->sa_family == AF_INET || one->ifa_addr->sa_family == AF_INET6) &&
            is_same_host(one->ifa_addr, address))
            return true;
    }
    return is_loopback(address);
}

bool plan_is_local(const struct plan *plan)
{
    struct ifaddrs *interfaces = NULL;
    bool all = plan->origins_count > 0;

    if (getifaddrs(&interfaces) != 0)
        interfaces = NULL;
    for (size_t i = 0; i < plan->origins_count && all; i++) {
        const struct origin *origin = plan->origins[i];
        all = origin->addresses_count > 0 && !origin->by_proxy &&
              is_local(interfaces, &origin->addresses[0]);
    }
    if (interfaces != NULL)
        freeifaddrs(interfaces);
    return all;
}

/* ---- Think times. ---- */

static bool read_time(struct str text, double *ret_ns)
{
    int64_t ms;

    if (!str_to_duration_ms(str_trim(text), &ms))
        return false;
    *ret_ns = (double)ms * (double)CLOCK_NS_PER_MS;
    return true;
}

static enum err bad_think(struct str text, struct why *why)
{
    return fail(why, ERR_INVALID,
                "'%.*s' is no think time such as 1s, uniform(1s, 3s), exponential(1s) or "
                "lognormal(1s, 0.5)",
                STR_ARG(text));
}

enum err think_parse(struct str text, struct think_time *ret_think, struct why *why)
{
    static const struct {
        struct str name;
        enum think kind;
        int arguments;
    } kinds[] = {
        {{"constant", 8}, THINK_CONSTANT, 1},
        {{"uniform", 7}, THINK_UNIFORM, 2},
        {{"exponential", 11}, THINK_EXPONENTIAL, 1},
        {{"lognormal", 9}, THINK_LOGNORMAL, 2},
    };
    struct think_time think = {.kind = THINK_CONSTANT};
    struct str rest = str_trim(text);
    ptrdiff_t open = str_find(rest, '(');

    if (open < 0) {
        if (!read_time(rest, &think.a_ns))
            return bad_think(text, why);
        *ret_think = think;
        return ERR_NONE;
    }
    if (rest.data[rest.size - 1] != ')')
        return bad_think(text, why);
    struct str name = {rest.data, (size_t)open};
    struct str inside = {rest.data + open + 1, rest.size - (size_t)open - 2};
    struct str first = str_split(&inside, ',');
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (!str_eq(name, kinds[i].name) || (kinds[i].arguments == 2) != (inside.data != NULL))
            continue;
        think.kind = kinds[i].kind;
        bool good = read_time(first, &think.a_ns);
        if (think.kind == THINK_LOGNORMAL)
            good = good && str_to_double(str_trim(inside), &think.b_ns) && think.b_ns >= 0 &&
                   think.b_ns <= 10;
        else if (kinds[i].arguments == 2)
            good = good && read_time(inside, &think.b_ns) && think.b_ns >= think.a_ns;
        if (!good)
            return bad_think(text, why);
        *ret_think = think;
        return ERR_NONE;
    }
    return bad_think(text, why);
}
