/* SPDX-License-Identifier: Apache-2.0 */
/* libyaml turns text into events; a stack of open maps and lists turns events into nodes. In a map
 * the first event of each pair is its key, which is kept in the frame until its value comes. */
#include "codec/yaml.h"

#include <stdio.h>
#include <yaml.h>

struct frame {
    struct node *node;
    bool has_key; /* Of a map: the key has come, its value is next. */
    struct str key;
    uint32_t key_line, key_column;
};

struct reader {
    yaml_parser_t parser;
    struct node_builder builder;
    struct frame frames[NODE_DEPTH_MAX];
    size_t depth;
    struct node *root;
};

static enum err fail_mark(const struct reader *reader, const yaml_mark_t *mark, const char *text,
                          struct why *why)
{
    return fail(why, ERR_INVALID, "%s:%zu:%zu: %s", reader->builder.document, mark->line + 1,
                mark->column + 1, text);
}

/* libyaml's complaints are true but terse; the frequent ones get the next step. */
static const struct {
    const char *part;
    const char *next_step;
} hints[] = {
    {"tab character", "YAML indents with spaces, not tabs"},
    {"cannot start any token", "YAML indents with spaces, not tabs; a value that begins with a "
                               "special character needs quotes"},
    {"mapping values are not allowed", "a value that holds ': ' needs quotes"},
    {"could not find expected ':'", "write 'key: value', with a space after the colon"},
    {"did not find expected key", "check that this line is indented as its neighbours"},
};

static enum err fail_parser(const struct reader *reader, struct why *why)
{
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem == NULL ? "not YAML" : parser->problem;
    char text[256];

    if (parser->error == YAML_READER_ERROR)
        return fail(why, ERR_INVALID, "%s: byte %zu: %s", reader->builder.document,
                    parser->problem_offset, problem);
    (void)snprintf(text, sizeof(text), "%s%s%s", problem, parser->context == NULL ? "" : " ",
                   parser->context == NULL ? "" : parser->context);
    (void)fail_mark(reader, &parser->problem_mark, text, why);
    for (size_t i = 0; i < ARRAY_COUNT(hints); i++) {
        if (strstr(problem, hints[i].part) != NULL)
            hint(why, "%s", hints[i].next_step);
    }
    return ERR_INVALID;
}

static enum err copy(struct reader *reader, const void *data, size_t size, struct str *ret_str,
                     struct why *why)
{
    struct str text = arena_str(reader->builder.arena, (struct str){data, size});

    if (text.data == NULL)
        return arena_spent(reader->builder.arena, reader->builder.document, why);
    *ret_str = text;
    return ERR_NONE;
}

/* A new value: in the map under the key that waits, in the list at its end, or the root. */
static enum err add_value(struct reader *reader, const yaml_event_t *event, enum node_kind kind,
                          struct node **ret_node, struct why *why)
{
    struct frame *frame = reader->depth == 0 ? NULL : &reader->frames[reader->depth - 1];
    struct node *node;

    if (frame != NULL && frame->node->kind == NODE_MAP && !frame->has_key)
        return fail_mark(reader, &event->start_mark, "a key must be a text", why);
    TRY(node_add(&reader->builder, frame == NULL ? NULL : frame->node, &node, why));
    node->kind = kind;
    node->line = (uint32_t)event->start_mark.line + 1;
    node->column = (uint32_t)event->start_mark.column + 1;
    if (frame == NULL) {
        reader->root = node;
    } else if (frame->node->kind == NODE_MAP) {
        node->key = frame->key;
        frame->has_key = false;
        /* Where the value is a map or list of its own, or nothing at all, the key is the place
         * that a person looks for. */
        if (kind != NODE_SCALAR) {
            node->line = frame->key_line;
            node->column = frame->key_column;
        }
    }
    *ret_node = node;
    return ERR_NONE;
}

