/* SPDX-License-Identifier: Apache-2.0 */
/* Jaeger's collector answers in a fixed shape, down to which keys stand where there is nothing to
 * say; clients in several languages rely on it. */
#include "codec/strategies.h"

#include "base/json.h"
#include "codec/json_tree.h"

/* What Jaeger tells of operations that a rate-limited service does not name. */
#define SHARE_UNNAMED 0.001

enum strategy_type {
    STRATEGY_SHARE, /* always and never, too. */
    STRATEGY_RATE,
    STRATEGY_ADAPTIVE,
};

struct strategy {
    enum strategy_type type;
    double param;
};

struct operation_strategy {
    struct str operation;
    struct strategy strategy;
};

struct service_strategy {
    struct str service;
    struct strategy strategy;
    struct operation_strategy *operations;
    size_t operations_count;
};

struct strategies {
    struct service_strategy fallback;
    struct service_strategy *services;
    size_t services_count;
};

const struct strategies *strategies_default(void)
{
    static const struct strategies all = {.fallback = {.strategy = {STRATEGY_SHARE, 1}}};

    return &all;
}

/* ---- Reading. ---- */

static enum err read_param(const struct node *node, double most, double *ret_param, struct why *why)
{
    const struct node *param;

    TRY(node_need(node, "param", &param, why));
    TRY(node_double(param, ret_param, why));
    if (!(*ret_param >= 0 && *ret_param <= most))
        return node_fail(param, why, "%g is not from 0 to %g", *ret_param, most);
    return ERR_NONE;
}

static enum err read_strategy(const struct node *node, struct strategy *strategy, struct why *why)
{
    const struct node *type;
    struct str name;

    TRY(node_need(node, "type", &type, why));
    TRY(node_text(type, &name, why));
    *strategy = (struct strategy){STRATEGY_SHARE, 0};
    if (str_eq(name, STR("never")))
        return ERR_NONE;
    if (str_eq(name, STR("always"))) {
        strategy->param = 1;
        return ERR_NONE;
    }
    if (str_eq(name, STR("probabilistic")))
        return read_param(node, 1, &strategy->param, why);
    strategy->type = str_eq(name, STR("ratelimiting")) ? STRATEGY_RATE : STRATEGY_ADAPTIVE;
    if (strategy->type == STRATEGY_RATE || str_eq(name, STR("adaptive")))
        return read_param(node, 1e9, &strategy->param, why);
    return node_fail(
        type, why,
        "'%.*s' is no strategy: write probabilistic, ratelimiting, adaptive, always or "
        "never",
        STR_ARG(name));
}

static enum err copy_text(const struct node *node, const char *key, struct arena *arena,
                          struct str *ret_text, struct why *why)
{
    const struct node *child;

    TRY(node_need(node, key, &child, why));
    TRY(node_text(child, ret_text, why));
    *ret_text = arena_str(arena, *ret_text);
    return ret_text->data == NULL ? arena_spent(arena, "the sampling strategies", why) : ERR_NONE;
}

static enum err read_operations(const struct node *list, struct arena *arena,
                                struct service_strategy *service, struct why *why)
{
    static const char *const keys[] = {"operation", "type", "param"};

    if (list == NULL)
        return ERR_NONE;
    TRY(node_list(list, why));
    service->operations = ARENA_ARRAY(arena, list->count, struct operation_strategy);
    if (service->operations == NULL)
        return arena_spent(arena, "the sampling strategies", why);
    NODE_EACH(list, item)
    {
        struct operation_strategy *operation = &service->operations[service->operations_count++];
        TRY(node_map(item, why));
        TRY(node_only(item, keys, ARRAY_COUNT(keys), why));
        TRY(copy_text(item, "operation", arena, &operation->operation, why));
        TRY(read_strategy(item, &operation->strategy, why));
    }
    return ERR_NONE;
}

static enum err read_service(const struct node *node, bool named, struct arena *arena,
                             struct service_strategy *service, struct why *why)
{
    static const char *const keys[] = {"service", "type", "param", "operation_strategies"};

    TRY(node_map(node, why));
    TRY(node_only(node, named ? keys : keys + 1, ARRAY_COUNT(keys) - !named, why));
    if (named)
        TRY(copy_text(node, "service", arena, &service->service, why));
    TRY(read_strategy(node, &service->strategy, why));
    return read_operations(node_get(node, "operation_strategies"), arena, service, why);
}

static enum err read_services(const struct node *list, struct arena *arena,
                              struct strategies *strategies, struct why *why)
{
    if (list == NULL)
        return ERR_NONE;
    TRY(node_list(list, why));
    strategies->services = ARENA_ARRAY(arena, list->count, struct service_strategy);
    if (strategies->services == NULL)
        return arena_spent(arena, "the sampling strategies", why);
    NODE_EACH(list, item)
    TRY(read_service(item, true, arena, &strategies->services[strategies->services_count++], why));
    return ERR_NONE;
}

