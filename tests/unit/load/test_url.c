/* SPDX-License-Identifier: Apache-2.0 */
#include "load/url.h"

#include "load/plan.h"
#include "test.h"

TEST(urls_are_cut_where_they_should_be)
{
    static const struct {
        const char *text;
        enum scheme scheme;
        const char *host;
        uint16_t port;
        const char *authority;
        const char *path;
    } rows[] = {
        {"http://a.example/", SCHEME_HTTP, "a.example", 80, "a.example", "/"},
        {"https://a.example", SCHEME_HTTPS, "a.example", 443, "a.example", "/"},
        {"http://a:8080/x?y=z#part", SCHEME_HTTP, "a", 8080, "a:8080", "/x?y=z"},
        {"HTTPS://a:443/x", SCHEME_HTTPS, "a", 443, "a", "/x"},
        {"a:81", SCHEME_HTTP, "a", 81, "a:81", "/"},
        {"http://[::1]:9/", SCHEME_HTTP, "::1", 9, "[::1]:9", "/"},
        {"http://user:pw@h/p@q", SCHEME_HTTP, "h", 80, "h", "/p@q"},
        {"http://h?q=1", SCHEME_HTTP, "h", 80, "h", "?q=1"},
        {"tcp://h:7", SCHEME_TCP, "h", 7, "h:7", "/"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct url url;
        ASSERT(url_parse(str_of(rows[i].text), &url, NULL) == ERR_NONE);
        EXPECT(url.scheme == rows[i].scheme);
        EXPECT(str_eq(url.host, str_of(rows[i].host)));
        EXPECT(url.port == rows[i].port);
        EXPECT(str_eq(url.authority, str_of(rows[i].authority)));
        EXPECT(str_eq(url.path, str_of(rows[i].path)));
    }
}

TEST(what_could_break_a_request_is_refused)
{
    static const char *const texts[] = {"",
                                        "ftp://a/",
                                        "http:///x",
                                        "http://a:0/",
                                        "http://a:70000/",
                                        "http://[::1/",
                                        "http://a/ b",
                                        "http://a/\r\nX: y",
                                        "tcp://h",
                                        "http://a:x/"};
    struct url url;

    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        EXPECT(url_parse(str_of(texts[i]), &url, NULL) == ERR_INVALID);
}

TEST(think_times_read_as_people_write_them)
{
    struct think_time think;

    ASSERT(think_parse(STR("1500ms"), &think, NULL) == ERR_NONE);
    EXPECT(think.kind == THINK_CONSTANT && think.a_ns == 1.5e9);
    ASSERT(think_parse(STR("uniform(1s, 3s)"), &think, NULL) == ERR_NONE);
    EXPECT(think.kind == THINK_UNIFORM && think.a_ns == 1e9 && think.b_ns == 3e9);
    ASSERT(think_parse(STR("exponential(2s)"), &think, NULL) == ERR_NONE);
    EXPECT(think.kind == THINK_EXPONENTIAL && think.a_ns == 2e9);
    ASSERT(think_parse(STR("lognormal(1s, 0.5)"), &think, NULL) == ERR_NONE);
    EXPECT(think.kind == THINK_LOGNORMAL && think.b_ns == 0.5);
    EXPECT(think_parse(STR("uniform(3s, 1s)"), &think, NULL) == ERR_INVALID);
    EXPECT(think_parse(STR("uniform(3s)"), &think, NULL) == ERR_INVALID);
    EXPECT(think_parse(STR("soon"), &think, NULL) == ERR_INVALID);
    EXPECT(think_parse(STR("lognormal(1s, 0.5"), &think, NULL) == ERR_INVALID);
}

TEST_MAIN
