/* SPDX-License-Identifier: Apache-2.0 */
/* Each operation becomes a step with sample values: examples where the description has some, else
 * what a schema's type allows. What a path wants becomes a variable at the top, to be changed
 * there. Deletions are left out. References (#/…) are followed, within bounds, because schemas may
 * hold themselves. */
#include "load/import_priv.h"

#include "base/json.h"
#include "codec/json_tree.h"
#include "codec/yaml.h"

#include <stdlib.h>

enum {
    SOURCE_BYTES_MAX = 64 << 20,
    REFERENCES_MAX = 20,
    SAMPLE_DEPTH_MAX = 8,
    SAMPLE_BYTES_MAX = 256 << 10,
    VARIABLES_MAX = 200,
    KEYS_MAX = 200
};

struct description {
    const struct node *root;
    struct str variables[VARIABLES_MAX];
    size_t variables_count;
    struct buf head; /* The variables. */
    struct buf steps;
    struct arena *arena;
    size_t left_out;
    size_t count;
};

static struct str text_of(const struct node *node, const char *key)
{
    const struct node *child = node_get(node, key);

    return child == NULL || child->kind != NODE_SCALAR ? STR_NONE : child->text;
}

/* Follows "$ref": "#/components/schemas/Item". */
static const struct node *resolve(const struct description *description, const struct node *node)
{
    for (int i = 0; i < REFERENCES_MAX && node != NULL; i++) {
        struct str reference = text_of(node, "$ref");
        if (reference.data == NULL)
            return node;
        if (!str_starts(reference, STR("#/")))
            return NULL;
        struct str rest = {reference.data + 2, reference.size - 2};
        node = description->root;
        while (rest.data != NULL && node != NULL) {
            struct buf key CLEANUP(buf_done) = {0};
            struct str token = str_split(&rest, '/');
            for (size_t j = 0; j < token.size; j++) {
                bool escape = token.data[j] == '~' && j + 1 < token.size;
                buf_byte(&key, (uint8_t)(!escape                    ? token.data[j]
                                         : token.data[j + 1] == '1' ? '/'
                                                                    : '~'));
                j += escape;
            }
            node = node->kind == NODE_MAP ? node_get_str(node, buf_view(&key)) : NULL;
        }
    }
    return NULL;
}

/* ---- Samples. ---- */

static void write_node(const struct node *node, struct buf *out)
{
    const char *between = "";

    if (node->kind == NODE_NULL) {
        buf_text(out, "null");
        return;
    }
    if (node->kind == NODE_SCALAR) {
        double number;
        bool bare =
            !node->quoted && (str_eq(node->text, STR("true")) || str_eq(node->text, STR("false")) ||
                              str_to_double(node->text, &number));
        if (bare)
            buf_str(out, node->text);
        else
            import_text(node->text, out);
        return;
    }
    buf_byte(out, node->kind == NODE_MAP ? '{' : '[');
    NODE_EACH(node, child)
    {
        if (node->kind == NODE_MAP && !import_key_fits(child->key))
            continue;
        buf_text(out, between);
        between = ", ";
        if (node->kind == NODE_MAP) {
            import_text(child->key, out);
            buf_text(out, ": ");
        }
        write_node(child, out);
    }
    buf_byte(out, node->kind == NODE_MAP ? '}' : ']');
}

static const char *sample_text(struct str format)
{
    static const struct {
        struct str format;
        const char *sample;
    } samples[] = {{{"date", 4}, "2026-01-31"},
                   {{"date-time", 9}, "2026-01-31T12:00:00Z"},
                   {{"uuid", 4}, "00000000-0000-4000-8000-000000000001"},
                   {{"email", 5}, "somebody@example.com"},
                   {{"uri", 3}, "https://example.com/"},
                   {{"ipv4", 4}, "192.0.2.1"}};

    for (size_t i = 0; i < ARRAY_COUNT(samples); i++) {
        if (str_eq(format, samples[i].format))
            return samples[i].sample;
    }
    return "text";
}

static const struct node *first_known(const struct node *schema)
{
    static const char *const keys[] = {"example", "default", "const"};
    const struct node *values = node_get(schema, "enum");
    const struct node *examples = node_get(schema, "examples");

    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        if (node_get(schema, keys[i]) != NULL)
            return node_get(schema, keys[i]);
    }
    if (values != NULL && values->kind == NODE_LIST && values->first != NULL)
        return values->first;
    if (examples != NULL && examples->kind == NODE_LIST)
        return examples->first;
    return NULL;
}

