/* SPDX-License-Identifier: Apache-2.0 */
/* curl's words, as its manual tells them: those that say what is sent are understood, those about
 * output and looks are passed over, and any other is refused by name rather than left out in
 * silence. */
#include "load/import_priv.h"

#include <stdlib.h>

enum { WORDS_MAX = 512 };

enum meaning {
    IGNORED,
    IGNORED_VALUE, /* With its value. */
    METHOD,
    HEADER,
    DATA, /* "@file" is a file. */
    DATA_PLAIN,
    DATA_ENCODED,
    JSON,
    FORM,
    USER,
    AGENT,
    REFERER,
    COOKIE,
    AS_QUERY,
    HEAD,
    INSECURE,
    HTTP2,
    URL,
    TIMEOUT,
};

static const struct {
    const char *name;
    char letter;
    enum meaning meaning;
} options[] = {
    {"request", 'X', METHOD},
    {"header", 'H', HEADER},
    {"data", 'd', DATA},
    {"data-ascii", 0, DATA},
    {"data-binary", 0, DATA},
    {"data-raw", 0, DATA_PLAIN},
    {"data-urlencode", 0, DATA_ENCODED},
    {"json", 0, JSON},
    {"form", 'F', FORM},
    {"user", 'u', USER},
    {"user-agent", 'A', AGENT},
    {"referer", 'e', REFERER},
    {"cookie", 'b', COOKIE},
    {"get", 'G', AS_QUERY},
    {"head", 'I', HEAD},
    {"insecure", 'k', INSECURE},
    {"http2", 0, HTTP2},
    {"url", 0, URL},
    {"max-time", 'm', TIMEOUT},
    {"compressed", 0, IGNORED},
    {"location", 'L', IGNORED},
    {"silent", 's', IGNORED},
    {"show-error", 'S', IGNORED},
    {"verbose", 'v', IGNORED},
    {"include", 'i', IGNORED},
    {"fail", 'f', IGNORED},
    {"http1.1", 0, IGNORED},
    {"no-buffer", 'N', IGNORED},
    {"globoff", 'g', IGNORED},
    {"output", 'o', IGNORED_VALUE},
    {"write-out", 'w', IGNORED_VALUE},
    {"connect-timeout", 0, IGNORED_VALUE},
    {"retry", 0, IGNORED_VALUE},
};

struct command {
    struct draft draft;
    struct buf data;
    struct buf cookie;
    struct buf query;
    bool has_data, is_query, insecure, http2;
    struct str timeout;
};

static bool takes_value(enum meaning meaning)
{
    return meaning != IGNORED && meaning != AS_QUERY && meaning != HEAD && meaning != INSECURE &&
           meaning != HTTP2;
}

static enum err add_header(struct command *command, struct str name, struct str value,
                           struct why *why)
{
    struct draft *draft = &command->draft;

    if (draft->headers_count == DRAFT_HEADERS_MAX)
        return fail(why, ERR_LIMIT, "there are more than %d headers", DRAFT_HEADERS_MAX);
    if (str_eq_nocase(name, STR("cookie"))) {
        buf_printf(&command->cookie, "%s%.*s", command->cookie.size > 0 ? "; " : "",
                   STR_ARG(value));
        return ERR_NONE;
    }
    if (!import_is_own_field(name))
        draft->headers[draft->headers_count++] = (struct http_header){name, value};
    return ERR_NONE;
}

static bool has_header(const struct draft *draft, struct str name)
{
    for (size_t i = 0; i < draft->headers_count; i++) {
        if (str_eq_nocase(draft->headers[i].name, name))
            return true;
    }
    return false;
}

static void encode(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = (uint8_t)text.data[i];
        bool safe = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                    (byte >= 'a' && byte <= 'z') || (byte != '\0' && strchr("-._~", byte) != NULL);
        if (safe)
            buf_byte(out, byte);
        else
            buf_printf(out, "%%%02X", byte);
    }
}

