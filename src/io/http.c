/* SPDX-License-Identifier: Apache-2.0 */
#include "io/http.h"

#include "base/clock.h"

/* ---- Words. ---- */

enum http_method http_method_of(struct str text)
{
    static const struct {
        struct str text;
        enum http_method method;
    } rows[] = {
        {{"GET", 3}, HTTP_GET},         {{"HEAD", 4}, HTTP_HEAD},
        {{"POST", 4}, HTTP_POST},       {{"PUT", 3}, HTTP_PUT},
        {{"PATCH", 5}, HTTP_PATCH},     {{"DELETE", 6}, HTTP_DELETE},
        {{"OPTIONS", 7}, HTTP_OPTIONS}, {{"CONNECT", 7}, HTTP_CONNECT},
        {{"TRACE", 5}, HTTP_TRACE},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (str_eq(text, rows[i].text))
            return rows[i].method;
    }
    return HTTP_METHOD_OTHER;
}

const char *http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } rows[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].status == status)
            return rows[i].reason;
    }
    return "";
}

static void put_two(char *text, unsigned number)
{
    text[0] = (char)('0' + number / 10 % 10);
    text[1] = (char)('0' + number % 10);
}

void http_date(char text[HTTP_DATE_SIZE], int64_t unix_seconds)
{
    static const char weekdays[] = "ThuFriSatSunMonTueWed"; /* 1970 began on a Thursday. */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const int64_t seconds_per_day = 86400;
    int64_t days = unix_seconds / seconds_per_day;
    int64_t second = unix_seconds % seconds_per_day;
    int64_t year;
    unsigned month, day;

    if (second < 0) {
        second += seconds_per_day;
        days--;
    }
    clock_civil_from_days(days, &year, &month, &day);
    memcpy(text, "Thu, 01 Jan 1970 00:00:00 GMT", HTTP_DATE_SIZE);
    memcpy(text, weekdays + 3 * (((days % 7) + 7) % 7), 3);
    put_two(text + 5, day);
    memcpy(text + 8, months + 3 * (month - 1), 3);
    put_two(text + 12, (unsigned)(year / 100));
    put_two(text + 14, (unsigned)(year % 100));
    put_two(text + 17, (unsigned)(second / 3600));
    put_two(text + 20, (unsigned)(second / 60 % 60));
    put_two(text + 23, (unsigned)(second % 60));
}

/* ---- Heads. ---- */

struct str http_head_get(const struct http_head *head, struct str name)
{
    for (size_t i = 0; i < head->fields_count; i++) {
        if (head->names[i].size == name.size &&
            str_eq_nocase(http_span_str(head, head->names[i]), name))
            return http_span_str(head, head->values[i]);
    }
    return STR_NONE;
}

static bool list_has_token(struct str list, struct str token)
{
    while (list.data != NULL) {
        if (str_eq_nocase(str_trim(str_split(&list, ',')), token))
            return true;
    }
    return false;
}

bool http_head_has_token(const struct http_head *head, struct str name, struct str token)
{
    for (size_t i = 0; i < head->fields_count; i++) {
        if (head->names[i].size == name.size &&
            str_eq_nocase(http_span_str(head, head->names[i]), name) &&
            list_has_token(http_span_str(head, head->values[i]), token))
            return true;
    }
    return false;
}

/* ---- Targets and parameters. ---- */

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte = (char)(byte | 0x20);
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static bool needs_decoding(struct str text, bool plus_is_space)
{
    return text.size > 0 && (memchr(text.data, '%', text.size) != NULL ||
                             (plus_is_space && memchr(text.data, '+', text.size) != NULL));
}

enum err http_percent_decode(struct str text, bool plus_is_space, struct arena *arena,
                             struct str *ret_text, struct why *why)
{
    size_t used = 0;

    if (!needs_decoding(text, plus_is_space)) {
        *ret_text = text;
        return ERR_NONE;
    }
    char *decoded = arena_alloc(arena, text.size + 1);
    if (decoded == NULL)
        return arena_spent(arena, "decoding the URL", why);
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '%') {
            int high = i + 2 < text.size ? hex_digit(text.data[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text.data[i + 2]) : -1;
            if (low < 0)
                return fail_at(why, ERR_INVALID, (int32_t)i,
                               "'%%' in a URL must be followed by two hexadecimal digits");
            byte = (char)(high * 16 + low);
            if (byte == '\0')
                return fail_at(why, ERR_INVALID, (int32_t)i, "a URL may not hold %%00");
            i += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        decoded[used++] = byte;
    }
    *ret_text = (struct str){decoded, used};
    return ERR_NONE;
}

/* Dot segments, doubled meanings and control characters. */
static enum err check_path(struct str raw, struct str path, struct why *why)
{
    struct str rest = path;

    while (rest.data != NULL) {
        struct str segment = str_split(&rest, '/');
        if (str_eq(segment, STR(".")) || str_eq(segment, STR("..")))
            return fail(why, ERR_INVALID, "the path may not hold the segments '.' and '..'");
    }
    for (size_t i = 0; i < path.size; i++) {
        if ((uint8_t)path.data[i] < 0x20 || path.data[i] == 0x7f || path.data[i] == '\\')
            return fail(why, ERR_INVALID,
                        "the path may not hold control characters or backslashes");
    }
    if (path.data != raw.data &&
        (str_find_str(raw, STR("%2f")) >= 0 || str_find_str(raw, STR("%2F")) >= 0))
        return fail(why, ERR_INVALID, "the path may not hold an encoded slash");
    return ERR_NONE;
}

