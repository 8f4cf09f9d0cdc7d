/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/auth.h"
#include "base/arena.h"
#include "io/exchange.h"

#include <stdlib.h>
#include <unistd.h>

#define AUTH_ARENA_BYTES (256 * 1024)
#define HOST_NAME_BYTES  256

struct auth {
    struct arena *arena;
    struct auth_token *tokens;
    size_t tokens_count;
    struct str *hosts;
    size_t hosts_count;
    struct str machine; /* This host's own name. */
    bool loopback_needs_token;
    bool open;
};

static const char *const role_names[] = {"public", "viewer", "writer", "admin"};

const char *role_name(enum role role)
{
    MUST((size_t)role < ARRAY_COUNT(role_names));
    return role_names[role];
}

bool role_parse(struct str name, enum role *ret_role)
{
    for (size_t i = ROLE_VIEWER; i < ARRAY_COUNT(role_names); i++) {
        if (str_eq(name, str_of(role_names[i]))) {
            *ret_role = (enum role)i;
            return true;
        }
    }
    return false;
}

static enum err check_token(const struct auth_token *token, struct why *why)
{
    if (token->token.size < AUTH_TOKEN_BYTES_MIN || token->token.size > AUTH_TOKEN_BYTES_MAX) {
        (void)fail(why, ERR_INVALID, "a token has %zu characters, it needs %d to %d",
                   token->token.size, AUTH_TOKEN_BYTES_MIN, AUTH_TOKEN_BYTES_MAX);
        hint(why, "make one with: openssl rand -hex 24");
        return ERR_INVALID;
    }
    for (size_t i = 0; i < token->token.size; i++) {
        if (token->token.data[i] <= ' ' || token->token.data[i] > '~')
            return fail(why, ERR_INVALID, "a token has a blank or unprintable character at %zu", i);
    }
    if (token->tenant.size >= BATCH_TENANT_BYTES)
        return fail(why, ERR_INVALID, "tenant name %.*s is longer than %d", STR_ARG(token->tenant),
                    BATCH_TENANT_BYTES - 1);
    return ERR_NONE;
}

static struct str machine_name(struct arena *arena)
{
    char name[HOST_NAME_BYTES] = "";

    if (gethostname(name, sizeof(name) - 1) != 0)
        return STR_NONE;
    return arena_str(arena, str_of(name));
}

enum err auth_new(const struct auth_options *options, struct auth **ret_auth, struct why *why)
{
    CLEANUP(auth_freep) struct auth *auth = calloc(1, sizeof(*auth));

    if (auth == NULL)
        must_memory(sizeof(*auth));
    if (options->tokens_count > AUTH_TOKENS_MAX || options->hosts_count > AUTH_HOSTS_MAX)
        return fail(why, ERR_LIMIT, "at most %d tokens and %d host names can be given",
                    AUTH_TOKENS_MAX, AUTH_HOSTS_MAX);
    auth->arena = arena_new(AUTH_ARENA_BYTES);
    auth->tokens = ARENA_ARRAY(auth->arena, options->tokens_count + 1, struct auth_token);
    auth->hosts = ARENA_ARRAY(auth->arena, options->hosts_count + 1, struct str);
    if (auth->tokens == NULL || auth->hosts == NULL)
        return arena_spent(auth->arena, "the list of tokens", why);
    for (size_t i = 0; i < options->tokens_count; i++) {
        TRY(check_token(&options->tokens[i], why));
        auth->tokens[i] = options->tokens[i];
        auth->tokens[i].token = arena_str(auth->arena, options->tokens[i].token);
        auth->tokens[i].tenant = arena_str(auth->arena, options->tokens[i].tenant);
        if (auth->tokens[i].token.data == NULL || auth->tokens[i].tenant.data == NULL)
            return arena_spent(auth->arena, "the list of tokens", why);
    }
    for (size_t i = 0; i < options->hosts_count; i++) {
        auth->hosts[i] = arena_str(auth->arena, options->hosts[i]);
        if (auth->hosts[i].data == NULL)
            return arena_spent(auth->arena, "the list of host names", why);
    }
    auth->tokens_count = options->tokens_count;
    auth->hosts_count = options->hosts_count;
    auth->machine = machine_name(auth->arena);
    auth->loopback_needs_token = options->loopback_needs_token;
    auth->open = options->open;
    *ret_auth = TAKE(auth);
    return ERR_NONE;
}

