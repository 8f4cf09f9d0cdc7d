/* SPDX-License-Identifier: Apache-2.0 */
/* Paths come in the order of the table; routes of one path become its operations. "/a/:id" is
 * written "/a/{id}". Schemas are rows of schemas.def, written there with ' for ". */
#include "serve/openapi.h"
#include "serve/route.h"

#include "base/json.h"
#include "sonde_version.h"

#include <stdio.h>

struct type_row {
    const char *name;
    const char *schema; /* With ' for ". */
};

/* What parameters may be. */
static const struct type_row types[] = {
    {"string", "{'type':'string'}"},
    {"strings", "{'type':'array','items':{'type':'string'}}"},
    {"promql", "{'type':'string','maxLength':65536}"},
    {"boolean", "{'type':'string','enum':['0','1','true','false']}"},
    {"number", "{'type':'number'}"},
    {"count", "{'type':'integer','minimum':0,'maximum':1000000}"},
    {"time", "{'type':'string','description':'Seconds since 1970 with a fraction, or RFC 3339.'}"},
    {"duration", "{'type':'string','description':'Such as 15s, 1m30s, 2h; or seconds.'}"},
    {"label", "{'type':'string','pattern':'^[a-zA-Z_][a-zA-Z0-9_]*$'}"},
    {"process_order", "{'type':'string','enum':['cpu','rss','io','pid','name','threads']}"},
};

static const struct type_row schemas[] = {
#define SCHEMA(name, text) {#name, text},
#include "serve/schemas.def"
#undef SCHEMA
};

/* JSON written with single quotes, as this folder's tables do. */
static void write_quoted(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++)
        buf_byte(out, *text == '\'' ? '"' : (uint8_t)*text);
}

static void add_quoted(struct json *json, const char *text)
{
    struct buf plain = {0};

    write_quoted(&plain, text);
    json_add_raw(json, buf_view(&plain));
    buf_done(&plain);
}

static const char *type_schema(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        if (strcmp(types[i].name, name) == 0)
            return types[i].schema;
    }
    MUST(!"a parameter's type is a row of types[]");
    return NULL;
}

static void add_schema(struct json *json, const char *name)
{
    char text[128];

    json_key(json, "schema");
    if (name[0] == '\0') {
        add_quoted(json, "{'type':'string'}");
        return;
    }
    (void)snprintf(text, sizeof(text), "{'$ref':'#/components/schemas/%s'}", name);
    add_quoted(json, text);
}

static bool belongs(const struct route *route, const char *handler)
{
    return strcmp(route->name, handler) == 0;
}

static void add_parameter(struct json *json, const struct route_parameter *parameter)
{
    json_open(json, '{');
    json_put_text(json, "name", parameter->name);
    json_put_text(json, "in", parameter->in);
    json_put_bool(json, "required", parameter->required);
    json_put_text(json, "description", parameter->description);
    json_key(json, "schema");
    add_quoted(json, type_schema(parameter->type));
    json_close(json, '}');
}

/* A POST of a handler that also answers GET takes its parameters from a form as well. */
static bool takes_form(const struct route *route)
{
    bool has_get = false;

    for (size_t i = 0; i < routes_count; i++)
        has_get |= routes[i].handler == route->handler && routes[i].method == HTTP_GET;
    return has_get && route->method == HTTP_POST;
}

static void add_parameters(struct json *json, const struct route *route)
{
    json_key(json, "parameters");
    json_open(json, '[');
    for (size_t i = 0; i < route_parameters_count; i++) {
        const struct route_parameter *parameter = &route_parameters[i];
        if (belongs(route, parameter->handler) &&
            (!takes_form(route) || strcmp(parameter->in, "path") == 0))
            add_parameter(json, parameter);
    }
    json_close(json, ']');
}

static void add_form(struct json *json, const struct route *route)
{
    json_key(json, "application/x-www-form-urlencoded");
    json_open(json, '{');
    json_key(json, "schema");
    json_open(json, '{');
    json_put_text(json, "type", "object");
    json_key(json, "properties");
    json_open(json, '{');
    for (size_t i = 0; i < route_parameters_count; i++) {
        const struct route_parameter *parameter = &route_parameters[i];
        if (!belongs(route, parameter->handler) || strcmp(parameter->in, "query") != 0)
            continue;
        json_key(json, parameter->name);
        add_quoted(json, type_schema(parameter->type));
    }
    json_close(json, '}');
    json_key(json, "required");
    json_open(json, '[');
    for (size_t i = 0; i < route_parameters_count; i++) {
        if (belongs(route, route_parameters[i].handler) && route_parameters[i].required &&
            strcmp(route_parameters[i].in, "query") == 0)
            json_add_text(json, route_parameters[i].name);
    }
    json_close(json, ']');
    json_close(json, '}');
    json_close(json, '}');
}

static void add_body(struct json *json, const struct route *route)
{
    const struct route_body *first = route_body_of(route);

    if (first == NULL && !takes_form(route))
        return;
    json_key(json, "requestBody");
    json_open(json, '{');
    if (first != NULL)
        json_put_text(json, "description", first->description);
    json_put_bool(json, "required", true);
    json_key(json, "content");
    json_open(json, '{');
    if (takes_form(route))
        add_form(json, route);
    for (size_t i = 0; i < route_bodies_count; i++) {
        if (!belongs(route, route_bodies[i].handler))
            continue;
        json_key(json, route_bodies[i].media_type);
        json_open(json, '{');
        add_schema(json, route_bodies[i].schema);
        json_close(json, '}');
    }
    json_close(json, '}');
    json_close(json, '}');
}

