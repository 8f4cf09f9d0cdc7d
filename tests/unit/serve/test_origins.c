/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/origins.h"
#include "test.h"

static enum err made_of(const char *item, struct origins **ret_origins)
{
    struct str text = str_of(item);

    return origins_new(&text, 1, ret_origins, NULL);
}

static bool allows(const char *item, const char *origin)
{
    struct origins *origins = NULL;

    if (made_of(item, &origins) != ERR_NONE)
        return false;
    bool is_allowed = origins_allow(origins, str_of(origin));
    origins_free(origins);
    return is_allowed;
}

TEST(nobody_is_allowed_unless_named)
{
    struct origins *origins = NULL;

    ASSERT(origins_new(NULL, 0, &origins, NULL) == ERR_NONE);
    EXPECT(!origins_allow(origins, STR("https://shop.example.com")));
    origins_free(origins);
    EXPECT(!allows("*", "")); /* A program, not a page. */
}

TEST(an_origin_is_the_scheme_the_whole_name_and_the_port)
{
    EXPECT(allows("https://shop.example.com", "https://shop.example.com"));
    EXPECT(allows("https://shop.example.com", "https://Shop.Example.com"));
    EXPECT(!allows("https://shop.example.com", "http://shop.example.com"));
    EXPECT(!allows("https://shop.example.com", "https://shop.example.com:8443"));
    EXPECT(!allows("https://shop.example.com", "https://shop.example.com.evil.net"));
    EXPECT(allows("*", "https://anything.net"));
    EXPECT(allows("*", "null"));
}

TEST(a_star_stands_for_names_below)
{
    EXPECT(allows("https://*.example.com", "https://shop.example.com"));
    EXPECT(allows("https://*.example.com", "https://a.b.example.com"));
    EXPECT(!allows("https://*.example.com", "https://example.com"));
    EXPECT(!allows("https://*.example.com", "https://.example.com"));
    EXPECT(!allows("https://*.example.com", "https://evilexample.com"));
    EXPECT(!allows("https://*.example.com", "http://shop.example.com"));
}

TEST(what_is_no_origin_is_refused)
{
    static const char *const wrong[] = {"",          "shop.example.com", "https://",
                                        "https://*", "https://a.b/path", "https://a*.b",
                                        "ftp://a.b", "https://*.",       "https://a b"};
    struct origins *origins = NULL;

    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        EXPECT(made_of(wrong[i], &origins) == ERR_INVALID);
        EXPECT(origins == NULL);
    }
}

TEST_MAIN
