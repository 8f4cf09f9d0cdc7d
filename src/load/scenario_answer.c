/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of an answer (check) and what is taken from it (extract). */
#include "base/clock.h"
#include "load/finder.h"
#include "load/scenario_priv.h"
#include "load/script.h"

enum { CHECKS_MAX = 100, RANGES_MAX = 20 };

struct checks {
    const struct scenario_scope *scope;
    struct script *script;
    struct check *items;
    struct status_range *ranges;
};

/* ---- Status. ---- */

/* "200", "2xx", "200-299". */
static bool read_range(struct str text, struct status_range *range)
{
    struct str rest = text;
    struct str first = str_split(&rest, '-');
    uint64_t from, to;

    if (text.size == 3 && text.data[1] == 'x' && text.data[2] == 'x' && text.data[0] >= '1' &&
        text.data[0] <= '5') {
        uint16_t hundreds = (uint16_t)((text.data[0] - '0') * 100);
        *range = (struct status_range){hundreds, (uint16_t)(hundreds + 99)};
        return true;
    }
    if (!str_to_u64(str_trim(first), &from))
        return false;
    to = from;
    if (rest.data != NULL && !str_to_u64(str_trim(rest), &to))
        return false;
    if (from < 100 || to > 599 || from > to)
        return false;
    *range = (struct status_range){(uint16_t)from, (uint16_t)to};
    return true;
}

static enum err add_status(struct checks *checks, const struct node *node, struct why *why)
{
    struct script *script = checks->script;
    struct str text;

    if (node->kind == NODE_LIST) {
        NODE_EACH(node, child)
        {
            if (child->kind == NODE_LIST)
                return node_fail(child, why, "a list within a list");
            TRY(add_status(checks, child, why));
        }
        return ERR_NONE;
    }
    TRY(node_text(node, &text, why));
    if (script->statuses_count == RANGES_MAX)
        return node_fail(node, why, "there are more than %d statuses", RANGES_MAX);
    if (!read_range(text, &checks->ranges[script->statuses_count++]))
        return node_fail(node, why, "'%.*s' is no status such as 200, 2xx or 200-299",
                         STR_ARG(text));
    return ERR_NONE;
}

/* ---- Checks. ---- */

static enum err add_check(struct checks *checks, const struct node *node, struct check check,
                          const struct node *wanted, struct why *why)
{
    struct script *script = checks->script;
    struct str text;

    if (script->checks_count == CHECKS_MAX)
        return node_fail(node, why, "there are more than %d checks", CHECKS_MAX);
    if (wanted != NULL) {
        TRY(node_text(wanted, &text, why));
        TRY_AT(wanted,
               template_compile(checks->scope->plan, text, TEMPLATE_PLAIN, &check.wanted, why));
    }
    script->wants_body = script->wants_body || check.place == PLACE_JSON ||
                         check.place == PLACE_BODY || check.place == PLACE_REGEX;
    script->wants_head = script->wants_head || check.place == PLACE_HEADER;
    checks->items[script->checks_count++] = check;
    script->checks = checks->items;
    return ERR_NONE;
}

static enum err check_pointer(const struct node *node, struct str pointer, struct why *why)
{
    if (pointer.size > 0 && pointer.data[0] != '/')
        return node_fail(node, why, "'%.*s' is no JSON pointer: it begins with a slash",
                         STR_ARG(pointer));
    return ERR_NONE;
}

/* A map of places to wanted values; null asks only that there is something. */
static enum err add_places(struct checks *checks, const struct node *node, enum place place,
                           enum check_kind kind, struct why *why)
{
    TRY(node_map(node, why));
    NODE_EACH(node, child)
    {
        bool exists = child->kind == NODE_NULL;
        struct check check = {
            .kind = exists ? CHECK_EXISTS : kind, .place = place, .at = child->key};
        if (place == PLACE_JSON)
            TRY(check_pointer(child, child->key, why));
        TRY(add_check(checks, child, check, exists ? NULL : child, why));
    }
    return ERR_NONE;
}

static enum err make_finder(const struct node *node, struct finder **ret_finder, struct why *why)
{
    struct str pattern;

    TRY(node_text(node, &pattern, why));
    return scenario_at(node, finder_new(pattern, ret_finder, why), why);
}

static enum err read_within(struct checks *checks, const struct node *node, struct why *why)
{
    struct check check = {.kind = CHECK_WITHIN, .place = PLACE_STATUS};
    int64_t ms;