/* "http://host/path" becomes "/path". */
static struct str without_origin(struct str target)
{
    static const struct str schemes[] = {{"http://", 7}, {"https://", 8}};

    for (size_t i = 0; i < ARRAY_COUNT(schemes); i++) {
        struct str scheme = schemes[i];
        if (target.size <= scheme.size ||
            !str_eq_nocase((struct str){target.data, scheme.size}, scheme))
            continue;
        const char *host = target.data + scheme.size;
        size_t size = target.size - scheme.size;
        const char *path = memchr(host, '/', size);
        if (path == NULL)
            return STR("/");
        return (struct str){path, size - (size_t)(path - host)};
    }
    return target;
}

enum err http_target_split(struct str target, struct arena *arena, struct str *ret_path,
                           struct str *ret_query, struct why *why)
{
    struct str rest = target;

    if (target.size > 0 && target.data[0] != '/')
        rest = without_origin(target);
    if (str_eq(rest, STR("*"))) {
        *ret_path = rest;
        *ret_query = STR_NONE;
        return ERR_NONE;
    }
    if (rest.size == 0 || rest.data[0] != '/')
        return fail(why, ERR_INVALID, "the request target must start with '/'");
    if (memchr(rest.data, '#', rest.size) != NULL)
        return fail(why, ERR_INVALID, "the request target may not hold '#'");
    struct str raw = str_split(&rest, '?');
    struct str path;
    TRY(http_percent_decode(raw, false, arena, &path, why));
    TRY(check_path(raw, path, why));
    *ret_path = path;
    *ret_query = rest.data == NULL ? STR_NONE : rest;
    return ERR_NONE;
}

static size_t count_params(struct str query)
{
    size_t count = 0;

    while (query.data != NULL)
        count += str_split(&query, '&').size > 0;
    return count;
}

enum err http_params_parse(struct str query, size_t params_max, struct arena *arena,
                           struct http_header **ret_params, size_t *ret_count, struct why *why)
{
    size_t count = count_params(query);
    size_t used = 0;

    if (count > params_max)
        return fail(why, ERR_LIMIT, "%zu parameters are more than %zu", count, params_max);
    struct http_header *params = ARENA_ARRAY(arena, count, struct http_header);
    if (params == NULL)
        return arena_spent(arena, "reading the parameters", why);
    while (query.data != NULL) {
        struct str pair = str_split(&query, '&');
        if (pair.size == 0)
            continue;
        struct str name = str_split(&pair, '=');
        if (pair.data == NULL)
            pair = STR("");
        TRY(http_percent_decode(name, true, arena, &params[used].name, why));
        TRY(http_percent_decode(pair, true, arena, &params[used].value, why));
        used++;
    }
    *ret_params = params;
    *ret_count = used;
    return ERR_NONE;
}

/* ---- Media types, codings, validators. ---- */

static struct str media_type_of(struct str content_type)
{
    return str_trim(str_split(&content_type, ';'));
}

bool http_media_type_is(struct str content_type, struct str media_type)
{
    return str_eq_nocase(media_type_of(content_type), media_type);
}

bool http_media_type_is_text(struct str content_type)
{
    static const struct str textual[] = {
        {"application/json", 16},
        {"application/javascript", 22},
        {"application/xml", 15},
        {"application/x-ndjson", 20},
        {"application/yaml", 16},
        {"image/svg+xml", 13},
        {"application/wasm", 16},
        {"application/manifest+json", 25},
        {"application/openmetrics-text", 28},
    };
    struct str type = media_type_of(content_type);

    if (type.size > 5 && str_eq_nocase((struct str){type.data, 5}, STR("text/")))
        return true;
    for (size_t i = 0; i < ARRAY_COUNT(textual); i++) {
        if (str_eq_nocase(type, textual[i]))
            return true;
    }
    return str_ends(type, STR("+json")) || str_ends(type, STR("+xml"));
}

/* "q=0" and "q=0.0…" say no. */
static bool quality_is_zero(struct str parameters)
{
    while (parameters.data != NULL) {
        struct str value = str_trim(str_split(&parameters, ';'));
        struct str name = str_trim(str_split(&value, '='));
        if (!str_eq_nocase(name, STR("q")) || value.data == NULL)
            continue;
        for (size_t i = 0; i < value.size; i++) {
            if (value.data[i] >= '1' && value.data[i] <= '9')
                return false;
        }
        return true;
    }
    return false;
}

bool http_accepts_coding(struct str accept_encoding, struct str coding)
{
    bool any = false;

    while (accept_encoding.data != NULL) {
        struct str item = str_split(&accept_encoding, ',');
        struct str name = str_trim(str_split(&item, ';'));
        if (str_eq_nocase(name, coding))
            return !quality_is_zero(item);
        if (str_eq(name, STR("*")))
            any = !quality_is_zero(item);
    }
    return any;
}

static struct str without_weak(struct str etag)
{
    if (str_starts(etag, STR("W/")))
        return (struct str){etag.data + 2, etag.size - 2};
    return etag;
}

bool http_etag_matches(struct str if_none_match, struct str etag)
{
    if (etag.size == 0)
        return false;
    while (if_none_match.data != NULL) {
        struct str item = str_trim(str_split(&if_none_match, ','));
        if (str_eq(item, STR("*")) || str_eq(without_weak(item), without_weak(etag)))
            return true;
    }
    return false;
}
