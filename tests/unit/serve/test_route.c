/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "codec/json_tree.h"
#include "serve/openapi.h"
#include "serve/route.h"
#include "test.h"

static struct route_match match(enum http_method method, const char *path)
{
    struct router router;
    struct route_match found;

    router_init(&router);
    router_find(&router, method, str_of(path), &found);
    router_done(&router);
    return found;
}

TEST(a_literal_path_finds_its_route_by_method)
{
    struct route_match get = match(HTTP_GET, "/api/v1/query");
    struct route_match post = match(HTTP_POST, "/api/v1/query");

    ASSERT(get.route != NULL && post.route != NULL);
    EXPECT(get.route->method == HTTP_GET && post.route->method == HTTP_POST);
    EXPECT(get.route->handler == post.route->handler);
}

TEST(head_is_answered_by_get)
{
    struct route_match found = match(HTTP_HEAD, "/healthz");

    ASSERT(found.route != NULL);
    EXPECT(found.route->method == HTTP_GET);
}

TEST(a_wrong_method_is_told_the_right_ones)
{
    struct route_match found = match(HTTP_DELETE, "/api/v1/query");

    EXPECT(found.route == NULL && found.path_exists);
    EXPECT_TEXT(found.allow, "GET, HEAD, POST, OPTIONS");
}

TEST(a_segment_of_the_path_is_captured)
{
    struct route_match found = match(HTTP_GET, "/api/v1/label/job/values");

    ASSERT(found.route != NULL && found.captures_count == 1);
    EXPECT(str_eq(found.captures[0], STR("job")));
}

TEST(a_capture_takes_one_whole_segment)
{
    EXPECT(!match(HTTP_GET, "/api/v1/label//values").path_exists);
    EXPECT(!match(HTTP_GET, "/api/v1/label/a/b/values").path_exists);
    EXPECT(!match(HTTP_GET, "/api/v1/label/a").path_exists);
    EXPECT(!match(HTTP_GET, "/api/v1/label/a/values/").path_exists);
}

TEST(an_unknown_path_is_unknown)
{
    EXPECT(!match(HTTP_GET, "/api/v1/nonsense").path_exists);
    EXPECT(!match(HTTP_GET, "").path_exists);
    EXPECT(!match(HTTP_GET, "*").path_exists);
}

static bool has_route(const char *handler)
{
    for (size_t i = 0; i < routes_count; i++) {
        if (strcmp(routes[i].name, handler) == 0)
            return true;
    }
    return false;
}

TEST(every_row_belongs_to_a_route)
{
    for (size_t i = 0; i < route_parameters_count; i++)
        EXPECT(has_route(route_parameters[i].handler));
    for (size_t i = 0; i < route_bodies_count; i++)
        EXPECT(has_route(route_bodies[i].handler));
    for (size_t i = 0; i < route_answers_count; i++)
        EXPECT(has_route(route_answers[i].handler));
}

TEST(no_method_of_a_path_is_given_twice)
{
    for (size_t i = 0; i < routes_count; i++) {
        for (size_t j = 0; j < i; j++)
            EXPECT(strcmp(routes[i].path, routes[j].path) != 0 ||
                   routes[i].method != routes[j].method);
    }
}

TEST(every_captured_name_is_a_described_parameter)
{
    for (size_t i = 0; i < routes_count; i++) {
        const char *colon = strchr(routes[i].path, ':');
        bool is_described = colon == NULL;
        for (size_t j = 0; j < route_parameters_count && !is_described; j++) {
            const struct route_parameter *parameter = &route_parameters[j];
            is_described = strcmp(parameter->handler, routes[i].name) == 0 &&
                           strcmp(parameter->in, "path") == 0 && parameter->required &&
                           strncmp(parameter->name, colon + 1, strlen(parameter->name)) == 0;
        }
        EXPECT(is_described);
    }
}

TEST(what_changes_something_needs_a_role_that_may)
{
    for (size_t i = 0; i < routes_count; i++) {
        bool is_question = routes[i].method == HTTP_GET || routes[i].role == ROLE_VIEWER;
        EXPECT(is_question || routes[i].role >= ROLE_WRITER);
    }
}

TEST(the_openapi_document_is_json_and_names_every_path)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new((size_t)16 << 20);
    struct why why = WHY_INIT;
    const struct node *root;
    struct buf out = {0};

    openapi_write(&out);
    enum err err = json_read(buf_view(&out), "openapi", out.size, arena, &root, &why);
    if (err != ERR_NONE)
        printf("# %s\n", why.text);
    ASSERT(err == ERR_NONE);
    const struct node *paths = node_get(root, "paths");
    ASSERT(paths != NULL);
    EXPECT(node_get(paths, "/api/v1/query") != NULL);
    EXPECT(node_get(paths, "/api/v1/label/{name}/values") != NULL);
    const struct node *query = node_get(node_get(paths, "/api/v1/query"), "get");
    EXPECT(node_get(query, "summary") != NULL && node_get(query, "responses") != NULL);
    buf_done(&out);
}

TEST_MAIN