    TRY(node_duration_ms(node, &ms, why));
    check.wanted_ns = ms * CLOCK_NS_PER_MS;
    return add_check(checks, node, check, NULL, why);
}

static enum err read_matches(struct checks *checks, const struct node *node, struct why *why)
{
    struct check check = {.kind = CHECK_EXISTS, .place = PLACE_REGEX};

    TRY(make_finder(node, &check.finder, why));
    enum err err = add_check(checks, node, check, NULL, why);
    if (err != ERR_NONE)
        (void)finder_free(check.finder);
    return err;
}

enum err scenario_checks(const struct scenario_scope *scope, const struct node *check,
                         struct step *step, struct why *why)
{
    static const char *const keys[] = {"status", "contains", "matches", "json", "header", "within"};
    struct checks checks = {.scope = scope, .script = step->script};
    const struct node *child;

    if (check == NULL)
        return ERR_NONE;
    TRY(node_map(check, why));
    TRY(node_only(check, keys, ARRAY_COUNT(keys), why));
    checks.items = ARENA_ARRAY(scope->plan->arena, CHECKS_MAX, struct check);
    checks.ranges = ARENA_ARRAY(scope->plan->arena, RANGES_MAX, struct status_range);
    if (checks.items == NULL || checks.ranges == NULL)
        return arena_spent(scope->plan->arena, "the plan", why);
    checks.script->statuses = checks.ranges;
    if ((child = node_get(check, "status")) != NULL)
        TRY(add_status(&checks, child, why));
    if ((child = node_get(check, "contains")) != NULL)
        TRY(add_check(&checks, child, (struct check){.kind = CHECK_CONTAINS, .place = PLACE_BODY},
                      child, why));
    if ((child = node_get(check, "json")) != NULL)
        TRY(add_places(&checks, child, PLACE_JSON, CHECK_IS, why));
    if ((child = node_get(check, "header")) != NULL)
        TRY(add_places(&checks, child, PLACE_HEADER, CHECK_CONTAINS, why));
    if ((child = node_get(check, "within")) != NULL)
        TRY(read_within(&checks, child, why));
    if ((child = node_get(check, "matches")) != NULL)
        TRY(read_matches(&checks, child, why));
    return ERR_NONE;
}

/* ---- Extracts. ---- */

static enum err read_extract(const struct scenario_scope *scope, const struct node *node,
                             struct script *script, struct extract *extract, struct why *why)
{
    static const char *const keys[] = {"json", "header", "regex", "body", "default"};
    const struct node *json, *header, *regex, *body, *preset;

    TRY(node_map(node, why));
    TRY(node_only(node, keys, ARRAY_COUNT(keys), why));
    json = node_get(node, "json");
    header = node_get(node, "header");
    regex = node_get(node, "regex");
    body = node_get(node, "body");
    if ((json != NULL) + (header != NULL) + (regex != NULL) + (body != NULL) != 1)
        return node_fail(node, why, "an extract is one of json, header, regex and body");
    TRY_AT(node, plan_variable(scope->plan, node->key, &extract->variable, why));
    preset = node_get(node, "default");
    if (preset != NULL) {
        TRY(node_text(preset, &extract->preset, why));
        extract->has_preset = true;
    }
    if (json != NULL) {
        extract->place = PLACE_JSON;
        TRY(node_text(json, &extract->at, why));
        TRY(check_pointer(json, extract->at, why));
    } else if (header != NULL) {
        extract->place = PLACE_HEADER;
        TRY(node_text(header, &extract->at, why));
    } else if (body != NULL) {
        extract->place = PLACE_BODY;
    } else {
        extract->place = PLACE_REGEX;
        TRY(make_finder(regex, &extract->finder, why));
    }
    script->wants_head = script->wants_head || extract->place == PLACE_HEADER;
    script->wants_body = script->wants_body || extract->place != PLACE_HEADER;
    return ERR_NONE;
}

enum err scenario_extracts(const struct scenario_scope *scope, const struct node *extract,
                           struct step *step, struct why *why)
{
    struct script *script = step->script;
    struct extract *extracts;

    if (extract == NULL)
        return ERR_NONE;
    TRY(node_map(extract, why));
    extracts = ARENA_ARRAY(scope->plan->arena, extract->count + 1, struct extract);
    if (extracts == NULL)
        return arena_spent(scope->plan->arena, "the plan", why);
    script->extracts = extracts;
    NODE_EACH(extract, child)
    {
        TRY(read_extract(scope, child, script, &extracts[script->extracts_count++], why));
    }
    return ERR_NONE;
}