static enum err add_data(struct command *command, enum meaning meaning, struct str value,
                         struct why *why)
{
    command->has_data = true;
    if (meaning == DATA && value.size > 0 && value.data[0] == '@') {
        if (command->data.size > 0 || command->draft.body_is_file)
            return fail(why, ERR_UNSUPPORTED, "a file together with other data");
        command->draft.body = (struct str){value.data + 1, value.size - 1};
        command->draft.body_is_file = true;
        return ERR_NONE;
    }
    if (command->draft.body_is_file)
        return fail(why, ERR_UNSUPPORTED, "a file together with other data");
    if (command->data.size > 0 && meaning != JSON)
        buf_byte(&command->data, '&');
    if (meaning != DATA_ENCODED) {
        buf_str(&command->data, value);
        return ERR_NONE;
    }
    ptrdiff_t equals = str_find(value, '=');
    struct str content = value;
    if (equals >= 0) {
        buf_append(&command->data, value.data, (size_t)equals + (equals > 0));
        content = (struct str){value.data + equals + 1, value.size - (size_t)equals - 1};
    }
    encode(content, &command->data);
    return ERR_NONE;
}

static enum err add_part(struct command *command, struct str value, struct why *why)
{
    struct draft *draft = &command->draft;
    struct str content = value;
    struct str name = str_split(&content, '=');

    if (content.data == NULL)
        return fail(why, ERR_INVALID, "-F '%.*s' is not NAME=VALUE", STR_ARG(value));
    if (draft->parts_count == DRAFT_PARTS_MAX)
        return fail(why, ERR_LIMIT, "there are more than %d parts", DRAFT_PARTS_MAX);
    bool is_file = content.size > 0 && content.data[0] == '@';
    if (is_file) {
        content = (struct str){content.data + 1, content.size - 1};
        content = str_split(&content, ';');
    }
    draft->parts[draft->parts_count++] = (struct draft_part){name, content, is_file};
    return ERR_NONE;
}

static enum err take(struct command *command, enum meaning meaning, struct str value,
                     struct why *why)
{
    struct draft *draft = &command->draft;

    switch (meaning) {
    case IGNORED:
    case IGNORED_VALUE:
        return ERR_NONE;
    case METHOD:
        draft->method = value;
        return ERR_NONE;
    case HEADER: {
        struct str content = value;
        struct str name = str_trim(str_split(&content, ':'));
        if (content.data == NULL) /* "Name;" is an empty field, "Name:" takes one away. */
            return ERR_NONE;
        return add_header(command, name, str_trim(content), why);
    }
    case JSON:
        TRY(add_header(command, STR("Content-Type"), STR("application/json"), why));
        TRY(add_header(command, STR("Accept"), STR("application/json"), why));
        return add_data(command, JSON, value, why);
    case DATA:
    case DATA_PLAIN:
    case DATA_ENCODED:
        return add_data(command, meaning, value, why);
    case FORM:
        return add_part(command, value, why);
    case USER:
        draft->user = value;
        return ERR_NONE;
    case AGENT:
        return add_header(command, STR("User-Agent"), value, why);
    case REFERER:
        return add_header(command, STR("Referer"), value, why);
    case COOKIE:
        return add_header(command, STR("Cookie"), value, why);
    case AS_QUERY:
        command->is_query = true;
        return ERR_NONE;
    case HEAD:
        draft->method = STR("HEAD");
        return ERR_NONE;
    case INSECURE:
        command->insecure = true;
        return ERR_NONE;
    case HTTP2:
        command->http2 = true;
        return ERR_NONE;
    case TIMEOUT:
        command->timeout = value;
        return ERR_NONE;
    case URL:
        if (draft->url.data != NULL)
            return fail(why, ERR_UNSUPPORTED, "there is more than one URL");
        draft->url = value;
        return ERR_NONE;
    }
    return ERR_NONE;
}

/* ---- Words. ---- */

static ptrdiff_t find_option(struct str name, char letter)
{
    for (size_t i = 0; i < ARRAY_COUNT(options); i++) {
        if (letter != '\0' ? options[i].letter == letter : str_eq(name, str_of(options[i].name)))
            return (ptrdiff_t)i;
    }
    return -1;
}

