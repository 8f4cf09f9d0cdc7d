/* SPDX-License-Identifier: Apache-2.0 */
/* The file as a whole: what holds for all of it, its data, and its scenarios as rows of operations.
 *
 * Variables are declared before any text with holes is compiled, so that a hole may name what a
 * later step takes: in a loop that is no mistake. */
#include "load/scenario.h"

#include "base/clock.h"
#include "codec/yaml.h"
#include "load/data.h"
#include "load/parcel.h"
#include "load/prompt.h"
#include "load/scenario_priv.h"
#include "load/script.h"
#include "load/template.h"

#include <stdlib.h>

struct ops {
    const struct scenario_scope *scope;
    struct op *items;
    size_t count;
    unsigned loops; /* Open now. */
};

enum err scenario_at(const struct node *node, enum err err, struct why *why)
{
    struct buf place CLEANUP(buf_done) = {0};

    if (err == ERR_NONE || why == NULL)
        return err;
    node_write_place(node, &place);
    if (str_find_str(str_of(why->text), str_of(node->document)) != 0)
        why_prefix(why, "%s", buf_cstr(&place));
    return err;
}

enum err scenario_path(const struct scenario_scope *scope, const struct node *node,
                       const char **ret_path, struct why *why)
{
    struct str text;

    TRY(node_text(node, &text, why));
    if (text.size == 0)
        return node_fail(node, why, "the path is empty");
    *ret_path = arena_printf(scope->plan->arena, "%s%.*s", text.data[0] == '/' ? "" : scope->folder,
                             STR_ARG(text));
    return *ret_path == NULL ? arena_spent(scope->plan->arena, "the plan", why) : ERR_NONE;
}

static enum err read_duration_ns(const struct node *node, int64_t *ret_ns, struct why *why)
{
    int64_t ms;

    TRY(node_duration_ms(node, &ms, why));
    *ret_ns = ms * CLOCK_NS_PER_MS;
    return ERR_NONE;
}

static enum err read_think(const struct node *node, struct think_time *think, struct why *why)
{
    struct str text;

    TRY(node_text(node, &text, why));
    return scenario_at(node, think_parse(text, think, why), why);
}

/* ---- Operations. ---- */

static enum err read_steps(struct ops *ops, const struct node *steps, struct why *why);

static enum err add_op(struct ops *ops, const struct node *node, struct op op, struct why *why)
{
    if (ops->count == PLAN_OPS_MAX)
        return node_fail(node, why, "there are more than %d operations", PLAN_OPS_MAX);
    ops->items[ops->count++] = op;
    return ERR_NONE;
}

static enum err read_condition(struct ops *ops, const struct node *node,
                               const struct condition **ret_condition, struct why *why)
{
    struct str text;

    *ret_condition = NULL;
    if (node == NULL)
        return ERR_NONE;
    TRY(node_text(node, &text, why));
    return scenario_at(node, condition_compile(ops->scope->plan, text, ret_condition, why), why);
}

static enum err read_loop(struct ops *ops, const struct node *node, struct why *why)
{
    static const char *const keys[] = {"repeat", "until", "if", "steps"};
    const struct node *steps;
    struct op again = {.kind = OP_AGAIN, .loop = ops->loops};
    int64_t times;

    TRY(node_only(node, keys, ARRAY_COUNT(keys), why));
    const struct node *repeat = node_get(node, "repeat");
    TRY(node_i64(repeat, &times, why));
    if (times < 1 || times > PLAN_LOOP_TIMES_MAX)
        return node_fail(repeat, why, "repeat must be 1 to %d", PLAN_LOOP_TIMES_MAX);
    if (ops->loops == PLAN_LOOPS_MAX)
        return node_fail(node, why, "loops may stand %d deep", PLAN_LOOPS_MAX);
    TRY(node_need(node, "steps", &steps, why));
    again.times = (uint32_t)times;
    TRY(read_condition(ops, node_get(node, "until"), &again.condition, why));
    TRY(add_op(ops, node, (struct op){.kind = OP_LOOP, .loop = ops->loops++}, why));
    again.to = (uint32_t)ops->count;
    TRY(read_steps(ops, steps, why));
    ops->loops--;
    return add_op(ops, node, again, why);
}

static enum err read_pause(struct ops *ops, const struct node *node, struct why *why)
{
    static const char *const keys[] = {"pause", "if"};
    struct op op = {.kind = OP_PAUSE};

    TRY(node_only(node, keys, ARRAY_COUNT(keys), why));
    TRY(read_think(node_get(node, "pause"), &op.pause, why));
    return add_op(ops, node, op, why);
}

/* A conversation is a loop of its turns. */
static enum err read_request(struct ops *ops, const struct node *node, struct why *why)
{
    struct op op = {.kind = OP_REQUEST};
    struct step *step;