static void add_error(struct json *json, const struct route *route)
{
    json_key(json, "default");
    json_open(json, '{');
    json_put_text(json, "description", "An error: what is wrong, and the next step.");
    json_key(json, "content");
    json_open(json, '{');
    json_key(json, "application/json");
    json_open(json, '{');
    if (route->form == FORM_JAEGER)
        add_schema(json, "JaegerAnswer");
    else
        add_schema(json, route->form == FORM_PROMETHEUS ? "AnyError" : "Error");
    json_close(json, '}');
    json_close(json, '}');
    json_close(json, '}');
}

static bool same_status(const struct route_answer *a, const struct route_answer *b)
{
    return a->status == b->status && strcmp(a->handler, b->handler) == 0;
}

/* Answers of one status stand together and differ in media type. */
static void add_answer(struct json *json, size_t first)
{
    const struct route_answer *answer = &route_answers[first];
    char status[16];

    (void)snprintf(status, sizeof(status), "%d", answer->status);
    json_key(json, status);
    json_open(json, '{');
    json_put_text(json, "description", answer->description);
    if (answer->media_type[0] != '\0') {
        json_key(json, "content");
        json_open(json, '{');
        for (size_t i = first; i < route_answers_count; i++) {
            if (!same_status(answer, &route_answers[i]))
                break;
            json_key(json, route_answers[i].media_type);
            json_open(json, '{');
            add_schema(json, route_answers[i].schema);
            json_close(json, '}');
        }
        json_close(json, '}');
    }
    json_close(json, '}');
}

static void add_answers(struct json *json, const struct route *route)
{
    json_key(json, "responses");
    json_open(json, '{');
    for (size_t i = 0; i < route_answers_count; i++) {
        if (belongs(route, route_answers[i].handler) &&
            (i == 0 || !same_status(&route_answers[i - 1], &route_answers[i])))
            add_answer(json, i);
    }
    add_error(json, route);
    json_close(json, '}');
}

static void add_operation(struct json *json, const struct route *route)
{
    char id[128];
    char method[16] = "";

    for (size_t i = 0; route->method_text[i] != '\0' && i + 1 < sizeof(method); i++)
        method[i] = (char)(route->method_text[i] | 0x20);
    (void)snprintf(id, sizeof(id), "%s_%s_%zu", method, route->name, (size_t)(route - routes));
    json_key(json, method);
    json_open(json, '{');
    json_put_text(json, "operationId", id);
    json_put_text(json, "summary", route->summary);
    json_put_text(json, "x-role", role_name(route->role));
    if (route->role == ROLE_PUBLIC) {
        json_key(json, "security");
        add_quoted(json, "[]");
    }
    add_parameters(json, route);
    add_body(json, route);
    add_answers(json, route);
    json_close(json, '}');
}

static void add_path_key(struct json *json, const char *path)
{
    struct buf key = {0};

    for (const char *at = path; *at != '\0'; at++) {
        if (*at != ':') {
            buf_byte(&key, (uint8_t)*at);
            continue;
        }
        size_t size = strcspn(at + 1, "/");
        buf_printf(&key, "{%.*s}", (int)size, at + 1);
        at += size;
    }
    json_key_str(json, buf_view(&key));
    buf_done(&key);
}

static bool is_first_of_path(size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(routes[i].path, routes[index].path) == 0)
            return false;
    }
    return true;
}

static void add_paths(struct json *json)
{
    json_key(json, "paths");
    json_open(json, '{');
    for (size_t i = 0; i < routes_count; i++) {
        if (!is_first_of_path(i))
            continue;
        add_path_key(json, routes[i].path);
        json_open(json, '{');
        for (size_t j = i; j < routes_count; j++) {
            if (strcmp(routes[j].path, routes[i].path) == 0)
                add_operation(json, &routes[j]);
        }
        json_close(json, '}');
    }
    json_close(json, '}');
}

static void add_components(struct json *json)
{
    json_key(json, "components");
    json_open(json, '{');
    json_key(json, "securitySchemes");
    add_quoted(json, "{'bearer':{'type':'http','scheme':'bearer'}}");
    json_key(json, "schemas");
    json_open(json, '{');
    for (size_t i = 0; i < ARRAY_COUNT(schemas); i++) {
        json_key(json, schemas[i].name);
        add_quoted(json, schemas[i].schema);
    }
    json_close(json, '}');
    json_close(json, '}');
}

void openapi_write(struct buf *out)
{
    struct json json = json_begin(out);

    json_open(&json, '{');
    json_put_text(&json, "openapi", "3.1.0");
    json_key(&json, "info");
    json_open(&json, '{');
    json_put_text(&json, "title", "sonde");
    json_put_text(&json, "version", SONDE_VERSION);
    json_put_text(
        &json, "description",
        "What sonde keeps about programs and machines, and how it judges it. Metric questions "
        "are Prometheus' own API; errors say what is wrong and what to do next.");
    json_key(&json, "license");
    add_quoted(&json, "{'name':'Apache-2.0','identifier':'Apache-2.0'}");
    json_close(&json, '}');
    json_key(&json, "servers");
    add_quoted(&json, "[{'url':'/'}]");
    json_key(&json, "security");
    add_quoted(&json, "[{},{'bearer':[]}]");
    add_paths(&json);
    add_components(&json);
    json_close(&json, '}');
}
