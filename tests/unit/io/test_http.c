/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "io/http.h"

static struct arena *arena;

__attribute__((constructor)) static void open_arena(void)
{
    arena = arena_new(1 << 20);
}

__attribute__((destructor)) static void close_arena(void)
{
    arena_free(arena);
}

static bool decodes(const char *text, bool plus_is_space, const char *wanted)
{
    struct str decoded;
    struct why why = WHY_INIT;

    if (http_percent_decode(str_of(text), plus_is_space, arena, &decoded, &why) != ERR_NONE)
        return wanted == NULL;
    return wanted != NULL && str_eq(decoded, str_of(wanted));
}

TEST(percent_escapes_are_decoded)
{
    EXPECT(decodes("plain", false, "plain"));
    EXPECT(decodes("", false, ""));
    EXPECT(decodes("a%20b%2Fc%e2%82%ac", false, "a b/c\xe2\x82\xac"));
    EXPECT(decodes("a+b", false, "a+b"));
    EXPECT(decodes("a+b%2B", true, "a b+"));
    EXPECT(decodes("%", false, NULL));
    EXPECT(decodes("%4", false, NULL));
    EXPECT(decodes("a%4", false, NULL));
    EXPECT(decodes("%zz", false, NULL));
    EXPECT(decodes("%4z", false, NULL));
    EXPECT(decodes("%00", false, NULL));
}

static bool splits(const char *target, const char *path, const char *query)
{
    struct str got_path, got_query;
    struct why why = WHY_INIT;

    if (http_target_split(str_of(target), arena, &got_path, &got_query, &why) != ERR_NONE)
        return path == NULL;
    return path != NULL && str_eq(got_path, str_of(path)) &&
           (query == NULL ? got_query.data == NULL : str_eq(got_query, str_of(query)));
}

TEST(targets_are_cut_into_path_and_query)
{
    EXPECT(splits("/", "/", NULL));
    EXPECT(splits("/a%20b/c?x=%20", "/a b/c", "x=%20"));
    EXPECT(splits("/a?", "/a", ""));
    EXPECT(splits("/a?b?c", "/a", "b?c"));
    EXPECT(splits("*", "*", NULL));
    EXPECT(splits("http://host:80/a?b", "/a", "b"));
    EXPECT(splits("HTTP://host", "/", NULL));
    EXPECT(splits("/a//b", "/a//b", NULL));
    EXPECT(splits("/...", "/...", NULL));
    EXPECT(splits("/.well-known/x", "/.well-known/x", NULL));
}

TEST(targets_that_mean_another_place_are_refused)
{
    static const char *const rows[] = {
        "",           "a",     "a/b",         "/..",    "/../a",       "/a/../b",      "/a/.",
        "/./a",       "/%2e",  "/a/%2e%2E/b", "/a%2fb", "/a%2F..%2Fb", "/a\\b",        "/a%5cb",
        "/a%0ab",     "/a%7f", "/a%00",       "/a#b",   "/a%",         "ftp://host/a", "host:443",
        "/%c0%ae%zz",
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!splits(rows[i], NULL, NULL))
            printf("# row %zu passed: %s\n", i, rows[i]);
        EXPECT(splits(rows[i], NULL, NULL));
    }
}

TEST(parameters_are_decoded_in_order)
{
    struct http_header *params;
    struct why why = WHY_INIT;
    size_t count;

    ASSERT(http_params_parse(STR("query=up%7Ba%3D%22b%22%7D&match%5B%5D=x&match[]=y&&flag&e="), 10,
                             arena, &params, &count, &why) == ERR_NONE);
    ASSERT(count == 5);
    EXPECT(str_eq(params[0].name, STR("query")));
    EXPECT(str_eq(params[0].value, STR("up{a=\"b\"}")));
    EXPECT(str_eq(params[1].name, STR("match[]")));
    EXPECT(str_eq(params[2].name, STR("match[]")));
    EXPECT(str_eq(params[2].value, STR("y")));
    EXPECT(str_eq(params[3].name, STR("flag")));
    EXPECT(params[3].value.size == 0);
    EXPECT(params[4].value.size == 0);
    EXPECT(http_params_parse(STR_NONE, 10, arena, &params, &count, &why) == ERR_NONE);
    EXPECT(count == 0);
    EXPECT(http_params_parse(STR("a&b&c"), 2, arena, &params, &count, &why) == ERR_LIMIT);
    EXPECT(http_params_parse(STR("a=%x"), 2, arena, &params, &count, &why) == ERR_INVALID);
}