enum err strategies_read(struct str text, const char *name, struct arena *arena,
                         const struct strategies **ret_strategies, struct why *why)
{
    static const char *const keys[] = {"default_strategy", "service_strategies"};
    struct strategies *strategies = ARENA_NEW(arena, struct strategies);
    const struct node *root;

    if (strategies == NULL)
        return arena_spent(arena, "the sampling strategies", why);
    strategies->fallback = strategies_default()->fallback;
    TRY(json_read(text, name, STRATEGIES_BYTES_MAX, arena, &root, why));
    TRY(node_map(root, why));
    TRY(node_only(root, keys, ARRAY_COUNT(keys), why));
    if (node_get(root, "default_strategy") != NULL)
        TRY(read_service(node_get(root, "default_strategy"), false, arena, &strategies->fallback,
                         why));
    TRY(read_services(node_get(root, "service_strategies"), arena, strategies, why));
    *ret_strategies = strategies;
    return ERR_NONE;
}

/* ---- Writing. ---- */

struct answer {
    const struct service_strategy *service; /* The service's own, or the default. */
    const struct service_strategy *fallback;
    const struct strategies_traffic *traffic;
    struct str name;
    struct json json;
    double per_second; /* Of an adaptive service. */
};

static bool names(const struct service_strategy *service, struct str operation)
{
    for (size_t i = 0; i < service->operations_count; i++) {
        if (str_eq(service->operations[i].operation, operation))
            return true;
    }
    return false;
}

static void add_operation(struct json *json, struct str operation, double share)
{
    json_open(json, '{');
    json_put_str(json, "operation", operation);
    json_key(json, "probabilisticSampling");
    json_open(json, '{');
    json_put_double(json, "samplingRate", share);
    json_close(json, '}');
    json_close(json, '}');
}

static void add_operations(struct answer *answer, const struct service_strategy *service)
{
    for (size_t i = 0; i < service->operations_count; i++) {
        const struct operation_strategy *own = &service->operations[i];
        double share = own->strategy.param;
        if (service != answer->service && names(answer->service, own->operation))
            continue; /* The service says otherwise. */
        if (own->strategy.type != STRATEGY_SHARE)
            share = answer->traffic->share(answer->traffic->self, answer->name, own->operation,
                                           own->strategy.param);
        add_operation(&answer->json, own->operation, share);
    }
}

static void add_adaptive(void *self, struct str operation)
{
    struct answer *answer = self;

    if (!names(answer->service, operation) && !names(answer->fallback, operation))
        add_operation(&answer->json, operation,
                      answer->traffic->share(answer->traffic->self, answer->name, operation,
                                             answer->per_second));
}

static void write_operations(struct answer *answer, double share)
{
    struct json *json = &answer->json;
    const struct strategy *strategy = &answer->service->strategy;

    json_key(json, "operationSampling");
    json_open(json, '{');
    json_put_double(json, "defaultSamplingProbability", share);
    json_put_i64(json, "defaultLowerBoundTracesPerSecond", 0);
    json_key(json, "perOperationStrategies");
    json_open(json, '[');
    add_operations(answer, answer->service);
    if (answer->fallback != answer->service)
        add_operations(answer, answer->fallback);
    if (strategy->type == STRATEGY_ADAPTIVE) {
        answer->per_second = strategy->param;
        answer->traffic->each(answer->traffic->self, answer->name, add_adaptive, answer);
    }
    json_close(json, ']');
    json_put_i64(json, "defaultUpperBoundTracesPerSecond", 0);
    json_close(json, '}');
}

static void write_own(struct json *json, const char *type, const char *key, const char *number,
                      double value)
{
    json_put_text(json, "strategyType", type);
    json_key(json, key);
    json_open(json, '{');
    json_put_double(json, number, value);
    json_close(json, '}');
}

/* An operation that nobody has seen yet is sampled whole, until its number is known. */
static void write_answer(struct answer *answer)
{
    const struct strategy *strategy = &answer->service->strategy;
    double share = strategy->type == STRATEGY_SHARE ? strategy->param : 1;

    json_open(&answer->json, '{');
    if (strategy->type == STRATEGY_RATE) {
        write_own(&answer->json, "RATE_LIMITING", "rateLimitingSampling", "maxTracesPerSecond",
                  strategy->param);
        share = SHARE_UNNAMED;
    } else {
        write_own(&answer->json, "PROBABILISTIC", "probabilisticSampling", "samplingRate", share);
    }
    /* A rate of the whole service stays that: the default's operations would end it. */
    if (answer->service->operations_count > 0 || strategy->type == STRATEGY_ADAPTIVE ||
        (answer->fallback->operations_count > 0 && strategy->type != STRATEGY_RATE))
        write_operations(answer, share);
    json_close(&answer->json, '}');
}

void strategies_write(const struct strategies *strategies, struct str service,
                      const struct strategies_traffic *traffic, struct buf *out)
{
    struct answer answer = {
        .service = &strategies->fallback,
        .fallback = &strategies->fallback,
        .traffic = traffic,
        .name = service,
        .json = json_begin(out),
    };

    for (size_t i = 0; i < strategies->services_count; i++) {
        if (str_eq(strategies->services[i].service, service))
            answer.service = &strategies->services[i];
    }
    write_answer(&answer);
}
