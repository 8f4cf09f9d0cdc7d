/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies of requests, each with the content type it is known by. Text parts may have holes;
 * files are sent as they are. */
#include "base/json.h"
#include "load/parcel.h"
#include "load/scenario_priv.h"
#include "load/template.h"

#define BOUNDARY "sonde-part-of-a-form-4f1c27d09a8e"

static enum err keep(const struct scenario_scope *scope, const struct buf *bytes,
                     struct str *ret_kept, struct why *why)
{
    *ret_kept = bytes->size == 0 ? STR("") : arena_str(scope->plan->arena, buf_view(bytes));
    return ret_kept->data == NULL ? arena_spent(scope->plan->arena, "a body", why) : ERR_NONE;
}

static enum err set_type(const struct scenario_scope *scope, struct step *step, const char *type,
                         struct why *why)
{
    for (size_t i = 0; i < step->headers_count; i++) {
        if (str_eq_nocase(step->headers[i].name, STR("content-type")))
            return ERR_NONE;
    }
    return scenario_header(scope, step, STR("Content-Type"), str_of(type), why);
}

/* ---- Forms and queries. ---- */

/* Percent-encodes what is no hole. */
static void encode(struct str text, struct buf *out)
{
    while (text.size > 0) {
        ptrdiff_t hole = str_find_str(text, STR("${"));
        size_t plain = hole < 0 ? text.size : (size_t)hole;
        for (size_t i = 0; i < plain; i++) {
            uint8_t byte = (uint8_t)text.data[i];
            bool safe = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= 'a' && byte <= 'z') || (byte != '\0' && strchr("-._~", byte));
            if (safe)
                buf_byte(out, byte);
            else
                buf_printf(out, "%%%02X", byte);
        }
        text = (struct str){text.data + plain, text.size - plain};
        ptrdiff_t end = text.size == 0 ? -1 : str_find(text, '}');
        size_t size = end < 0 ? text.size : (size_t)end + 1;
        buf_append(out, text.data, size);
        text = (struct str){text.data + size, text.size - size};
    }
}

static enum err write_fields(const struct node *node, struct buf *out, struct why *why)
{
    const char *between = "";
    struct str value;

    TRY(node_map(node, why));
    NODE_EACH(node, child)
    {
        TRY(node_text(child, &value, why));
        buf_text(out, between);
        between = "&";
        encode(child->key, out);
        buf_byte(out, '=');
        encode(value, out);
    }
    return ERR_NONE;
}

enum err scenario_query(const struct scenario_scope *scope, const struct node *query,
                        struct str *target, struct why *why)
{
    struct buf text CLEANUP(buf_done) = {0};

    if (query == NULL)
        return ERR_NONE;
    buf_str(&text, *target);
    buf_byte(&text, str_find(*target, '?') < 0 ? '?' : '&');
    TRY(write_fields(query, &text, why));
    return keep(scope, &text, target, why);
}

/* ---- JSON. ---- */

/* Texts stay texts: in quotes, or when they are neither number nor word. A hole alone is written
 * bare, and becomes what it is filled with. */
static void write_scalar(const struct node *node, struct buf *out)
{
    struct str text = node->text;
    double number;
    bool word =
        str_eq(text, STR("true")) || str_eq(text, STR("false")) || str_eq(text, STR("null"));
    bool hole = str_starts(text, STR("${")) && str_ends(text, STR("}")) &&
                str_find(text, '}') == (ptrdiff_t)text.size - 1;

    bool digits =
        text.size > 0 && (text.data[0] == '-' || (text.data[0] >= '0' && text.data[0] <= '9')) &&
        str_find(text, 'x') < 0 && str_find(text, 'X') < 0 && str_to_double(text, &number);
    if (!node->quoted && (word || hole || digits))
        buf_str(out, text);
    else
        json_str(out, text);
}

static void write_json(const struct node *node, struct buf *out)
{
    const char *between = "";

    if (node->kind == NODE_NULL) {
        buf_text(out, "null");
        return;
    }
    if (node->kind == NODE_SCALAR) {
        write_scalar(node, out);
        return;
    }
    buf_byte(out, node->kind == NODE_MAP ? '{' : '[');
    NODE_EACH(node, child)
    {
        buf_text(out, between);
        between = ",";
        if (node->kind == NODE_MAP) {
            json_str(out, child->key);
            buf_byte(out, ':');
        }
        write_json(child, out);
    }
    buf_byte(out, node->kind == NODE_MAP ? '}' : ']');
}

/* ---- Files and parts. ---- */