TEST(dates_read_as_rfc_9110_writes_them)
{
    char text[HTTP_DATE_SIZE];

    http_date(text, 784111777);
    EXPECT_TEXT(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    http_date(text, 0);
    EXPECT_TEXT(text, "Thu, 01 Jan 1970 00:00:00 GMT");
    http_date(text, 951782399);
    EXPECT_TEXT(text, "Mon, 28 Feb 2000 23:59:59 GMT");
    http_date(text, 951782400);
    EXPECT_TEXT(text, "Tue, 29 Feb 2000 00:00:00 GMT");
}

TEST(accept_encoding_is_heeded)
{
    struct str gzip = STR("gzip");

    EXPECT(http_accepts_coding(STR("gzip, deflate, br"), gzip));
    EXPECT(http_accepts_coding(STR("br;q=1.0, GZIP;q=0.8, *;q=0.1"), gzip));
    EXPECT(http_accepts_coding(STR("*"), gzip));
    EXPECT(!http_accepts_coding(STR("gzip;q=0"), gzip));
    EXPECT(!http_accepts_coding(STR("gzip; q=0.000, *"), gzip));
    EXPECT(!http_accepts_coding(STR("*;q=0"), gzip));
    EXPECT(!http_accepts_coding(STR("identity"), gzip));
    EXPECT(!http_accepts_coding(STR_NONE, gzip));
    EXPECT(!http_accepts_coding(STR("xgzip"), gzip));
}

TEST(etags_are_compared_weakly)
{
    EXPECT(http_etag_matches(STR("\"a\""), STR("\"a\"")));
    EXPECT(http_etag_matches(STR("W/\"a\""), STR("\"a\"")));
    EXPECT(http_etag_matches(STR("\"x\", W/\"a\""), STR("W/\"a\"")));
    EXPECT(http_etag_matches(STR("*"), STR("\"a\"")));
    EXPECT(!http_etag_matches(STR("\"b\""), STR("\"a\"")));
    EXPECT(!http_etag_matches(STR_NONE, STR("\"a\"")));
    EXPECT(!http_etag_matches(STR("*"), STR_NONE));
}

TEST(media_types_are_told_apart)
{
    EXPECT(http_media_type_is_text(STR("text/html; charset=utf-8")));
    EXPECT(http_media_type_is_text(STR("application/json")));
    EXPECT(http_media_type_is_text(STR("application/problem+json")));
    EXPECT(http_media_type_is_text(STR("image/svg+xml")));
    EXPECT(!http_media_type_is_text(STR("image/png")));
    EXPECT(!http_media_type_is_text(STR("application/octet-stream")));
    EXPECT(!http_media_type_is_text(STR_NONE));
    EXPECT(http_media_type_is(STR("Application/JSON ; x=y"), STR("application/json")));
}

TEST(names_and_values_that_would_break_a_message_are_known)
{
    EXPECT(http_is_token(STR("Content-Type")));
    EXPECT(!http_is_token(STR("")));
    EXPECT(!http_is_token(STR("a b")));
    EXPECT(!http_is_token(STR("a:b")));
    EXPECT(http_is_field_value(STR("anything\tgoes \xc3\xa9")));
    EXPECT(!http_is_field_value(STR("a\r\nSet-Cookie: b")));
    EXPECT(!http_is_field_value(STR("a\nb")));
}

TEST(methods_and_reasons_have_their_names)
{
    EXPECT(http_method_of(STR("GET")) == HTTP_GET);
    EXPECT(http_method_of(STR("get")) == HTTP_METHOD_OTHER);
    EXPECT(http_method_of(STR("TRACE")) == HTTP_TRACE);
    EXPECT_TEXT(http_reason(404), "Not Found");
    EXPECT_TEXT(http_reason(299), "");
}

TEST_MAIN