    TRY(scenario_step(ops->scope, node, &step, why));
    op.step = step;
    const struct prompt *prompt = step->script->prompt;
    if (prompt == NULL || prompt->talks == NULL)
        return add_op(ops, node, op, why);
    if (ops->loops == PLAN_LOOPS_MAX)
        return node_fail(node, why, "loops may stand %d deep", PLAN_LOOPS_MAX);
    TRY(add_op(ops, node, (struct op){.kind = OP_LOOP, .loop = ops->loops}, why));
    TRY(add_op(ops, node, op, why));
    return add_op(ops, node,
                  (struct op){.kind = OP_AGAIN,
                              .loop = ops->loops,
                              .to = (uint32_t)ops->count - 1,
                              .times = (uint32_t)prompt_turns_max(prompt),
                              .prompt = prompt},
                  why);
}

static enum err read_one(struct ops *ops, const struct node *node, struct why *why)
{
    struct op unless = {.kind = OP_UNLESS};
    size_t at = ops->count;

    TRY(node_map(node, why));
    TRY(read_condition(ops, node_get(node, "if"), &unless.condition, why));
    if (unless.condition != NULL)
        TRY(add_op(ops, node, unless, why));
    if (node_get(node, "repeat") != NULL)
        TRY(read_loop(ops, node, why));
    else if (node_get(node, "pause") != NULL)
        TRY(read_pause(ops, node, why));
    else
        TRY(read_request(ops, node, why));
    if (unless.condition != NULL)
        ops->items[at].to = (uint32_t)ops->count;
    return ERR_NONE;
}

static enum err read_steps(struct ops *ops, const struct node *steps, struct why *why)
{
    TRY(node_list(steps, why));
    if (steps->count == 0)
        return node_fail(steps, why, "there are no steps");
    NODE_EACH(steps, step)
    {
        TRY(read_one(ops, step, why));
    }
    return ERR_NONE;
}

/* ---- Scenarios. ---- */

static enum err make_scenario(const struct scenario_scope *scope, const struct node *node,
                              const char *name, double weight, struct why *why)
{
    struct ops ops = {.scope = scope};
    const struct node *steps;
    struct scenario *scenario;

    ops.items = ARENA_ARRAY(scope->plan->arena, PLAN_OPS_MAX, struct op);
    if (ops.items == NULL)
        return arena_spent(scope->plan->arena, "the plan", why);
    TRY(node_need(node, "steps", &steps, why));
    TRY(read_steps(&ops, steps, why));
    TRY_AT(node, plan_scenario(scope->plan, name, weight, ops.items, ops.count, &scenario, why));
    if (node_get(node, "think") != NULL)
        TRY(read_think(node_get(node, "think"), &scenario->pause, why));
    return ERR_NONE;
}

static enum err read_scenario(struct scenario_scope *scope, const struct node *node,
                              struct why *why)
{
    static const char *const keys[] = {"name", "weight", "think", "steps"};
    const struct node *weight_node = node_get(node, "weight");
    const struct node *name_node;
    double weight = 1;
    struct str name;

    TRY(node_map(node, why));
    TRY(node_only(node, keys, ARRAY_COUNT(keys), why));
    TRY(node_need(node, "name", &name_node, why));
    TRY(node_text(name_node, &name, why));
    if (weight_node != NULL)
        TRY(node_double(weight_node, &weight, why));
    if (!(weight > 0))
        return node_fail(weight_node, why, "a weight must be more than 0");
    const char *text = arena_printf(scope->plan->arena, "%.*s", STR_ARG(name));
    scope->prefix = arena_printf(scope->plan->arena, "%.*s.", STR_ARG(name));
    if (text == NULL || scope->prefix == NULL)
        return arena_spent(scope->plan->arena, "the plan", why);
    return make_scenario(scope, node, text, weight, why);
}

static enum err read_scenarios(struct scenario_scope *scope, const struct node *root,
                               struct why *why)
{
    const struct node *scenarios = node_get(root, "scenarios");

    scope->prefix = "";
    if (scenarios == NULL)
        return make_scenario(scope, root, "scenario", 1, why);
    if (node_get(root, "steps") != NULL)
        return node_fail(root, why, "steps and scenarios exclude each other");
    TRY(node_list(scenarios, why));
    if (scenarios->count == 0)
        return node_fail(scenarios, why, "there are no scenarios");
    NODE_EACH(scenarios, scenario)
    {
        TRY(read_scenario(scope, scenario, why));
    }
    return ERR_NONE;
}

/* ---- Variables and data. ---- */

static enum err read_variables(struct plan *plan, const struct node *node, struct why *why)
{
    size_t variable;
    struct str text;

    if (node == NULL)
        return ERR_NONE;
    TRY(node_map(node, why));
    NODE_EACH(node, child)
    {
        TRY(node_text(child, &text, why));
        TRY_AT(child, plan_variable(plan, child->key, &variable, why));
        plan->presets[variable] = text;
    }
    return ERR_NONE;
}