struct auth *auth_free(struct auth *auth)
{
    if (auth != NULL) {
        for (size_t i = 0; i < auth->tokens_count; i++)
            explicit_bzero((char *)auth->tokens[i].token.data, auth->tokens[i].token.size);
        arena_free(auth->arena);
        free(auth);
    }
    return NULL;
}

void auth_freep(struct auth **auth)
{
    *auth = auth_free(*auth);
}

/* The next word of the line, cut off its front. */
static struct str take_word(struct str *line)
{
    struct str word = {line->data, 0};

    while (word.size < line->size && line->data[word.size] != ' ' && line->data[word.size] != '\t')
        word.size++;
    *line = str_trim((struct str){line->data + word.size, line->size - word.size});
    return word;
}

static enum err read_token_line(struct str line, struct auth_token *ret_token, struct why *why)
{
    struct auth_token token = {.role = ROLE_VIEWER};

    token.token = take_word(&line);
    struct str role = take_word(&line);
    if (role.size > 0 && !role_parse(role, &token.role))
        return fail(why, ERR_INVALID, "\"%.*s\" is no role: write viewer, writer or admin",
                    STR_ARG(role));
    token.tenant = take_word(&line);
    if (line.size > 0)
        return fail(why, ERR_INVALID, "more than token, role and tenant");
    *ret_token = token;
    return check_token(&token, why);
}

enum err auth_read_tokens(struct str content, const char *name, struct arena *arena,
                          struct auth_token **ret_tokens, size_t *ret_count, struct why *why)
{
    struct auth_token *tokens = ARENA_ARRAY(arena, AUTH_TOKENS_MAX, struct auth_token);
    struct str rest = arena_str(arena, content);
    size_t count = 0;

    if (tokens == NULL || rest.data == NULL)
        return arena_spent(arena, "the list of tokens", why);
    for (int number = 1; rest.data != NULL; number++) {
        struct str line = str_split(&rest, '\n');
        ptrdiff_t comment = str_find(line, '#');
        if (comment >= 0)
            line.size = (size_t)comment;
        line = str_trim(line);
        if (line.size == 0)
            continue;
        enum err err = count == AUTH_TOKENS_MAX
                           ? fail(why, ERR_LIMIT, "more than %d tokens", AUTH_TOKENS_MAX)
                           : read_token_line(line, &tokens[count], why);
        if (err != ERR_NONE) {
            why_prefix(why, "%s:%d", name, number);
            return err;
        }
        count++;
    }
    *ret_tokens = tokens;
    *ret_count = count;
    return ERR_NONE;
}

/* "127.0.0.1:7070" is "127.0.0.1", "[::1]:7070" is "::1". */
static struct str host_of(struct str authority)
{
    if (authority.size > 0 && authority.data[0] == '[') {
        ptrdiff_t end = str_find(authority, ']');
        return end < 0 ? STR_NONE : (struct str){authority.data + 1, (size_t)end - 1};
    }
    ptrdiff_t colon = str_find(authority, ':');
    if (colon >= 0)
        authority.size = (size_t)colon;
    return authority;
}

static bool is_address(struct str host)
{
    bool has_colon = false;

    for (size_t i = 0; i < host.size; i++) {
        char at = host.data[i];
        bool is_hex = (at >= '0' && at <= '9') || ((at | 0x20) >= 'a' && (at | 0x20) <= 'f');
        has_colon |= at == ':';
        if (!is_hex && at != '.' && at != ':')
            return false;
        if (!has_colon && (at | 0x20) >= 'a')
            return false; /* "cafe.de" is a name, "fe80::1" is none. */
    }
    return host.size > 0;
}

static bool is_loopback_name(struct str host)
{
    return str_eq_nocase(host, STR("localhost")) || str_eq(host, STR("::1")) ||
           (is_address(host) && str_starts(host, STR("127.")));
}

/* Ours: an address (no name, so nothing to rebind), localhost, this machine, or as configured. */
static bool is_our_host(const struct auth *auth, struct str host)
{
    if (is_address(host) || str_eq_nocase(host, STR("localhost")) ||
        str_eq_nocase(host, auth->machine))
        return true;
    for (size_t i = 0; i < auth->hosts_count; i++) {
        if (str_eq_nocase(host, auth->hosts[i]))
            return true;
    }
    return false;
}

enum err auth_check_listen(const struct auth *auth, struct str address, struct why *why)
{
    struct str host = host_of(address);