static void write_sample(struct description *description, const struct node *schema, int depth,
                         struct buf *out);

/* Parts of an object (allOf) may tell the same key again. */
struct keys {
    struct str items[KEYS_MAX];
    size_t count;
};

static bool take_key(struct keys *keys, struct str key)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (str_eq(keys->items[i], key))
            return false;
    }
    if (keys->count == KEYS_MAX || !import_key_fits(key))
        return false;
    keys->items[keys->count++] = key;
    return true;
}

static void write_properties(struct description *description, const struct node *schema, int depth,
                             struct keys *keys, struct buf *out)
{
    const struct node *parts = node_get(schema, "allOf");
    const struct node *properties = node_get(schema, "properties");

    if (parts != NULL && parts->kind == NODE_LIST) {
        NODE_EACH(parts, part)
        {
            const struct node *resolved = resolve(description, part);
            if (resolved != NULL && depth > 0)
                write_properties(description, resolved, depth - 1, keys, out);
        }
    }
    if (properties == NULL || properties->kind != NODE_MAP)
        return;
    NODE_EACH(properties, property)
    {
        const struct node *resolved = resolve(description, property);
        if (resolved == NULL || str_eq(text_of(resolved, "readOnly"), STR("true")) ||
            !take_key(keys, property->key))
            continue;
        buf_text(out, keys->count > 1 ? ", " : "");
        import_text(property->key, out);
        buf_text(out, ": ");
        write_sample(description, resolved, depth - 1, out);
    }
}

static struct str type_of(const struct node *schema)
{
    const struct node *type = node_get(schema, "type");

    if (type != NULL && type->kind == NODE_LIST && type->first != NULL)
        return type->first->text; /* 3.1: ["string", "null"] */
    if (type != NULL)
        return type->text;
    return node_get(schema, "properties") != NULL || node_get(schema, "allOf") != NULL
               ? STR("object")
               : STR("string");
}

static void write_sample(struct description *description, const struct node *schema, int depth,
                         struct buf *out)
{
    struct keys *keys = NULL;
    const struct node *known, *choice;
    double number;

    schema = resolve(description, schema);
    if (schema == NULL || depth <= 0 || out->size > SAMPLE_BYTES_MAX) {
        buf_text(out, "null");
        return;
    }
    known = first_known(schema);
    if (known != NULL) {
        write_node(known, out);
        return;
    }
    choice =
        node_get(schema, "oneOf") != NULL ? node_get(schema, "oneOf") : node_get(schema, "anyOf");
    if (choice != NULL && choice->kind == NODE_LIST && choice->first != NULL) {
        write_sample(description, choice->first, depth - 1, out);
        return;
    }
    struct str type = type_of(schema);
    if (str_eq(type, STR("object"))) {
        keys = calloc(1, sizeof(*keys));
        if (keys == NULL)
            must_memory(sizeof(*keys));
        buf_byte(out, '{');
        write_properties(description, schema, depth, keys, out);
        buf_byte(out, '}');
        free(keys);
    } else if (str_eq(type, STR("array"))) {
        buf_byte(out, '[');
        if (node_get(schema, "items") != NULL)
            write_sample(description, node_get(schema, "items"), depth - 1, out);
        buf_byte(out, ']');
    } else if (str_eq(type, STR("integer")) || str_eq(type, STR("number"))) {
        struct str least = text_of(schema, "minimum");
        buf_str(out, str_to_double(least, &number) ? least : STR("1"));
    } else if (str_eq(type, STR("boolean"))) {
        buf_text(out, "true");
    } else {
        json_str(out, str_of(sample_text(text_of(schema, "format"))));
    }
}

/* ---- Parameters. ---- */

/* A parameter's sample as plain text. */
static struct str parameter_sample(struct description *description, const struct node *parameter)
{
    const struct node *schema = node_get(parameter, "schema");
    const struct node *known = first_known(parameter);
    struct buf text CLEANUP(buf_done) = {0};

    if (known != NULL && known->kind == NODE_SCALAR)
        return known->text;
    write_sample(description, schema != NULL ? schema : parameter, SAMPLE_DEPTH_MAX, &text);
    struct str view = buf_view(&text);
    if (view.size >= 2 && view.data[0] == '"')
        view = (struct str){view.data + 1, view.size - 2};
    return arena_str(description->arena, view);
}