static enum err read_data(const struct scenario_scope *scope, const struct node *node,
                          struct why *why)
{
    static const char *const keys[] = {"file", "order"};
    const struct node *order = node_get(node, "order");
    const struct node *file;
    struct data *data;
    const char *path;
    struct str text;

    TRY(node_map(node, why));
    TRY(node_only(node, keys, ARRAY_COUNT(keys), why));
    TRY(node_need(node, "file", &file, why));
    TRY(scenario_path(scope, file, &path, why));
    TRY_AT(file, data_read(scope->plan, path, &data, why));
    if (order != NULL) {
        TRY(node_text(order, &text, why));
        if (str_eq(text, STR("random")))
            data->order = DATA_AT_RANDOM;
        else if (!str_eq(text, STR("in turn")))
            return node_fail(order, why, "'%.*s' is neither 'in turn' nor 'random'", STR_ARG(text));
    }
    return scenario_at(node, data_bind(scope->plan, data, node->key, why), why);
}

static enum err declare_all(const struct scenario_scope *scope, const struct node *root,
                            struct why *why)
{
    const struct node *scenarios = node_get(root, "scenarios");
    const struct node *data = node_get(root, "data");

    TRY(read_variables(scope->plan, node_get(root, "variables"), why));
    if (data != NULL) {
        TRY(node_map(data, why));
        NODE_EACH(data, file)
        {
            TRY(read_data(scope, file, why));
        }
    }
    TRY(scenario_declare(scope->plan, node_get(root, "steps"), why));
    if (scenarios == NULL || scenarios->kind != NODE_LIST)
        return ERR_NONE;
    NODE_EACH(scenarios, scenario)
    {
        TRY(scenario_declare(scope->plan, node_get(scenario, "steps"), why));
    }
    return ERR_NONE;
}

/* ---- The load. ---- */

static enum err read_arrivals(struct plan *plan, const struct node *node, struct why *why)
{
    static const char *const names[] = {"constant", "poisson", "gamma"};
    struct str text;

    TRY(node_text(node, &text, why));
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (str_eq(text, str_of(names[i]))) {
            plan->arrivals = (enum arrivals)i;
            return ERR_NONE;
        }
    }
    return node_fail(node, why, "'%.*s' is none of constant, poisson, gamma", STR_ARG(text));
}

static enum err read_load(struct plan *plan, const struct node *node, struct scenario_load *load,
                          struct why *why)
{
    static const char *const keys[] = {"users", "rate",   "duration", "pattern",    "test",
                                       "think", "warmup", "timeout",  "arrivals",   "requests",
                                       "http2", "grace",  "insecure", "burstiness", "cookies"};
    const struct {
        const char *key;
        int64_t *ns;
    } durations[] = {{"duration", &load->length_ns},
                     {"warmup", &plan->warmup_ns},
                     {"timeout", &plan->timeout_ns},
                     {"grace", &plan->grace_ns}};
    const struct {
        const char *key;
        double *value;
    } numbers[] = {
        {"users", &load->users}, {"rate", &load->rate}, {"burstiness", &plan->gamma_shape}};
    int64_t requests;
    bool flag;

    if (node == NULL)
        return ERR_NONE;
    TRY(node_map(node, why));
    TRY(node_only(node, keys, ARRAY_COUNT(keys), why));
    for (size_t i = 0; i < ARRAY_COUNT(durations); i++) {
        const struct node *child = node_get(node, durations[i].key);
        if (child != NULL)
            TRY(read_duration_ns(child, durations[i].ns, why));
    }
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        const struct node *child = node_get(node, numbers[i].key);
        if (child == NULL)
            continue;
        TRY(node_double(child, numbers[i].value, why));
        if (!(*numbers[i].value > 0) || *numbers[i].value > PATTERN_LEVEL_MAX)
            return node_fail(child, why, "%s must be more than 0", numbers[i].key);
    }
    if (node_get(node, "pattern") != NULL)
        TRY(node_text(node_get(node, "pattern"), &load->pattern, why));
    if (node_get(node, "test") != NULL)
        TRY(node_text(node_get(node, "test"), &load->test, why));
    if (node_get(node, "think") != NULL)
        TRY(read_think(node_get(node, "think"), &plan->think, why));
    if (node_get(node, "arrivals") != NULL)
        TRY(read_arrivals(plan, node_get(node, "arrivals"), why));
    if (node_get(node, "requests") != NULL) {
        TRY(node_i64(node_get(node, "requests"), &requests, why));
        plan->requests_max = requests < 0 ? 0 : (uint64_t)requests;
    }
    if (node_get(node, "http2") != NULL) {
        TRY(node_bool(node_get(node, "http2"), &flag, why));
        plan->http = flag ? HTTP_CHOICE_2 : HTTP_CHOICE_1;
    }
    if (node_get(node, "insecure") != NULL) {
        TRY(node_bool(node_get(node, "insecure"), &flag, why));
        plan->verify_tls = !flag;
    }
    if (node_get(node, "cookies") != NULL)
        TRY(node_bool(node_get(node, "cookies"), &plan->keeps_cookies, why));
    return ERR_NONE;
}

