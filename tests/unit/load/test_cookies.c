/* SPDX-License-Identifier: Apache-2.0 */
#include "load/cookies.h"

#include "test.h"

static struct cookies jar;

static void take(const char *target, const char *field)
{
    cookies_take(&jar, 0, str_of(target), str_of(field));
}

static bool sends(size_t origin, bool secure, const char *target, const char *wanted)
{
    struct buf out CLEANUP(buf_done) = {0};

    cookies_write(&jar, origin, secure, str_of(target), &out);
    if (!str_eq(buf_view(&out), str_of(wanted)))
        printf("# %s\n", buf_cstr(&out));
    return str_eq(buf_view(&out), str_of(wanted));
}

TEST(cookies_go_back_to_where_they_came_from)
{
    take("/", "a=1; Path=/; HttpOnly");
    take("/shop/cart?x", "b=2");
    take("/", "c=3; Secure; Path=/");
    EXPECT(sends(0, false, "/shop/cart", "a=1; b=2"));
    EXPECT(sends(0, false, "/shop", "a=1; b=2"));
    EXPECT(sends(0, false, "/shopping", "a=1"));
    EXPECT(sends(0, true, "/?q", "a=1; c=3"));
    EXPECT(sends(1, true, "/", ""));
    cookies_done(&jar);
}

TEST(the_newest_value_counts_and_the_expired_is_forgotten)
{
    take("/", "a=1");
    take("/", "b=2");
    take("/", "a=9=9");
    EXPECT(sends(0, false, "/", "a=9=9; b=2"));
    take("/", "a=; Max-Age=0");
    EXPECT(sends(0, false, "/", "b=2"));
    take("/", "b=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
    EXPECT(sends(0, false, "/", ""));
    take("/", "b=x; Expires=Fri, 01-Jan-2100 00:00:00 GMT");
    EXPECT(sends(0, false, "/", "b=x"));
    cookies_clear(&jar);
    EXPECT(sends(0, false, "/", ""));
    cookies_done(&jar);
}

TEST(a_jar_is_bounded)
{
    char field[COOKIE_BYTES_MAX + 10];

    for (int i = 0; i < COOKIES_MAX + 10; i++) {
        (void)snprintf(field, sizeof(field), "n%d=1", i);
        take("/", field);
    }
    EXPECT(jar.count == COOKIES_MAX);
    cookies_clear(&jar);
    memset(field, 'x', sizeof(field) - 1);
    field[1] = '=';
    field[sizeof(field) - 1] = '\0';
    take("/", field);
    take("/", "=x");
    take("/", "novalue");
    EXPECT(jar.count == 0);
    cookies_done(&jar);
}

TEST_MAIN
