/* SPDX-License-Identifier: Apache-2.0 */
/* The router: routes of one path are chained in the order of the table; a literal path is found in
 * a map, a path with captures by comparing segments. */
#include "serve/route.h"

#include <assert.h>
#include <stdio.h>

const struct route routes[] = {
#define ROUTE(method, path, role, form, handler, summary) \
    {HTTP_##method, #method, path, ROLE_##role, FORM_##form, #handler, route_##handler, summary},
#define PARAMETER(...)
#define BODY(...)
#define ANSWER(...)
#include "serve/routes.def"
#undef ROUTE
#undef PARAMETER
};
const size_t routes_count = ARRAY_COUNT(routes);
static_assert(ARRAY_COUNT(routes) <= ROUTE_COUNT_MAX, "a route's index fits its chain");

const struct route_parameter route_parameters[] = {
#define ROUTE(...)
#define PARAMETER(handler, name, in, type, required, description) \
    {#handler, #name, #in, #type, required, description},
#include "serve/routes.def"
#undef PARAMETER
#undef BODY
};
const size_t route_parameters_count = ARRAY_COUNT(route_parameters);

const struct route_body route_bodies[] = {
#define PARAMETER(...)
#define BODY(handler, media_type, schema, is_raw, is_large, description) \
    {#handler, media_type, #schema, is_raw, is_large, description},
#include "serve/routes.def"
#undef BODY
#undef ANSWER
};
const size_t route_bodies_count = ARRAY_COUNT(route_bodies);

const struct route_answer route_answers[] = {
#define BODY(...)
#define ANSWER(handler, status, media_type, schema, description) \
    {#handler, status, media_type, #schema, description},
#include "serve/routes.def"
#undef ROUTE
#undef PARAMETER
#undef BODY
#undef ANSWER
};
const size_t route_answers_count = ARRAY_COUNT(route_answers);

static bool has_captures(const char *path)
{
    return strchr(path, ':') != NULL;
}

/* The first route of the table with the same path; its index names the chain. */
static size_t first_of_path(size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(routes[i].path, routes[index].path) == 0)
            return i;
    }
    return index;
}

void router_init(struct router *router)
{
    *router = (struct router){0};
    for (size_t i = 0; i < routes_count; i++) {
        size_t first = first_of_path(i);
        if (first != i) {
            size_t last = first;
            while (router->next_of_path[last] != 0)
                last = router->next_of_path[last] - 1u;
            router->next_of_path[last] = (uint8_t)(i + 1);
        } else if (has_captures(routes[i].path)) {
            router->patterns[router->patterns_count++] = (uint8_t)i;
        } else {
            map_put(&router->literal, str_of(routes[i].path), (void *)&routes[i]);
        }
    }
}

void router_done(struct router *router)
{
    map_done(&router->literal);
}

/* Compares segment by segment; a ":name" takes a whole one that is not empty. */
static bool pattern_matches(const char *pattern_text, struct str path, struct route_match *match)
{
    struct str pattern = str_of(pattern_text);

    match->captures_count = 0;
    while (pattern.data != NULL && path.data != NULL) {
        struct str wanted = str_split(&pattern, '/');
        struct str segment = str_split(&path, '/');
        if (wanted.size > 0 && wanted.data[0] == ':') {
            if (segment.size == 0 || match->captures_count == ROUTE_CAPTURES_MAX)
                return false;
            match->captures[match->captures_count++] = segment;
        } else if (!str_eq(wanted, segment)) {
            return false;
        }
    }
    return pattern.data == NULL && path.data == NULL;
}

static void add_allowed(char *allow, size_t size, const char *method)
{
    size_t used = strlen(allow);

    (void)snprintf(allow + used, size - used, "%s%s", used > 0 ? ", " : "", method);
}

static void match_method(const struct router *router, size_t first, enum http_method method,
                         struct route_match *match)
{
    size_t next = first + 1;

    match->path_exists = true;
    while (next != 0) {
        const struct route *route = &routes[next - 1];
        if (route->method == method || (method == HTTP_HEAD && route->method == HTTP_GET))
            match->route = route;
        add_allowed(match->allow, sizeof(match->allow), route->method_text);
        if (route->method == HTTP_GET)
            add_allowed(match->allow, sizeof(match->allow), "HEAD");
        next = router->next_of_path[next - 1];
    }
    add_allowed(match->allow, sizeof(match->allow), "OPTIONS");
}

void router_find(const struct router *router, enum http_method method, struct str path,
                 struct route_match *ret_match)
{
    const struct route *found = map_get(&router->literal, path);

    *ret_match = (struct route_match){0};
    if (found != NULL) {
        match_method(router, (size_t)(found - routes), method, ret_match);
        return;
    }
    for (size_t i = 0; i < router->patterns_count; i++) {
        if (pattern_matches(routes[router->patterns[i]].path, path, ret_match)) {
            match_method(router, router->patterns[i], method, ret_match);
            return;
        }
    }
}

const struct route_body *route_body_of(const struct route *route)
{
    for (size_t i = 0; i < route_bodies_count; i++) {
        if (route->method != HTTP_GET && strcmp(route_bodies[i].handler, route->name) == 0)
            return &route_bodies[i];
    }
    return NULL;
}
