/* SPDX-License-Identifier: Apache-2.0 */
/* A step that asks a model: the keys are the flags of `sonde load llm`. */
#include "load/parcel.h"
#include "load/prompt.h"
#include "load/scenario_priv.h"
#include "load/script.h"

#include <stdlib.h>

static enum err read_length(const struct node *node, struct length *length, struct why *why)
{
    struct str text;

    if (node == NULL) {
        *length = (struct length){.kind = LENGTH_FIXED, .a = 128};
        return ERR_NONE;
    }
    TRY(node_text(node, &text, why));
    return scenario_at(node, length_parse(text, length, why), why);
}

static enum err read_count(const struct node *node, uint64_t least, uint64_t *ret_count,
                           struct why *why)
{
    int64_t count;

    *ret_count = least;
    if (node == NULL)
        return ERR_NONE;
    TRY(node_i64(node, &count, why));
    if (count < (int64_t)least || count > PROMPT_TOKENS_MAX)
        return node_fail(node, why, "this must be %d to %d", (int)least, PROMPT_TOKENS_MAX);
    *ret_count = (uint64_t)count;
    return ERR_NONE;
}

static enum err read_api(const struct node *node, const struct step *step, struct prompt *prompt,
                         struct why *why)
{
    struct str text;

    prompt->api = prompt_api_of_path(step->target);
    if (node == NULL)
        return ERR_NONE;
    TRY(node_text(node, &text, why));
    if (!prompt_api_parse(text, &prompt->api))
        return node_fail(node, why, "'%.*s' is none of openai, anthropic, ollama", STR_ARG(text));
    return ERR_NONE;
}

static enum err read_files(const struct scenario_scope *scope, const struct node *node,
                           struct prompt *prompt, struct why *why)
{
    const struct node *prompts = node_get(node, "prompts");
    const struct node *conversations = node_get(node, "conversations");
    const char *path;

    if (prompts != NULL && conversations != NULL)
        return node_fail(node, why, "prompts and conversations exclude each other");
    if (prompts != NULL) {
        TRY(scenario_path(scope, prompts, &path, why));
        TRY_AT(prompts, prompt_read_rows(scope->plan, path, prompt, why));
    }
    if (conversations != NULL) {
        TRY(scenario_path(scope, conversations, &path, why));
        TRY_AT(conversations, prompt_read_talks(scope->plan, path, prompt, why));
    }
    return ERR_NONE;
}

static enum err add_headers(const struct scenario_scope *scope, const struct node *node,
                            const struct prompt *prompt, struct step *step, struct why *why)
{
    const struct node *variable = node_get(node, "key_from");
    bool plain = prompt->api == PROMPT_ANTHROPIC;
    struct str name;

    TRY(scenario_header(scope, step, STR("Content-Type"), STR("application/json"), why));
    TRY(scenario_header(scope, step, STR("Accept"), STR("text/event-stream"), why));
    if (plain)
        TRY(scenario_header(scope, step, STR("anthropic-version"), STR("2023-06-01"), why));
    if (variable == NULL)
        return ERR_NONE;
    TRY(node_text(variable, &name, why));
    const char *word = arena_printf(scope->plan->arena, "%.*s", STR_ARG(name));
    const char *key = NULL;
    if (word != NULL)
        TRY(parcel_variable(scope->plan->parcel, word, &key, why));
    if (key == NULL)
        return node_fail(variable, why, "the variable %.*s is not set", STR_ARG(name));
    const char *value = arena_printf(scope->plan->arena, "%s%s", plain ? "" : "Bearer ", key);
    if (value == NULL)
        return arena_spent(scope->plan->arena, "the plan", why);
    return scenario_header(scope, step, plain ? STR("x-api-key") : STR("Authorization"),
                           str_of(value), why);
}

enum err scenario_llm(const struct scenario_scope *scope, const struct node *node,
                      struct step *step, struct why *why)
{
    struct prompt *prompt = ARENA_NEW(scope->plan->arena, struct prompt);
    const struct node *model, *extra = node_get(node, "extra");
    struct str text;

    if (prompt == NULL)
        return arena_spent(scope->plan->arena, "the plan", why);
    TRY(node_need(node, "model", &model, why));
    TRY(node_text(model, &prompt->model, why));
    TRY(read_api(node_get(node, "api"), step, prompt, why));
    if (step->target.size <= 1)
        step->target = prompt_api_path(prompt->api);
    TRY(read_length(node_get(node, "input_tokens"), &prompt->input, why));
    TRY(read_length(node_get(node, "output_tokens"), &prompt->output, why));
    TRY(read_count(node_get(node, "prefix_tokens"), 0, &prompt->prefix_tokens, why));
    TRY(read_count(node_get(node, "prefixes"), 1, &prompt->prefixes, why));
    TRY(read_files(scope, node, prompt, why));
    if (extra != NULL) {
        TRY(node_text(extra, &text, why));
        TRY_AT(extra, prompt_set_extra(scope->plan, text, prompt, why));
    }
    TRY(add_headers(scope, node, prompt, step, why));
    step->script->prompt = prompt;
    step->script->is_stream = true;
    return ERR_NONE;
}
