/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 3986 as far as a client needs it: scheme "://" [userinfo "@"] host [":" port] path. What
 * could break a request line or a Host field (spaces, control characters) is refused here, once. */
#include "load/url.h"

enum { URL_SIZE_MAX = 8192, HOST_SIZE_MAX = 253 };

static const struct {
    const char *name;
    uint16_t port;
    bool tls;
} schemes[SCHEME_COUNT] = {
    [SCHEME_HTTP] = {"http", 80, false}, [SCHEME_HTTPS] = {"https", 443, true},
    [SCHEME_WS] = {"ws", 80, false},     [SCHEME_WSS] = {"wss", 443, true},
    [SCHEME_TCP] = {"tcp", 0, false},
};

const char *scheme_name(enum scheme scheme)
{
    return schemes[scheme].name;
}

bool scheme_is_tls(enum scheme scheme)
{
    return schemes[scheme].tls;
}

static struct str skip(struct str text, size_t size)
{
    return (struct str){text.data + size, text.size - size};
}

static enum err read_scheme(struct str *rest, enum scheme *ret_scheme, struct why *why)
{
    ptrdiff_t end = str_find_str(*rest, STR("://"));

    *ret_scheme = SCHEME_HTTP;
    if (end < 0)
        return ERR_NONE;
    struct str name = {rest->data, (size_t)end};
    for (unsigned i = 0; i < SCHEME_COUNT; i++) {
        if (str_eq_nocase(name, str_of(schemes[i].name))) {
            *ret_scheme = (enum scheme)i;
            *rest = skip(*rest, (size_t)end + 3);
            return ERR_NONE;
        }
    }
    return fail(why, ERR_INVALID, "'%.*s' is none of http, https, ws, wss and tcp", STR_ARG(name));
}

/* The host and what stands behind it, ":8080" or nothing. */
static enum err read_host(struct str authority, struct url *url, struct str *ret_rest,
                          struct why *why)
{
    ptrdiff_t end;

    if (authority.size > 0 && authority.data[0] == '[') {
        end = str_find(authority, ']');
        if (end < 0)
            return fail(why, ERR_INVALID, "the address in brackets has no end");
        url->host = (struct str){authority.data + 1, (size_t)end - 1};
        *ret_rest = skip(authority, (size_t)end + 1);
    } else {
        end = str_find(authority, ':');
        url->host = (struct str){authority.data, end < 0 ? authority.size : (size_t)end};
        *ret_rest = skip(authority, url->host.size);
    }
    if (url->host.size == 0)
        return fail(why, ERR_INVALID, "the URL names no host");
    if (url->host.size > HOST_SIZE_MAX)
        return fail(why, ERR_INVALID, "the host is longer than %d bytes", HOST_SIZE_MAX);
    return ERR_NONE;
}

static enum err read_authority(struct str authority, struct url *url, struct why *why)
{
    ptrdiff_t at = -1;
    struct str rest = STR_NONE;
    uint64_t port = schemes[url->scheme].port;

    for (size_t i = 0; i < authority.size; i++) {
        if (authority.data[i] == '@')
            at = (ptrdiff_t)i;
    }
    if (at >= 0) {
        url->user_info = (struct str){authority.data, (size_t)at};
        authority = skip(authority, (size_t)at + 1);
    }
    TRY(read_host(authority, url, &rest, why));
    url->authority = authority;
    if (rest.size > 0) {
        if (rest.data[0] != ':' || !str_to_u64(skip(rest, 1), &port) || port == 0 || port > 65535)
            return fail(why, ERR_INVALID, "'%.*s' is no port", STR_ARG(rest));
        if (port == schemes[url->scheme].port)
            url->authority.size -= rest.size;
    }
    if (port == 0)
        return fail(why, ERR_INVALID, "%s:// needs a port", schemes[url->scheme].name);
    url->port = (uint16_t)port;
    return ERR_NONE;
}

enum err url_parse(struct str text, struct url *ret_url, struct why *why)
{
    struct url url = {0};
    struct str rest = text;

    if (text.size == 0)
        return fail(why, ERR_INVALID, "the URL is empty");
    if (text.size > URL_SIZE_MAX)
        return fail(why, ERR_INVALID, "the URL is longer than %d bytes", URL_SIZE_MAX);
    for (size_t i = 0; i < text.size; i++) {
        if ((uint8_t)text.data[i] <= ' ' || text.data[i] == 0x7f)
            return fail(why, ERR_INVALID,
                        "the URL holds a space or a control character; write %%%02X",
                        (uint8_t)text.data[i]);
    }
    TRY(read_scheme(&rest, &url.scheme, why));
    size_t end = 0;
    while (end < rest.size && rest.data[end] != '/' && rest.data[end] != '?' &&
           rest.data[end] != '#')
        end++;
    TRY(read_authority((struct str){rest.data, end}, &url, why));
    struct str path = skip(rest, end);
    ptrdiff_t fragment = str_find(path, '#');
    if (fragment >= 0)
        path.size = (size_t)fragment;
    url.path = path.size == 0 ? STR("/") : path;
    *ret_url = url;
    return ERR_NONE;
}
