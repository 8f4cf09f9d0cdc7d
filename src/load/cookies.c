/* SPDX-License-Identifier: Apache-2.0 */
/* A short list, searched from its front; forgotten cookies are replaced by the last. */
#include "load/cookies.h"

#include "base/clock.h"

#include <stdlib.h>

void cookies_done(struct cookies *cookies)
{
    for (size_t i = 0; cookies->items != NULL && i < COOKIES_MAX; i++) {
        buf_done(&cookies->items[i].name);
        buf_done(&cookies->items[i].value);
        buf_done(&cookies->items[i].path);
    }
    free(cookies->items);
    *cookies = (struct cookies){0};
}

void cookies_clear(struct cookies *cookies)
{
    cookies->count = 0;
}

static struct str path_of(struct str target)
{
    ptrdiff_t query = str_find(target, '?');

    return query < 0 ? target : (struct str){target.data, (size_t)query};
}

/* The folder that the target is in: what a cookie without Path holds for. */
static struct str default_path(struct str target)
{
    struct str path = path_of(target);

    while (path.size > 1 && path.data[path.size - 1] != '/')
        path.size--;
    if (path.size > 1)
        path.size--;
    return path.size == 0 || path.data[0] != '/' ? STR("/") : path;
}

static bool path_fits(struct str path, struct str target)
{
    struct str asked = path_of(target);

    if (!str_starts(asked, path))
        return false;
    return asked.size == path.size || path.data[path.size - 1] == '/' ||
           asked.data[path.size] == '/';
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" or with dashes. */
static bool has_expired(struct str date)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct str rest = date;
    uint64_t day, year;

    if (str_find(date, ',') >= 0)
        (void)str_split(&rest, ',');
    rest = str_trim(rest);
    if (rest.size < 11 || !str_to_u64((struct str){rest.data, 2}, &day))
        return false;
    ptrdiff_t month = str_find_str(str_of(months), (struct str){rest.data + 3, 3});
    if (month < 0 || month % 3 != 0 || !str_to_u64((struct str){rest.data + 7, 4}, &year) ||
        day < 1 || day > 31)
        return false;
    int64_t days = clock_days_from_civil((int64_t)year, (unsigned)month / 3 + 1, (unsigned)day);
    return (days + 1) * CLOCK_MS_PER_DAY < clock_now_ms();
}

struct attributes {
    struct str path;
    bool secure;
    bool forget;
};

static struct attributes read_attributes(struct str rest, struct str target)
{
    struct attributes attributes = {.path = default_path(target)};

    while (rest.data != NULL) {
        struct str value = str_split(&rest, ';');
        struct str name = str_trim(str_split(&value, '='));
        int64_t age;
        value = str_trim(value);
        if (str_eq_nocase(name, STR("path")) && value.size > 0 && value.data[0] == '/')
            attributes.path = value;
        else if (str_eq_nocase(name, STR("secure")))
            attributes.secure = true;
        else if (str_eq_nocase(name, STR("max-age")) && str_to_i64(value, &age))
            attributes.forget = age <= 0;
        else if (str_eq_nocase(name, STR("expires")) && has_expired(value))
            attributes.forget = true;
    }
    return attributes;
}

static struct cookie *find(struct cookies *cookies, size_t origin, struct str name, struct str path)
{
    for (size_t i = 0; i < cookies->count; i++) {
        struct cookie *cookie = &cookies->items[i];
        if (cookie->origin == origin && str_eq(buf_view(&cookie->name), name) &&
            str_eq(buf_view(&cookie->path), path))
            return cookie;
    }
    return NULL;
}

static void set(struct buf *buf, struct str value)
{
    buf_clear(buf);
    buf_str(buf, value);
}

void cookies_take(struct cookies *cookies, size_t origin, struct str target, struct str field)
{
    struct str rest = field;
    struct str value = str_split(&rest, ';');
    bool named = str_find(value, '=') >= 0;
    struct str name = str_trim(str_split(&value, '='));

    if (!named || name.size == 0 || field.size > COOKIE_BYTES_MAX)
        return;
    struct attributes attributes = read_attributes(rest, target);
    struct cookie *cookie = find(cookies, origin, name, attributes.path);
    if (attributes.forget) {
        if (cookie != NULL) {
            struct cookie last = cookies->items[--cookies->count];
            cookies->items[cookies->count] = *cookie;
            *cookie = last;
        }
        return;
    }
    if (cookies->items == NULL) {
        cookies->items = calloc(COOKIES_MAX, sizeof(*cookies->items));
        if (cookies->items == NULL)
            must_memory(COOKIES_MAX * sizeof(*cookies->items));
    }
    if (cookie == NULL) {
        if (cookies->count == COOKIES_MAX)
            return;
        cookie = &cookies->items[cookies->count++];
    }
    cookie->origin = origin;
    cookie->secure = attributes.secure;
    set(&cookie->name, name);
    set(&cookie->value, str_trim(value));
    set(&cookie->path, attributes.path);
}

void cookies_write(const struct cookies *cookies, size_t origin, bool is_secure, struct str target,
                   struct buf *out)
{
    size_t start = out->size;

    for (size_t i = 0; i < cookies->count; i++) {
        const struct cookie *cookie = &cookies->items[i];
        if (cookie->origin != origin || (cookie->secure && !is_secure) ||
            !path_fits(buf_view(&cookie->path), target))
            continue;
        if (out->size > start)
            buf_text(out, "; ");
        buf_str(out, buf_view(&cookie->name));
        buf_byte(out, '=');
        buf_str(out, buf_view(&cookie->value));
    }
}