static bool declare(struct description *description, struct str name, struct str sample)
{
    for (size_t i = 0; i < description->variables_count; i++) {
        if (str_eq(description->variables[i], name))
            return true;
    }
    if (description->variables_count == VARIABLES_MAX || !import_key_fits(name))
        return false;
    description->variables[description->variables_count++] = name;
    buf_text(&description->head, "  ");
    import_plain_text(name, &description->head);
    buf_text(&description->head, ": ");
    import_text(sample, &description->head);
    buf_byte(&description->head, '\n');
    return true;
}

static struct str hole_of(struct description *description, struct str name)
{
    const char *hole = arena_printf(description->arena, "${%.*s}", STR_ARG(name));

    return hole == NULL ? STR("") : str_of(hole);
}

static void read_parameters(struct description *description, const struct node *list,
                            struct draft *draft)
{
    if (list == NULL || list->kind != NODE_LIST)
        return;
    NODE_EACH(list, item)
    {
        const struct node *parameter = resolve(description, item);
        struct str where = text_of(parameter, "in");
        struct str name = text_of(parameter, "name");
        if (name.size == 0)
            continue;
        bool required = str_eq(text_of(parameter, "required"), STR("true"));
        if (str_eq(where, STR("body"))) { /* OpenAPI 2. */
            struct buf json CLEANUP(buf_done) = {0};
            if (node_get(parameter, "schema") != NULL)
                write_sample(description, node_get(parameter, "schema"), SAMPLE_DEPTH_MAX, &json);
            draft->json = arena_str(description->arena, buf_view(&json));
            continue;
        }
        bool is_path = str_eq(where, STR("path"));
        if (!is_path && (!required || draft->query_count == DRAFT_HEADERS_MAX ||
                         draft->headers_count == DRAFT_HEADERS_MAX))
            continue;
        struct str sample = parameter_sample(description, parameter);
        if (str_eq(where, STR("header")) && http_is_token(name) && http_is_field_value(sample))
            draft->headers[draft->headers_count++] = (struct http_header){name, sample};
        else if ((is_path || str_eq(where, STR("query"))) && declare(description, name, sample) &&
                 !is_path)
            draft->query[draft->query_count++] =
                (struct http_header){name, hole_of(description, name)};
    }
}

/* "/items/{id}" with holes instead of names in braces. */
static struct str path_of(struct description *description, struct str path)
{
    struct buf out CLEANUP(buf_done) = {0};

    for (size_t i = 0; i < path.size; i++) {
        ptrdiff_t end = -1;
        if (path.data[i] == '{')
            end = str_find((struct str){path.data + i, path.size - i}, '}');
        if (end < 0) {
            buf_byte(&out, (uint8_t)path.data[i]);
            continue;
        }
        struct str name = {path.data + i + 1, (size_t)end - 1};
        if (declare(description, name, STR("1"))) /* One that the description forgot. */
            buf_printf(&out, "${%.*s}", STR_ARG(name));
        i += (size_t)end;
    }
    return arena_str(description->arena, buf_view(&out));
}

/* ---- Operations. ---- */

static void read_body(struct description *description, const struct node *operation,
                      struct draft *draft)
{
    const struct node *body = resolve(description, node_get(operation, "requestBody"));
    const struct node *content = body == NULL ? NULL : node_get(body, "content");
    const struct node *json = content == NULL ? NULL : node_get(content, "application/json");
    const struct node *examples;
    struct buf out CLEANUP(buf_done) = {0};

    if (json == NULL)
        return;
    examples = node_get(json, "examples");
    const struct node *first = examples == NULL || examples->kind != NODE_MAP
                                   ? NULL
                                   : resolve(description, examples->first);
    if (node_get(json, "example") != NULL)
        write_node(node_get(json, "example"), &out);
    else if (first != NULL && node_get(first, "value") != NULL)
        write_node(node_get(first, "value"), &out);
    else if (node_get(json, "schema") != NULL)
        write_sample(description, node_get(json, "schema"), SAMPLE_DEPTH_MAX, &out);
    draft->json = arena_str(description->arena, buf_view(&out));
}

