/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of `sonde load llm URL`: one step, whose body a prompt makes and whose answer is a token
 * stream. Recorded conversations make a loop of it, a turn each. */
#include "cli/load.h"
#include "load/parcel.h"
#include "load/prompt.h"
#include "load/script.h"

#include <stdlib.h>

static enum prompt_api read_api(const struct load *load, const struct url *url)
{
    int64_t said = options_i64(load->invocation->options, LOAD_API);

    return said == 0 ? prompt_api_of_path(url->path) : (enum prompt_api)(said - 1);
}

static enum err read_prompt(struct load_run *run, const struct url *url, struct prompt *prompt,
                            struct why *why)
{
    const struct options *options = run->load->invocation->options;
    const char *prompts = options_cstr(options, LOAD_PROMPTS);
    const char *conversations = options_cstr(options, LOAD_CONVERSATIONS);

    prompt->model = options_text(options, LOAD_MODEL);
    if (prompt->model.size == 0) {
        enum err err = fail(why, ERR_INVALID, "sonde load llm needs --model");
        hint(why, "name the model as the server knows it");
        return err;
    }
    prompt->api = read_api(run->load, url);
    TRY(length_parse(options_text(options, LOAD_INPUT), &prompt->input, why));
    TRY(length_parse(options_text(options, LOAD_OUTPUT), &prompt->output, why));
    prompt->prefix_tokens = (uint64_t)options_i64(options, LOAD_PREFIX);
    prompt->prefixes = (uint64_t)options_i64(options, LOAD_PREFIXES);
    if (prompts != NULL && conversations != NULL)
        return fail(why, ERR_INVALID, "--prompts and --conversations exclude each other");
    if (prompts != NULL)
        TRY(prompt_read_rows(run->plan, prompts, prompt, why));
    if (conversations != NULL)
        TRY(prompt_read_talks(run->plan, conversations, prompt, why));
    if (options_is_set(options, LOAD_EXTRA))
        TRY(prompt_set_extra(run->plan, options_text(options, LOAD_EXTRA), prompt, why));
    return ERR_NONE;
}

/* The key goes where each API wants it; it is never shown. */
static enum err read_headers(struct load_run *run, const struct prompt *prompt, struct step *step,
                             struct why *why)
{
    const struct load *load = run->load;
    const char *variable = options_cstr(load->invocation->options, LOAD_KEY);
    struct http_header headers[4];
    size_t count = 0;

    headers[count++] = (struct http_header){STR("Content-Type"), STR("application/json")};
    headers[count++] = (struct http_header){STR("Accept"), STR("text/event-stream")};
    if (prompt->api == PROMPT_ANTHROPIC)
        headers[count++] = (struct http_header){STR("anthropic-version"), STR("2023-06-01")};
    if (variable != NULL) {
        const char *key;
        TRY(parcel_variable(run->plan->parcel, variable, &key, why));
        bool plain = prompt->api == PROMPT_ANTHROPIC;
        if (key == NULL || key[0] == '\0')
            return fail(why, ERR_INVALID, "--key-from: the variable %s is not set", variable);
        const char *value = arena_printf(run->plan->arena, "%s%s", plain ? "" : "Bearer ", key);
        if (value == NULL)
            return arena_spent(run->plan->arena, "the plan", why);
        headers[count++] =
            (struct http_header){plain ? STR("x-api-key") : STR("Authorization"), str_of(value)};
    }
    return load_read_headers(load, run->plan, step, headers, count, why);
}

static enum err read_slo(struct load_run *run, struct why *why)
{
    struct slo *slo = &run->plan->slo;
    const struct {
        struct str name;
        int64_t *ns;
    } promises[] = {
        {{"ttft", 4}, &slo->ttft_ns}, {{"tpot", 4}, &slo->tpot_ns}, {{"e2e", 3}, &slo->e2e_ns}};
    const struct str *items;
    size_t count = options_list(run->load->invocation->options, LOAD_SLO, &items);