static bool is_null(const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;

    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (event->data.scalar.length == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static enum err read_scalar(struct reader *reader, const yaml_event_t *event, struct why *why)
{
    struct frame *frame = reader->depth == 0 ? NULL : &reader->frames[reader->depth - 1];
    struct node *node;

    if (frame != NULL && frame->node->kind == NODE_MAP && !frame->has_key) {
        frame->has_key = true;
        frame->key_line = (uint32_t)event->start_mark.line + 1;
        frame->key_column = (uint32_t)event->start_mark.column + 1;
        return copy(reader, event->data.scalar.value, event->data.scalar.length, &frame->key, why);
    }
    TRY(add_value(reader, event, is_null(event) ? NODE_NULL : NODE_SCALAR, &node, why));
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return copy(reader, event->data.scalar.value, event->data.scalar.length, &node->text, why);
}

static enum err read_start(struct reader *reader, const yaml_event_t *event, enum node_kind kind,
                           struct why *why)
{
    struct node *node;

    if (reader->depth == NODE_DEPTH_MAX)
        return fail_mark(reader, &event->start_mark, "nested too deeply", why);
    TRY(add_value(reader, event, kind, &node, why));
    reader->frames[reader->depth++] = (struct frame){.node = node};
    return ERR_NONE;
}

static enum err read_end(struct reader *reader, struct why *why)
{
    struct node *node = reader->frames[--reader->depth].node;

    return node->kind == NODE_MAP ? node_finish_map(&reader->builder, node, why) : ERR_NONE;
}

/* Anchors and tags come with the events that they decorate. */
static enum err refuse_decoration(const struct reader *reader, const yaml_event_t *event,
                                  const yaml_char_t *anchor, const yaml_char_t *tag,
                                  struct why *why)
{
    if (anchor != NULL)
        return fail_mark(reader, &event->start_mark,
                         "anchors (&name) are not accepted; repeat the value", why);
    if (tag != NULL)
        return fail_mark(reader, &event->start_mark, "tags (!name) are not accepted", why);
    return ERR_NONE;
}

static enum err read_event(struct reader *reader, const yaml_event_t *event, struct why *why)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (reader->root != NULL)
            return fail_mark(reader, &event->start_mark,
                             "a second document begins here; one file holds one", why);
        return ERR_NONE;
    case YAML_ALIAS_EVENT:
        return fail_mark(reader, &event->start_mark,
                         "aliases (*name) are not accepted; repeat the value", why);
    case YAML_SCALAR_EVENT:
        TRY(refuse_decoration(reader, event, event->data.scalar.anchor, event->data.scalar.tag,
                              why));
        return read_scalar(reader, event, why);
    case YAML_SEQUENCE_START_EVENT:
        TRY(refuse_decoration(reader, event, event->data.sequence_start.anchor,
                              event->data.sequence_start.tag, why));
        return read_start(reader, event, NODE_LIST, why);
    case YAML_MAPPING_START_EVENT:
        TRY(refuse_decoration(reader, event, event->data.mapping_start.anchor,
                              event->data.mapping_start.tag, why));
        return read_start(reader, event, NODE_MAP, why);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return read_end(reader, why);
    default:
        return ERR_NONE;
    }
}

static enum err read_events(struct reader *reader, struct why *why)
{
    for (;;) {
        yaml_event_t event CLEANUP(yaml_event_delete);
        if (!yaml_parser_parse(&reader->parser, &event)) {
            event = (yaml_event_t){0};
            return fail_parser(reader, why);
        }
        if (event.type == YAML_STREAM_END_EVENT)
            return ERR_NONE;
        TRY(read_event(reader, &event, why));
    }
}

enum err yaml_read(struct str text, const char *name, struct arena *arena,
                   const struct node **ret_root, struct why *why)
{
    struct reader reader = {.builder.arena = arena};

    if (text.size > YAML_SIZE_MAX)
        return fail(why, ERR_TOO_LARGE, "%s is larger than %d bytes", name, YAML_SIZE_MAX);
    reader.builder.document = arena_printf(arena, "%s", name);
    if (reader.builder.document == NULL)
        return arena_spent(arena, name, why);
    if (!yaml_parser_initialize(&reader.parser))
        must_memory(sizeof(reader.parser));
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text.data, text.size);
    enum err err = read_events(&reader, why);
    yaml_parser_delete(&reader.parser);
    TRY(err);

    if (reader.root == NULL) {
        TRY(node_add(&reader.builder, NULL, &reader.root, why));
        reader.root->line = reader.root->column = 1;
    }
    *ret_root = reader.root;
    return ERR_NONE;
}
