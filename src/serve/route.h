/* SPDX-License-Identifier: Apache-2.0 */
/* route - which handler answers which method and path: the table of routes.def, made ready.
 *
 * A path's segments are literal or ":name", which takes one segment. Literal paths are found by
 * hash, the others one after the other: they are few. The table is the source of the OpenAPI
 * document too, so what is not described there does not exist. Read-only; any thread. */
#pragma once
#include "base/map.h"
#include "base/str.h"
#include "io/http.h"
#include "serve/auth.h"

struct call;

/* Every handler. */
#define ROUTE(method, path, role, form, handler, summary) void route_##handler(struct call *call);
#define PARAMETER(...)
#define BODY(...)
#define ANSWER(...)
#include "serve/routes.def"
#undef ROUTE
#undef PARAMETER
#undef BODY
#undef ANSWER

/* How errors of this route look. */
enum route_form {
    FORM_PLAIN,      /* {"error":{"code","message","hint"}} */
    FORM_PROMETHEUS, /* {"status":"error","errorType","error","hint"} */
    FORM_JAEGER,     /* {"data":null,"total":0,…,"errors":[{"code","msg"}]} */
    FORM_OTLP,       /* A google.rpc.Status in the request's content type. */
    FORM_GRPC,       /* A grpc-status. */
};

struct route_parameter {
    const char *handler;
    const char *name;
    const char *in;   /* "query" or "path". */
    const char *type; /* A row of the types in openapi.c. */
    bool required;
    const char *description;
};

struct route_body {
    const char *handler;
    const char *media_type;
    const char *schema; /* A row of schemas.def, or "": bytes as the media type says. */
    bool is_raw;        /* Content-Encoding is the handler's business. */
    bool is_large;      /* May be as large as the server allows, not just ROUTE_BODY_BYTES. */
    const char *description;
};

struct route_answer {
    const char *handler;
    int status;
    const char *media_type; /* "": no body. */
    const char *schema;
    const char *description;
};

struct route {
    enum http_method method;
    const char *method_text;
    const char *path;
    enum role role;
    enum route_form form;
    const char *name; /* Of the handler: what ties parameters, bodies and answers to it. */
    void (*handler)(struct call *call);
    const char *summary;
};

#define ROUTE_BODY_BYTES   ((size_t)1 << 20)
#define ROUTE_CAPTURES_MAX 2
#define ROUTE_COUNT_MAX    128

extern const struct route routes[];
extern const size_t routes_count;
extern const struct route_parameter route_parameters[];
extern const size_t route_parameters_count;
extern const struct route_body route_bodies[];
extern const size_t route_bodies_count;
extern const struct route_answer route_answers[];
extern const size_t route_answers_count;

struct router {
    struct map literal; /* Path to the first route of it in next_of_path's chains. */
    uint8_t
        next_of_path[ROUTE_COUNT_MAX]; /* 1 + index of the next route of the same path; 0: end. */
    uint8_t patterns[ROUTE_COUNT_MAX]; /* First routes of the paths with captures. */
    size_t patterns_count;
};

struct route_match {
    const struct route *route; /* NULL: no such path, or no such method on it. */
    bool path_exists;
    char allow[64]; /* "GET, HEAD, OPTIONS" when path_exists. */
    struct str captures[ROUTE_CAPTURES_MAX];
    size_t captures_count;
};

void router_init(struct router *router);
void router_done(struct router *router);

/* HEAD finds the route of GET. */
void router_find(const struct router *router, enum http_method method, struct str path,
                 struct route_match *ret_match);

/* The first body row of the handler that is_raw or is_large may be asked of; NULL: takes none. */
const struct route_body *route_body_of(const struct route *route);