static enum err read_file(const struct scenario_scope *scope, const struct node *node,
                          struct buf *out, struct why *why)
{
    struct buf bytes CLEANUP(buf_done) = {0};
    const char *path;

    TRY(scenario_path(scope, node, &path, why));
    TRY_AT(node, parcel_file(scope->plan->parcel, path, PLAN_BODY_BYTES_MAX, &bytes, why));
    template_quote(buf_view(&bytes), out);
    return ERR_NONE;
}

static enum err text_of(const struct node *part, const char *key, struct str preset,
                        struct str *ret_text, struct why *why)
{
    const struct node *child = node_get(part, key);

    *ret_text = preset;
    if (child == NULL)
        return ERR_NONE;
    TRY(node_text(child, ret_text, why));
    if (str_find(*ret_text, '"') >= 0 || str_find(*ret_text, '\n') >= 0)
        return node_fail(child, why, "%s holds a quote or a line break", key);
    return ERR_NONE;
}

static enum err write_part(const struct scenario_scope *scope, const struct node *part,
                           struct buf *out, struct why *why)
{
    static const char *const keys[] = {"name", "value", "file", "filename", "type"};
    const struct node *file = node_get(part, "file");
    const struct node *value = node_get(part, "value");
    struct str name, filename, type, text;
    const struct node *name_node;

    TRY(node_map(part, why));
    TRY(node_only(part, keys, ARRAY_COUNT(keys), why));
    TRY(node_need(part, "name", &name_node, why));
    if ((file == NULL) == (value == NULL))
        return node_fail(part, why, "a part has either a value or a file");
    TRY(text_of(part, "name", STR_NONE, &name, why));
    struct str path = file == NULL ? STR_NONE : file->text;
    for (ptrdiff_t slash; (slash = str_find(path, '/')) >= 0;)
        path = (struct str){path.data + slash + 1, path.size - (size_t)slash - 1};
    TRY(text_of(part, "filename", path, &filename, why));
    TRY(text_of(part, "type", file == NULL ? STR_NONE : STR("application/octet-stream"), &type,
                why));
    buf_printf(out, "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"%.*s\"",
               STR_ARG(name));
    if (filename.size > 0)
        buf_printf(out, "; filename=\"%.*s\"", STR_ARG(filename));
    if (type.size > 0)
        buf_printf(out, "\r\nContent-Type: %.*s", STR_ARG(type));
    buf_text(out, "\r\n\r\n");
    if (file != NULL) {
        TRY(read_file(scope, file, out, why));
    } else {
        TRY(node_text(value, &text, why));
        buf_str(out, text);
    }
    buf_text(out, "\r\n");
    return ERR_NONE;
}

static enum err write_parts(const struct scenario_scope *scope, const struct node *node,
                            struct buf *out, struct why *why)
{
    TRY(node_list(node, why));
    NODE_EACH(node, part)
    {
        TRY(write_part(scope, part, out, why));
    }
    buf_text(out, "--" BOUNDARY "--\r\n");
    return ERR_NONE;
}

/* ---- The body. ---- */

enum err scenario_body(const struct scenario_scope *scope, const struct node *node,
                       struct step *step, bool *ret_is_json, struct why *why)
{
    static const struct {
        const char *key;
        const char *type;
    } forms[] = {{"body", NULL},
                 {"json", "application/json"},
                 {"form", "application/x-www-form-urlencoded"},
                 {"multipart", "multipart/form-data; boundary=" BOUNDARY},
                 {"file", "application/octet-stream"}};
    struct buf body CLEANUP(buf_done) = {0};
    const struct node *found = NULL;
    size_t form = 0;
    struct str text;

    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        const struct node *child = node_get(node, forms[i].key);
        if (child == NULL)
            continue;
        if (found != NULL)
            return node_fail(child, why, "a request has either %s or %s", forms[form].key,
                             forms[i].key);
        found = child;
        form = i;
    }
    *ret_is_json = found != NULL && form == 1;
    if (found == NULL)
        return ERR_NONE;
    switch (form) {
    case 0:
        TRY(node_text(found, &text, why));
        buf_str(&body, text);
        break;
    case 1:
        write_json(found, &body);
        break;
    case 2:
        TRY(write_fields(found, &body, why));
        break;
    case 3:
        TRY(write_parts(scope, found, &body, why));
        break;
    default:
        TRY(read_file(scope, found, &body, why));
        break;
    }
    if (forms[form].type != NULL)
        TRY(set_type(scope, step, forms[form].type, why));
    return keep(scope, &body, &step->body, why);
}