static enum err read_slo(struct plan *plan, const struct node *node, struct why *why)
{
    static const char *const keys[] = {"ttft", "tpot", "e2e"};
    int64_t *const promises[] = {&plan->slo.ttft_ns, &plan->slo.tpot_ns, &plan->slo.e2e_ns};

    if (node == NULL)
        return ERR_NONE;
    TRY(node_map(node, why));
    TRY(node_only(node, keys, ARRAY_COUNT(keys), why));
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        if (node_get(node, keys[i]) != NULL)
            TRY(read_duration_ns(node_get(node, keys[i]), promises[i], why));
    }
    return ERR_NONE;
}

static enum err read_price(struct plan *plan, const struct node *node, struct why *why)
{
    static const char *const keys[] = {"input", "output", "cached"};
    double *const prices[] = {&plan->price.input, &plan->price.output, &plan->price.cached};

    if (node == NULL)
        return ERR_NONE;
    TRY(node_map(node, why));
    TRY(node_only(node, keys, ARRAY_COUNT(keys), why));
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        const struct node *child = node_get(node, keys[i]);
        if (child == NULL)
            continue;
        TRY(node_double(child, prices[i], why));
        if (!(*prices[i] >= 0) || *prices[i] > 1e9)
            return node_fail(child, why, "a price is US dollars for a million tokens");
    }
    return ERR_NONE;
}

static enum err read_criteria(struct plan *plan, const struct node *node, struct why *why)
{
    if (node == NULL)
        return ERR_NONE;
    TRY(node_list(node, why));
    NODE_EACH(node, child)
    {
        if (plan->criteria_count == PLAN_CRITERIA_MAX)
            return node_fail(child, why, "there are more than %d criteria", PLAN_CRITERIA_MAX);
        TRY(node_text(child, &plan->criteria[plan->criteria_count], why));
        plan->criteria_count++;
    }
    return ERR_NONE;
}

/* ---- The whole. ---- */

static enum err read_scope(struct scenario_scope *scope, const struct node *root, const char *path,
                           struct why *why)
{
    const char *slash = strrchr(path, '/');
    const struct node *base = node_get(root, "base");

    scope->folder = slash == NULL
                        ? ""
                        : arena_printf(scope->plan->arena, "%.*s", (int)(slash - path + 1), path);
    if (scope->folder == NULL)
        return arena_spent(scope->plan->arena, "the plan", why);
    scope->headers = node_get(root, "headers");
    scope->auth = node_get(root, "auth");
    if (base != NULL) {
        struct url url;
        TRY(node_text(base, &scope->base, why));
        TRY_AT(base, url_parse(scope->base, &url, why));
        if (scope->base.data[scope->base.size - 1] == '/')
            scope->base.size--;
    }
    return ERR_NONE;
}

enum err scenario_read(struct plan *plan, const char *path, struct scenario_load *ret_load,
                       struct why *why)
{
    static const char *const keys[] = {"title",     "base",  "load", "variables", "data",
                                       "headers",   "auth",  "slo",  "price",     "criteria",
                                       "scenarios", "steps", "think"};
    struct scenario_scope scope = {.plan = plan};
    struct buf text CLEANUP(buf_done) = {0};
    const struct node *root;
    struct str title = str_of(path);

    TRY(parcel_file(plan->parcel, path, SCENARIO_BYTES_MAX, &text, why));
    TRY(yaml_read(buf_view(&text), path, plan->arena, &root, why));
    TRY(node_map(root, why));
    TRY(node_only(root, keys, ARRAY_COUNT(keys), why));
    plan->keeps_cookies = true;
    *ret_load = (struct scenario_load){0};
    TRY(read_load(plan, node_get(root, "load"), ret_load, why));
    TRY(read_slo(plan, node_get(root, "slo"), why));
    TRY(read_price(plan, node_get(root, "price"), why));
    TRY(read_scope(&scope, root, path, why));
    TRY(declare_all(&scope, root, why));
    TRY(read_criteria(plan, node_get(root, "criteria"), why));
    TRY(read_scenarios(&scope, root, why));
    if (node_get(root, "title") != NULL)
        TRY(node_text(node_get(root, "title"), &title, why));
    plan->title = arena_printf(plan->arena, "%.*s", STR_ARG(title));
    return plan->title == NULL ? arena_spent(plan->arena, "the plan", why) : ERR_NONE;
}