    if (is_loopback_name(host) || auth->tokens_count > 0 || auth->open)
        return ERR_NONE;
    (void)fail(why, ERR_DENIED,
               "listening on %.*s would let everyone who reaches it read and change this daemon",
               STR_ARG(address));
    hint(why, "configure a token file (token_file), listen on 127.0.0.1, or allow it with "
              "--open-to-all");
    return ERR_DENIED;
}

/* Takes as long for a wrong token as for a right one of the same length. */
static bool same_secret(struct str a, struct str b)
{
    unsigned char difference = 0;

    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        difference |= (unsigned char)a.data[i] ^ (unsigned char)b.data[i];
    return difference == 0;
}

static void set_identity(struct identity *identity, enum role role, struct str tenant)
{
    if (tenant.size == 0)
        tenant = STR("default");
    identity->role = role;
    memcpy(identity->tenant, tenant.data, tenant.size);
    identity->tenant[tenant.size] = '\0';
}

static enum err identify_by_token(const struct auth *auth, struct str authorization,
                                  struct identity *ret_identity, struct why *why)
{
    struct str scheme = take_word(&authorization);
    const struct auth_token *found = NULL;

    if (str_eq_nocase(scheme, STR("Bearer"))) {
        for (size_t i = 0; i < auth->tokens_count; i++) {
            if (same_secret(auth->tokens[i].token, authorization))
                found = &auth->tokens[i];
        }
    }
    if (found == NULL) {
        (void)fail(why, ERR_UNAUTHENTICATED, "the token is not known here");
        hint(why, "send one of the configured tokens: \"Authorization: Bearer TOKEN\"");
        return ERR_UNAUTHENTICATED;
    }
    set_identity(ret_identity, found->role, found->tenant);
    return ERR_NONE;
}

static bool was_forwarded(const struct exchange *exchange)
{
    return exchange_header(exchange, STR("forwarded")).data != NULL ||
           exchange_header(exchange, STR("x-forwarded-for")).data != NULL ||
           exchange_header(exchange, STR("x-real-ip")).data != NULL ||
           exchange_header(exchange, STR("via")).data != NULL;
}

enum err auth_identify(const struct auth *auth, const struct exchange *exchange, enum role needed,
                       struct identity *ret_identity, struct why *why)
{
    struct str authorization = exchange_header(exchange, STR("authorization"));
    struct str host = host_of(exchange_header(exchange, STR("host")));

    set_identity(ret_identity, ROLE_PUBLIC, STR_NONE);
    if (authorization.data != NULL && auth->tokens_count > 0)
        return identify_by_token(auth, authorization, ret_identity, why);
    if (host.size > 0 && !is_our_host(auth, host) && needed != ROLE_PUBLIC) {
        (void)fail(why, ERR_DENIED, "the host name %.*s is not one of this daemon's",
                   STR_ARG(host));
        hint(why, "use localhost or an address, or add the name to hosts in the configuration");
        return ERR_DENIED;
    }
    bool is_local = exchange_peer_is_loopback(exchange) && !auth->loopback_needs_token &&
                    !was_forwarded(exchange);
    if (is_local || auth->open)
        set_identity(ret_identity, ROLE_ADMIN, STR_NONE);
    if (ret_identity->role >= needed)
        return ERR_NONE;
    (void)fail(why, ERR_UNAUTHENTICATED, "a token is needed from here");
    hint(why, "send \"Authorization: Bearer TOKEN\"; the operator keeps tokens in token_file");
    return ERR_UNAUTHENTICATED;
}

enum err auth_check_origin(const struct exchange *exchange, struct why *why)
{
    struct str origin = exchange_header(exchange, STR("origin"));
    struct str host = exchange_header(exchange, STR("host"));
    struct str authority = origin;

    if (origin.data == NULL)
        return ERR_NONE; /* No browser: nobody's cookies or nearness are being abused. */
    if (str_starts(origin, STR("http://")))
        authority = (struct str){origin.data + 7, origin.size - 7};
    else if (str_starts(origin, STR("https://")))
        authority = (struct str){origin.data + 8, origin.size - 8};
    if (authority.size > 0 && str_eq_nocase(authority, host))
        return ERR_NONE;
    (void)fail(why, ERR_DENIED, "the page at %.*s may not do this here", STR_ARG(origin));
    hint(why, "only the daemon's own dashboard, or programs that send no Origin, may");
    return ERR_DENIED;
}
