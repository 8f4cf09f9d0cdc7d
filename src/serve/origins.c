/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/origins.h"

#include "base/arena.h"
#include "serve/call.h"

#include <stdlib.h>

#define ORIGINS_ARENA_BYTES (64 * 1024)
#define PREFLIGHT_SECONDS   "7200" /* The most that Chromium remembers. */

struct origins {
    struct arena *arena;
    struct str *items;
    size_t count;
};

/* "https://" and what follows it. */
static bool split(struct str origin, struct str *ret_scheme, struct str *ret_host)
{
    static const struct str schemes[] = {STR("https://"), STR("http://")};

    for (size_t i = 0; i < ARRAY_COUNT(schemes); i++) {
        if (!str_starts(origin, schemes[i]))
            continue;
        *ret_scheme = schemes[i];
        *ret_host = (struct str){origin.data + schemes[i].size, origin.size - schemes[i].size};
        return ret_host->size > 0;
    }
    return false;
}

static bool is_origin(struct str item)
{
    struct str scheme, host;

    if (str_eq(item, STR("*")))
        return true;
    if (!split(item, &scheme, &host))
        return false;
    if (str_starts(host, STR("*.")))
        host = (struct str){host.data + 2, host.size - 2};
    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] <= ' ' || strchr("/*?#@\"", host.data[i]) != NULL)
            return false;
    }
    return host.size > 0;
}

enum err origins_new(const struct str *items, size_t count, struct origins **ret_origins,
                     struct why *why)
{
    struct origins *origins = calloc(1, sizeof(*origins));
    enum err err = ERR_NONE;

    if (origins == NULL)
        must_memory(sizeof(*origins));
    origins->arena = arena_new(ORIGINS_ARENA_BYTES);
    if (count > ORIGINS_MAX)
        err = fail(why, ERR_LIMIT, "at most %d origins can be given", ORIGINS_MAX);
    else
        origins->items = ARENA_ARRAY(origins->arena, count + 1, struct str);
    for (size_t i = 0; err == ERR_NONE && i < count; i++) {
        origins->items[i] = arena_str(origins->arena, items[i]);
        if (origins->items[i].data == NULL) {
            err = arena_spent(origins->arena, "the list of origins", why);
        } else if (!is_origin(items[i])) {
            err = fail(why, ERR_INVALID, "'%.*s' is no origin of a page", STR_ARG(items[i]));
            hint(why, "write https://shop.example.com, https://*.example.com or *");
        }
    }
    origins->count = count;
    *ret_origins = err == ERR_NONE ? origins : origins_free(origins);
    return err;
}

struct origins *origins_free(struct origins *origins)
{
    if (origins != NULL) {
        arena_free(origins->arena);
        free(origins);
    }
    return NULL;
}

static bool fits(struct str item, struct str origin)
{
    struct str scheme, host, item_scheme, item_host;

    if (str_eq(item, STR("*")) || str_eq_nocase(item, origin))
        return true;
    if (!split(origin, &scheme, &host) || !split(item, &item_scheme, &item_host) ||
        !str_eq(scheme, item_scheme) || !str_starts(item_host, STR("*.")))
        return false;
    struct str below = {item_host.data + 1, item_host.size - 1}; /* ".example.com" */
    return host.size > below.size &&
           str_eq_nocase((struct str){host.data + host.size - below.size, below.size}, below);
}

bool origins_allow(const struct origins *origins, struct str origin)
{
    for (size_t i = 0; origin.size > 0 && i < origins->count; i++) {
        if (fits(origins->items[i], origin))
            return true;
    }
    return false;
}

bool origins_admit(const struct origins *origins, struct call *call)
{
    struct str origin = exchange_header(call->exchange, STR("origin"));

    if (!origins_allow(origins, origin))
        return false;
    call_header(call, "Access-Control-Allow-Origin", origin);
    call_header(call, "Access-Control-Expose-Headers", STR("Retry-After"));
    call_header(call, "Vary", STR("Origin"));
    return true;
}

void origins_answer_preflight(const struct origins *origins, struct call *call)
{
    struct str wanted = exchange_header(call->exchange, STR("access-control-request-headers"));

    if (origins_admit(origins, call)) {
        call_header(call, "Access-Control-Allow-Methods", STR("POST"));
        if (wanted.size > 0)
            call_header(call, "Access-Control-Allow-Headers", wanted);
        call_header(call, "Access-Control-Max-Age", STR(PREFLIGHT_SECONDS));
    }
    call->answer.status = 204;
    call_answer(call);
}