static unsigned status_of(const struct node *operation)
{
    const struct node *responses = node_get(operation, "responses");

    if (responses == NULL || responses->kind != NODE_MAP)
        return 0;
    NODE_EACH(responses, response)
    {
        uint64_t status;
        if (str_to_u64(response->key, &status) && status >= 200 && status < 300)
            return (unsigned)status;
    }
    return 0;
}

static enum err write_operation(struct description *description, const struct node *path,
                                const struct node *operation, struct why *why)
{
    struct draft *draft = calloc(1, sizeof(*draft));

    if (draft == NULL)
        must_memory(sizeof(*draft));
    draft->name = text_of(operation, "operationId");
    draft->method = operation->key;
    draft->url_has_holes = true;
    read_parameters(description, node_get(path, "parameters"), draft);
    read_parameters(description, node_get(operation, "parameters"), draft);
    draft->url = path_of(description, path->key);
    read_body(description, operation, draft);
    draft->status = status_of(operation);
    enum err err = import_draft(draft, &description->steps, why);
    free(draft);
    description->count++;
    return err;
}

static enum err write_path(struct description *description, const struct node *path,
                           struct why *why)
{
    static const char *const methods[] = {"get", "head", "options", "post", "put", "patch"};

    if (path->kind != NODE_MAP)
        return ERR_NONE;
    description->left_out += node_get(path, "delete") != NULL;
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        const struct node *operation = node_get(path, methods[i]);
        if (operation != NULL && operation->kind == NODE_MAP)
            TRY(write_operation(description, path, operation, why));
    }
    return ERR_NONE;
}

/* ---- The whole. ---- */

/* Where the servers are; what is not a whole URL is for people to put in. */
static void write_base(const struct node *root, struct buf *out)
{
    const struct node *servers = node_get(root, "servers");
    struct str url = servers == NULL || servers->kind != NODE_LIST || servers->first == NULL
                         ? STR_NONE
                         : text_of(servers->first, "url");
    struct str host = text_of(root, "host");

    buf_text(out, "# From an OpenAPI description: look through the samples before you run it.\n");
    buf_text(out, "base: ");
    if (str_starts(url, STR("http")) && str_find(url, '{') < 0) {
        import_text(url, out);
    } else {
        struct buf base CLEANUP(buf_done) = {0};
        struct str path = url.size > 0 && url.data[0] == '/' ? url : text_of(root, "basePath");
        buf_printf(&base, "http://%.*s%.*s", host.size > 0 ? (int)host.size : 9,
                   host.size > 0 ? host.data : "127.0.0.1", STR_ARG(path));
        import_text(buf_view(&base), out);
        if (host.size == 0)
            buf_text(out, " # The description names no server.");
    }
    buf_text(out, "\nload:\n  users: 10\n  duration: 30s\n");
}

static enum err write_all(struct description *description, const char *name, struct buf *out,
                          struct why *why)
{
    const struct node *paths;

    TRY(node_map(description->root, why));
    TRY(node_need(description->root, "paths", &paths, why));
    TRY(node_map(paths, why));
    NODE_EACH(paths, path)
    {
        TRY(write_path(description, path, why));
    }
    if (description->count == 0)
        return fail(why, ERR_INVALID, "%s: the description has no operation", name);
    write_base(description->root, out);
    if (description->variables_count > 0) {
        buf_text(out, "variables:\n");
        buf_str(out, buf_view(&description->head));
    }
    buf_text(out, "steps:\n");
    buf_str(out, buf_view(&description->steps));
    if (description->left_out > 0)
        buf_printf(out, "# %zu deletion%s left out.\n", description->left_out,
                   description->left_out == 1 ? " was" : "s were");
    return ERR_NONE;
}

enum err import_openapi(struct str source, const char *name, struct arena *arena, struct buf *out,
                        struct why *why)
{
    struct description *description = calloc(1, sizeof(*description));
    struct str trimmed = str_trim(source);
    bool is_json = trimmed.size > 0 && trimmed.data[0] == '{';
    enum err err;

    if (description == NULL)
        must_memory(sizeof(*description));
    description->arena = arena;
    err = is_json ? json_read(source, name, SOURCE_BYTES_MAX, arena, &description->root, why)
                  : yaml_read(source, name, arena, &description->root, why);
    if (err == ERR_NONE)
        err = write_all(description, name, out, why);
    buf_done(&description->head);
    buf_done(&description->steps);
    free(description);
    return err;
}
