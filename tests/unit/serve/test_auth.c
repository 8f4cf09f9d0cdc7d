/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "serve/auth.h"
#include "test.h"

#define SECRET STR("0123456789abcdef0123")

static enum err listen_at(const struct auth_options *options, const char *address)
{
    CLEANUP(auth_freep) struct auth *auth = NULL;

    if (auth_new(options, &auth, NULL) != ERR_NONE)
        return ERR_INTERNAL;
    return auth_check_listen(auth, str_of(address), NULL);
}

TEST(loopback_needs_no_token)
{
    const struct auth_options options = {0};

    EXPECT(listen_at(&options, "127.0.0.1:7070") == ERR_NONE);
    EXPECT(listen_at(&options, "127.1.2.3:7070") == ERR_NONE);
    EXPECT(listen_at(&options, "[::1]:7070") == ERR_NONE);
    EXPECT(listen_at(&options, "localhost:7070") == ERR_NONE);
}

TEST(beyond_loopback_needs_a_token_or_a_word)
{
    const struct auth_token token = {.token = SECRET, .role = ROLE_VIEWER};
    const struct auth_options nothing = {0};
    const struct auth_options with_token = {.tokens = &token, .tokens_count = 1};
    const struct auth_options open = {.open = true};
    static const char *const addresses[] = {"0.0.0.0:7070", ":7070", "[::]:7070", "192.0.2.1:7070",
                                            "127.0.0.1.example:7070"};

    for (size_t i = 0; i < ARRAY_COUNT(addresses); i++) {
        EXPECT(listen_at(&nothing, addresses[i]) == ERR_DENIED);
        EXPECT(listen_at(&with_token, addresses[i]) == ERR_NONE);
        EXPECT(listen_at(&open, addresses[i]) == ERR_NONE);
    }
}

TEST(short_and_blank_tokens_are_refused)
{
    struct auth *auth = NULL;
    const struct auth_token tokens[] = {
        {.token = STR("short")},
        {.token = STR("0123456789 abcdef0123")},
        {.token = STR("0123456789\nabcdef0123")},
    };

    for (size_t i = 0; i < ARRAY_COUNT(tokens); i++) {
        const struct auth_options options = {.tokens = &tokens[i], .tokens_count = 1};
        EXPECT(auth_new(&options, &auth, NULL) == ERR_INVALID);
    }
}

TEST(a_token_file_has_roles_tenants_and_comments)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    struct auth_token *tokens;
    size_t count;

    ASSERT(auth_read_tokens(STR("# who may what\n"
                                "0123456789abcdef-a\n"
                                "  0123456789abcdef-b \t writer   # pushes\r\n"
                                "\n"
                                "0123456789abcdef-c admin shop"),
                            "tokens", arena, &tokens, &count, NULL) == ERR_NONE);
    ASSERT(count == 3);
    EXPECT(tokens[0].role == ROLE_VIEWER && tokens[0].tenant.size == 0);
    EXPECT(tokens[1].role == ROLE_WRITER && str_eq(tokens[1].token, STR("0123456789abcdef-b")));
    EXPECT(tokens[2].role == ROLE_ADMIN && str_eq(tokens[2].tenant, STR("shop")));
}

TEST(a_wrong_line_of_a_token_file_is_named)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    struct auth_token *tokens;
    size_t count;
    static const char *const files[] = {
        "# fine\n0123456789abcdef king\n",
        "# fine\n0123\n",
        "# fine\n0123456789abcdef admin shop more\n",
    };

    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        struct why why = WHY_INIT;
        EXPECT(auth_read_tokens(str_of(files[i]), "tokens", arena, &tokens, &count, &why) ==
               ERR_INVALID);
        EXPECT(strncmp(why.text, "tokens:2: ", 10) == 0);
        EXPECT(strstr(why.text, "0123456789abcdef") == NULL);
    }
}

TEST(roles_have_names)
{
    enum role role;

    EXPECT(role_parse(STR("writer"), &role) && role == ROLE_WRITER);
    EXPECT(!role_parse(STR("public"), &role));
    EXPECT(!role_parse(STR(""), &role));
    EXPECT_TEXT(role_name(ROLE_ADMIN), "admin");
}

TEST_MAIN