/* "-sXPOST": letters one after the other; one with a value takes the rest, or the next word. */
static enum err take_letters(struct command *command, const char *const *words, size_t count,
                             size_t *at, struct why *why)
{
    struct str word = str_of(words[*at]);

    for (size_t i = 1; i < word.size; i++) {
        ptrdiff_t option = find_option(STR_NONE, word.data[i]);
        if (option < 0)
            return fail(why, ERR_UNSUPPORTED, "curl's -%c is not understood", word.data[i]);
        enum meaning meaning = options[option].meaning;
        if (!takes_value(meaning)) {
            TRY(take(command, meaning, STR_NONE, why));
            continue;
        }
        struct str value = {word.data + i + 1, word.size - i - 1};
        if (value.size == 0) {
            if (++*at >= count)
                return fail(why, ERR_INVALID, "curl's -%c lacks its value", word.data[i]);
            value = str_of(words[*at]);
        }
        return take(command, meaning, value, why);
    }
    return ERR_NONE;
}

static enum err take_word(struct command *command, const char *const *words, size_t count,
                          size_t *at, struct why *why)
{
    struct str word = str_of(words[*at]);

    if (word.size < 2 || word.data[0] != '-')
        return take(command, URL, word, why);
    if (word.data[1] != '-')
        return take_letters(command, words, count, at, why);
    struct str name = {word.data + 2, word.size - 2};
    ptrdiff_t option = find_option(name, '\0');
    if (option < 0)
        return fail(why, ERR_UNSUPPORTED, "curl's --%.*s is not understood", STR_ARG(name));
    if (!takes_value(options[option].meaning))
        return take(command, options[option].meaning, STR_NONE, why);
    if (++*at >= count)
        return fail(why, ERR_INVALID, "curl's --%.*s lacks its value", STR_ARG(name));
    return take(command, options[option].meaning, str_of(words[*at]), why);
}

/* ---- Writing. ---- */

/* Puts together what the words meant as a whole. */
static enum err complete(struct command *command, struct why *why)
{
    struct draft *draft = &command->draft;

    if (draft->url.size == 0)
        return fail(why, ERR_INVALID, "the command names no URL");
    if (str_find_str(draft->url, STR("://")) < 0) {
        buf_printf(&command->query, "http://%.*s", STR_ARG(draft->url));
        draft->url = buf_view(&command->query);
    }
    if (command->is_query && command->data.size > 0) {
        struct buf whole = {0};
        buf_str(&whole, draft->url);
        buf_byte(&whole, str_find(draft->url, '?') < 0 ? '?' : '&');
        buf_str(&whole, buf_view(&command->data));
        buf_done(&command->query);
        command->query = whole;
        draft->url = buf_view(&command->query);
    } else if (command->has_data) {
        if (!draft->body_is_file)
            draft->body = buf_view(&command->data);
        if (!has_header(draft, STR("content-type")))
            TRY(add_header(command, STR("Content-Type"), STR("application/x-www-form-urlencoded"),
                           why));
    }
    if (command->cookie.size > 0)
        draft->headers[draft->headers_count++] =
            (struct http_header){STR("Cookie"), buf_view(&command->cookie)};
    if (draft->method.data == NULL)
        draft->method = (command->has_data && !command->is_query) || draft->parts_count > 0
                            ? STR("POST")
                            : STR("GET");
    return ERR_NONE;
}

static enum err write_file(struct command *command, struct buf *out, struct why *why)
{
    struct draft *draft = &command->draft;
    double seconds;
    size_t host;

