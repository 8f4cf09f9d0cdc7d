/* SPDX-License-Identifier: Apache-2.0 */
/* Every text goes out in double quotes with JSON's escapes, which YAML 1.2 and libyaml read alike,
 * so nothing foreign is ever taken for syntax. */
#include "load/import_priv.h"

#include "base/json.h"
#include "load/request.h"
#include "load/template.h"

enum { KEY_BYTES_MAX = 128 }; /* YAML's keys stand on one line of at most 1024 bytes. */

/* The code point of two or three bytes of UTF-8 at the front that JSON may hold as it is and YAML
 * may not: controls beyond ASCII, byte order marks, what is no character. 0: there is none. */
static unsigned unprintable(struct str text, size_t *ret_size)
{
    const uint8_t *bytes = (const uint8_t *)text.data;

    *ret_size = 1;
    if (bytes[0] == 0x7f)
        return 0x7f;
    *ret_size = 2;
    if (text.size > 1 && bytes[0] == 0xc2 && bytes[1] < 0xa0)
        return bytes[1];
    *ret_size = 3;
    if (text.size > 2 && bytes[0] == 0xef) {
        unsigned code = 0xf000u | (bytes[1] & 63u) << 6 | (bytes[2] & 63u);
        return code == 0xfeff || code >= 0xfffe ? code : 0;
    }
    return 0;
}

void import_text(struct str text, struct buf *out)
{
    struct buf quoted CLEANUP(buf_done) = {0};

    template_quote(text, &quoted);
    import_plain_text(buf_view(&quoted), out);
}

void import_plain_text(struct str text, struct buf *out)
{
    struct buf json CLEANUP(buf_done) = {0};

    json_str(&json, text);
    for (size_t i = 0; i < json.size; i++) {
        size_t size;
        unsigned code = unprintable((struct str){json.data + i, json.size - i}, &size);
        if (code == 0) {
            buf_byte(out, (uint8_t)json.data[i]);
            continue;
        }
        buf_printf(out, "\\u%04x", code);
        i += size - 1;
    }
}

bool import_key_fits(struct str key)
{
    return key.size > 0 && key.size <= KEY_BYTES_MAX;
}

size_t import_host_size(struct str url)
{
    ptrdiff_t scheme = str_find_str(url, STR("://"));
    size_t end = scheme < 0 ? 0 : (size_t)scheme + 3;

    while (scheme >= 0 && end < url.size && url.data[end] != '/' && url.data[end] != '?')
        end++;
    return end;
}

bool import_is_own_field(struct str name)
{
    static const struct str own[] = {{"content-length", 14},
                                     {"accept-encoding", 15},
                                     {"cookie", 6},
                                     {"if-none-match", 13},
                                     {"if-modified-since", 17}};

    if (name.size == 0 || name.data[0] == ':' || request_is_about_connection(name))
        return true;
    for (size_t i = 0; i < ARRAY_COUNT(own); i++) {
        if (str_eq_nocase(name, own[i]))
            return true;
    }
    return false;
}

static void write_pairs(const char *key, const struct http_header *pairs, size_t count,
                        bool has_holes, struct buf *out)
{
    if (count == 0)
        return;
    buf_printf(out, "    %s:\n", key);
    for (size_t i = 0; i < count; i++) {
        bool again = !import_key_fits(pairs[i].name);
        for (size_t j = 0; j < i && !again; j++)
            again = str_eq_nocase(pairs[j].name, pairs[i].name);
        if (again)
            continue; /* A map has each key once. */
        buf_text(out, "      ");
        import_plain_text(pairs[i].name, out);
        buf_text(out, ": ");
        if (has_holes)
            import_plain_text(pairs[i].value, out);
        else
            import_text(pairs[i].value, out);
        buf_byte(out, '\n');
    }
}

static void write_parts(const struct draft *draft, struct buf *out)
{
    if (draft->parts_count == 0)
        return;
    buf_text(out, "    multipart:\n");
    for (size_t i = 0; i < draft->parts_count; i++) {
        const struct draft_part *part = &draft->parts[i];
        buf_text(out, "      - name: ");
        import_text(part->name, out);
        buf_text(out, part->is_file ? "\n        file: " : "\n        value: ");
        if (part->is_file)
            import_plain_text(part->value, out);
        else
            import_text(part->value, out);
        buf_byte(out, '\n');
    }
}

static void write_auth(const struct draft *draft, struct buf *out)
{
    struct str password = draft->user;
    struct str user = str_split(&password, ':');

    if (draft->user.data == NULL)
        return;
    buf_text(out, "    auth:\n      basic:\n        user: ");
    import_text(user, out);
    buf_text(out, "\n        password: ");
    import_text(password.data == NULL ? STR("") : password, out);
    buf_byte(out, '\n');
}

enum err import_draft(const struct draft *draft, struct buf *out, struct why *why)
{
    static const struct {
        struct str method;
        const char *key;
    } methods[] = {{{"GET", 3}, "get"},        {{"POST", 4}, "post"},     {{"PUT", 3}, "put"},
                   {{"PATCH", 5}, "patch"},    {{"DELETE", 6}, "delete"}, {{"HEAD", 4}, "head"},
                   {{"OPTIONS", 7}, "options"}};
    const char *key = NULL;

    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        if (str_eq_nocase(draft->method, methods[i].method))
            key = methods[i].key;
    }
    if (key == NULL)
        return fail(why, ERR_UNSUPPORTED, "the method %.*s has no word in scenarios",
                    STR_ARG(draft->method));
    buf_printf(out, "  - %s: ", key);
    if (draft->url_has_holes)
        import_plain_text(draft->url, out);
    else
        import_text(draft->url, out);
    buf_byte(out, '\n');
    if (draft->name.size > 0) {
        buf_text(out, "    name: ");
        import_plain_text(draft->name, out);
        buf_byte(out, '\n');
    }
    write_pairs("query", draft->query, draft->query_count, true, out);
    write_pairs("headers", draft->headers, draft->headers_count, false, out);
    write_auth(draft, out);
    write_parts(draft, out);
    if (draft->json.size > 0) {
        buf_text(out, "    json: ");
        buf_str(out, draft->json);
        buf_byte(out, '\n');
    } else if (draft->body.size > 0) {
        buf_text(out, draft->body_is_file ? "    file: " : "    body: ");
        if (draft->body_is_file)
            import_plain_text(draft->body, out);
        else
            import_text(draft->body, out);
        buf_byte(out, '\n');
    }
    if (draft->status > 0)
        buf_printf(out, "    check:\n      status: %u\n", draft->status);
    return ERR_NONE;
}