    for (size_t i = 0; i < count; i++) {
        struct str rest = items[i];
        struct str name = str_trim(str_split(&rest, '<'));
        bool known = false;
        int64_t ms;
        if (rest.size > 0 && rest.data[0] == '=')
            rest = (struct str){rest.data + 1, rest.size - 1};
        for (size_t j = 0; j < ARRAY_COUNT(promises) && rest.data != NULL; j++) {
            if (!str_eq(name, promises[j].name) || !str_to_duration_ms(str_trim(rest), &ms) ||
                ms <= 0)
                continue;
            *promises[j].ns = ms * 1000000;
            known = true;
        }
        if (!known)
            return fail(why, ERR_INVALID,
                        "--slo: '%.*s' is none of ttft<500ms, tpot<50ms and e2e<10s",
                        STR_ARG(items[i]));
    }
    return ERR_NONE;
}

static enum err read_price(struct load_run *run, struct why *why)
{
    struct str text = options_text(run->load->invocation->options, LOAD_PRICE);
    struct price *price = &run->plan->price;
    double *const amounts[] = {&price->input, &price->output, &price->cached};
    struct str rest = text;
    size_t count = 0;

    if (text.data == NULL)
        return ERR_NONE;
    while (rest.data != NULL) {
        struct str amount = str_trim(str_split(&rest, ','));
        if (count == ARRAY_COUNT(amounts) || !str_to_double(amount, amounts[count]) ||
            !(*amounts[count] >= 0) || *amounts[count] > 1e9)
            return fail(why, ERR_INVALID, "--price: '%.*s' is not IN,OUT or IN,OUT,CACHED",
                        STR_ARG(text));
        count++;
    }
    if (count < 2)
        return fail(why, ERR_INVALID, "--price: '%.*s' has no price for tokens out", STR_ARG(text));
    return ERR_NONE;
}

static enum err make_ops(struct load_run *run, struct step *step, struct why *why)
{
    const struct prompt *prompt = step->script->prompt;
    struct scenario *scenario;
    const struct op ops[] = {
        {.kind = OP_LOOP},
        {.kind = OP_REQUEST, .step = step},
        {.kind = OP_AGAIN, .to = 1, .times = (uint32_t)prompt_turns_max(prompt), .prompt = prompt},
    };

    TRY(plan_scenario(run->plan, "llm", 1, ops, ARRAY_COUNT(ops), &scenario, why));
    if (prompt->talks != NULL)
        scenario->pause = run->plan->think; /* People read before they answer. */
    return ERR_NONE;
}

enum err load_llm_plan(struct load_run *run, struct why *why)
{
    struct plan *plan = run->plan;
    struct prompt *prompt = ARENA_NEW(plan->arena, struct prompt);
    struct script *script;
    struct step *step;
    struct url url;

    if (prompt == NULL)
        return arena_spent(plan->arena, "the plan", why);
    TRY(url_parse(str_of(run->load->where), &url, why));
    if (url.scheme != SCHEME_HTTP && url.scheme != SCHEME_HTTPS)
        return fail(why, ERR_INVALID, "a model is asked over http:// or https://");
    TRY(read_prompt(run, &url, prompt, why));
    TRY(plan_step(plan, "request", &step, why));
    TRY(plan_origin(plan, &url, &step->origin, why));
    TRY(load_read_connect_to(run->load, plan, plan->origins[step->origin], why));
    step->target = url.path.size > 1 ? url.path : prompt_api_path(prompt->api);
    step->method = STR("POST");
    TRY(read_headers(run, prompt, step, why));
    TRY(plan_script(plan, step, &script, why));
    script->prompt = prompt;
    script->is_stream = true;
    TRY(script_compile(plan, step, TEMPLATE_PLAIN, why));
    TRY(read_slo(run, why));
    TRY(read_price(run, why));
    plan->title = arena_printf(plan->arena, "%.*s at %s", STR_ARG(prompt->model), run->load->where);
    return make_ops(run, step, why);
}