    TRY(complete(command, why));
    host = import_host_size(draft->url);
    buf_text(out, "# From a curl command.\nbase: ");
    import_text((struct str){draft->url.data, host}, out);
    buf_text(out, "\nload:\n  users: 10\n  duration: 30s\n");
    if (command->insecure)
        buf_text(out, "  insecure: true\n");
    if (command->http2)
        buf_text(out, "  http2: true\n");
    if (str_to_double(command->timeout, &seconds) && seconds >= 0.001 && seconds < 1e6)
        buf_printf(out, "  timeout: %.0fms\n", seconds * 1000);
    buf_text(out, "steps:\n");
    draft->url = host == draft->url.size
                     ? STR("/")
                     : (struct str){draft->url.data + host, draft->url.size - host};
    return import_draft(draft, out, why);
}

enum err import_curl_words(const char *const *words, size_t count, struct buf *out, struct why *why)
{
    struct command *command = calloc(1, sizeof(*command));
    enum err err = ERR_NONE;

    if (command == NULL)
        must_memory(sizeof(*command));
    for (size_t i = count > 0 && strcmp(words[0], "curl") == 0; i < count && err == ERR_NONE; i++)
        err = take_word(command, words, count, &i, why);
    if (err == ERR_NONE)
        err = write_file(command, out, why);
    buf_done(&command->data);
    buf_done(&command->cookie);
    buf_done(&command->query);
    free(command);
    return err;
}

/* ---- A command as a shell reads it. ---- */

/* Within $'…'. */
static void add_escape(char escape, struct buf *word)
{
    static const char from[] = "ntr\\'\"";
    static const char to[] = "\n\t\r\\'\"";
    const char *found = escape == '\0' ? NULL : strchr(from, escape);

    if (found == NULL)
        buf_byte(word, '\\');
    buf_byte(word, (uint8_t)(found == NULL ? escape : to[found - from]));
}

/* One word off the front; false: there is none. */
static enum err next_word(struct str *rest, struct buf *word, bool *ret_found, struct why *why)
{
    char quote = '\0'; /* Or ' or ", or $ for $'…'. */

    buf_clear(word);
    *ret_found = false;
    for (; rest->size > 0; rest->data++, rest->size--) {
        char c = rest->data[0];
        char next = rest->size > 1 ? rest->data[1] : '\0';
        bool escapes = quote == '\0' || quote == '$' || quote == '"';
        if (quote == '\0' && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
            if (*ret_found)
                return ERR_NONE;
            continue;
        }
        bool ends = quote != '\0' && c == (quote == '$' ? '\'' : quote);
        if (ends) {
            quote = '\0';
            continue;
        }
        if (quote == '\0' && c == '$' && next == '\'') {
            quote = '$';
            rest->data++;
            rest->size--;
            *ret_found = true;
            continue;
        }
        if (quote == '\0' && (c == '\'' || c == '"')) {
            quote = c;
            *ret_found = true;
            continue;
        }
        if (c == '\\' && escapes && rest->size > 1) {
            rest->data++;
            rest->size--;
            if (next == '\n' || (next == '\r' && quote == '\0'))
                continue; /* The line goes on. */
            if (quote == '$')
                add_escape(next, word);
            else if (quote == '"' && strchr("\"\\$`", next) == NULL)
                buf_printf(word, "\\%c", next);
            else
                buf_byte(word, (uint8_t)next);
            *ret_found = true;
            continue;
        }
        buf_byte(word, (uint8_t)c);
        *ret_found = true;
    }
    return quote == '\0' ? ERR_NONE : fail(why, ERR_INVALID, "a quote has no end");
}

enum err import_curl_text(struct str command, struct arena *arena, struct buf *out, struct why *why)
{
    const char *words[WORDS_MAX];
    struct buf word CLEANUP(buf_done) = {0};
    struct str rest = command;
    size_t count = 0;
    bool found;

    for (;;) {
        TRY(next_word(&rest, &word, &found, why));
        if (!found)
            break;
        if (count == WORDS_MAX)
            return fail(why, ERR_LIMIT, "the command has more than %d words", WORDS_MAX);
        words[count] = arena_printf(arena, "%s", buf_cstr(&word));
        if (words[count++] == NULL)
            return arena_spent(arena, "the command", why);
    }
    return import_curl_words(words, count, out, why);
}
