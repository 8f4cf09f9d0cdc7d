/* SPDX-License-Identifier: Apache-2.0 */
/* Everything is found as a str within the answer; only JSON texts are unescaped into a copy. */
#include "load/script.h"

#include "codec/json_walk.h"
#include "load/finder.h"
#include "load/session.h"

#include <stdio.h>

/* A request without holes is sent as the step says it. */
static enum err plain_parts(struct plan *plan, struct step *step, struct why *why)
{
    const struct script *script = step->script;
    struct http_header *headers =
        ARENA_ARRAY(plan->arena, step->headers_count + 1, struct http_header);

    if (headers == NULL)
        return arena_spent(plan->arena, "the plan", why);
    step->target = template_plain(plan, &script->target);
    step->body = template_plain(plan, &script->body);
    for (size_t i = 0; i < step->headers_count; i++)
        headers[i] =
            (struct http_header){step->headers[i].name, template_plain(plan, &script->headers[i])};
    step->headers = headers;
    bool spent = step->target.data == NULL || step->body.data == NULL;
    for (size_t i = 0; i < step->headers_count; i++)
        spent = spent || headers[i].value.data == NULL;
    return spent ? arena_spent(plan->arena, "the plan", why) : ERR_NONE;
}

enum err script_compile(struct plan *plan, struct step *step, enum template_escape body_escape,
                        struct why *why)
{
    struct script *script = step->script;

    script->headers = ARENA_ARRAY(plan->arena, step->headers_count + 1, struct template);
    if (script->headers == NULL)
        return arena_spent(plan->arena, "the plan", why);
    TRY(template_compile(plan, step->target, TEMPLATE_TARGET, &script->target, why));
    TRY(template_compile(plan, step->body, body_escape, &script->body, why));
    script->changes = script->prompt != NULL || script->target.changes || script->body.changes;
    for (size_t i = 0; i < step->headers_count; i++) {
        TRY(template_compile(plan, step->headers[i].value, TEMPLATE_PLAIN, &script->headers[i],
                             why));
        script->changes = script->changes || script->headers[i].changes;
    }
    if (!script->changes) /* "$${" is plain now. */
        return plain_parts(plan, step, why);
    return ERR_NONE;
}

void script_done(struct script *script)
{
    if (script == NULL)
        return;
    for (size_t i = 0; i < script->checks_count; i++)
        (void)finder_free(script->checks[i].finder);
    for (size_t i = 0; i < script->extracts_count; i++)
        (void)finder_free(script->extracts[i].finder);
}

bool script_status_is_good(const struct script *script, unsigned status)
{
    if (script == NULL || script->statuses_count == 0)
        return status < 400;
    for (size_t i = 0; i < script->statuses_count; i++) {
        if (status >= script->statuses[i].from && status <= script->statuses[i].to)
            return true;
    }
    return false;
}

static bool find_header(struct str head, struct str name, struct str *ret_found)
{
    while (head.data != NULL) {
        struct str value = str_split(&head, '\n');
        struct str field = str_split(&value, ':');
        if (value.data != NULL && str_eq_nocase(field, name)) {
            *ret_found = str_trim(value);
            return true;
        }
    }
    return false;
}

static bool find_json(struct str body, struct str pointer, struct buf *copy, struct str *ret_found)
{
    enum json_walk_kind kind = json_walk_find(body, pointer, ret_found);

    if (kind == JSON_WALK_END || kind == JSON_WALK_BROKEN)
        return false;
    if (kind == JSON_WALK_TEXT && str_find(*ret_found, '\\') >= 0) {
        buf_clear(copy);
        json_walk_unescape(*ret_found, copy);
        *ret_found = buf_view(copy);
    }
    return true;
}

/* copy has room for what has to be put together, and outlives what is found. */
static bool find(enum place place, struct str at, const struct finder *finder,
                 const struct answer *answer, struct buf *copy, struct str *ret_found)
{
    switch (place) {
    case PLACE_JSON:
        return find_json(answer->body, at, copy, ret_found);
    case PLACE_HEADER:
        return find_header(answer->head, at, ret_found);
    case PLACE_REGEX:
        return finder_find(finder, answer->body, ret_found);
    case PLACE_BODY:
        *ret_found = answer->body;
        return true;
    case PLACE_STATUS:
        buf_clear(copy);
        buf_printf(copy, "%u", answer->status);
        *ret_found = buf_view(copy);
        return true;
    }
    return false;
}

static bool holds(const struct check *check, const struct answer *answer,
                  const struct session *session, struct random *random)
{
    struct buf copy CLEANUP(buf_done) = {0};
    struct buf wanted CLEANUP(buf_done) = {0};
    struct str found;

    if (check->kind == CHECK_WITHIN)
        return answer->took_ns <= check->wanted_ns;
    if (!find(check->place, check->at, check->finder, answer, &copy, &found))
        return false;
    if (check->kind == CHECK_EXISTS)
        return true;
    template_write(&check->wanted, session, random, &wanted);
    return check->kind == CHECK_IS ? str_eq(found, buf_view(&wanted))
                                   : str_find_str(found, buf_view(&wanted)) >= 0;
}

enum fault script_look(const struct script *script, const struct answer *answer,
                       struct session *session, struct random *random)
{
    struct buf copy CLEANUP(buf_done) = {0};

    for (size_t i = 0; i < script->checks_count; i++) {
        if (!holds(&script->checks[i], answer, session, random))
            return FAULT_CHECK;
    }
    for (size_t i = 0; i < script->extracts_count; i++) {
        const struct extract *extract = &script->extracts[i];
        struct str found;
        if (!find(extract->place, extract->at, extract->finder, answer, &copy, &found)) {
            if (!extract->has_preset)
                return FAULT_EXTRACT;
            found = extract->preset;
        }
        session_set(session, extract->variable, found);
    }
    return FAULT_COUNT;
}
