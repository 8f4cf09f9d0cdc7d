/* SPDX-License-Identifier: Apache-2.0 */
/* A made-up prompt is a row of short common English words, which tokenizers keep whole. A shared
 * beginning is drawn from a generator that starts from its number, so it is the same for all users
 * and runs; the rest differs each time, so that nobody's cache finds it. */
#include "load/prompt.h"

#include "base/json.h"
#include "codec/json_tree.h"
#include "codec/json_walk.h"
#include "load/data.h"
#include "load/parcel.h"
#include "load/session.h"
#include "stats/random.h"

#include <inttypes.h>
#include <math.h>

enum { TALK_LINE_BYTES_MAX = 4 << 20 };

static const char *const words[] = {
    "the",   "of",    "and",   "to",     "in",    "is",    "that",   "for",    "it",     "as",
    "was",   "with",  "be",    "by",     "on",    "not",   "he",     "his",    "but",    "at",
    "are",   "this",  "have",  "from",   "or",    "had",   "an",     "they",   "which",  "one",
    "you",   "were",  "her",   "all",    "she",   "there", "would",  "their",  "we",     "him",
    "been",  "has",   "when",  "who",    "will",  "more",  "no",     "if",     "out",    "so",
    "said",  "what",  "up",    "its",    "about", "into",  "than",   "them",   "can",    "only",
    "other", "new",   "some",  "could",  "time",  "these", "two",    "may",    "then",   "do",
    "first", "any",   "my",    "now",    "such",  "like",  "our",    "over",   "man",    "me",
    "even",  "most",  "made",  "after",  "also",  "did",   "many",   "before", "must",   "through",
    "back",  "years", "where", "much",   "your",  "way",   "well",   "down",   "should", "because",
    "each",  "just",  "those", "people", "too",   "how",   "little", "state",  "good",   "very",
    "make",  "world", "still", "own",    "see",   "men",   "work",   "long",   "here",   "get",
    "both",  "being", "under", "never",  "day",   "same",  "while",  "last",
};

/* ---- Lengths. ---- */

static enum err bad_length(struct str text, struct why *why)
{
    return fail(why, ERR_INVALID,
                "'%.*s' is no length such as 200, uniform(100, 300), normal(512, 100) or "
                "lognormal(300, 0.6)",
                STR_ARG(text));
}

enum err length_parse(struct str text, struct length *ret_length, struct why *why)
{
    static const struct {
        struct str name;
        enum length_kind kind;
    } kinds[] = {{{"uniform", 7}, LENGTH_UNIFORM},
                 {{"normal", 6}, LENGTH_NORMAL},
                 {{"lognormal", 9}, LENGTH_LOGNORMAL}};
    struct length length = {.kind = LENGTH_FIXED};
    struct str trimmed = str_trim(text);
    ptrdiff_t open = str_find(trimmed, '(');
    bool good = false;

    if (open < 0) {
        good = str_to_double(trimmed, &length.a);
    } else if (trimmed.data[trimmed.size - 1] == ')') {
        struct str name = {trimmed.data, (size_t)open};
        struct str rest = {trimmed.data + open + 1, trimmed.size - (size_t)open - 2};
        struct str first = str_trim(str_split(&rest, ','));
        for (size_t i = 0; i < ARRAY_COUNT(kinds) && rest.data != NULL; i++) {
            if (!str_eq(name, kinds[i].name))
                continue;
            length.kind = kinds[i].kind;
            good = str_to_double(first, &length.a) && str_to_double(str_trim(rest), &length.b) &&
                   length.b >= 0 && (length.kind != LENGTH_UNIFORM || length.b >= length.a) &&
                   (length.kind != LENGTH_LOGNORMAL || length.b <= 10);
        }
    }
    if (!good || !(length.a >= 1) || !(length.a <= PROMPT_TOKENS_MAX) ||
        !(length.b <= PROMPT_TOKENS_MAX))
        return bad_length(text, why);
    *ret_length = length;
    return ERR_NONE;
}

uint64_t length_draw(const struct length *length, struct random *random)
{
    double drawn = length->a;

    switch (length->kind) {
    case LENGTH_FIXED:
        break;
    case LENGTH_UNIFORM:
        drawn += floor(random_unit(random) * (length->b - length->a + 1));
        break;
    case LENGTH_NORMAL:
        drawn += length->b * random_normal(random);
        break;
    case LENGTH_LOGNORMAL:
        drawn *= exp(length->b * random_normal(random));
        break;
    }
    drawn = round(drawn);
    return drawn < 1 ? 1 : drawn > PROMPT_TOKENS_MAX ? PROMPT_TOKENS_MAX : (uint64_t)drawn;
}

/* ---- APIs. ---- */

static const struct {
    struct str name;
    struct str path;
    struct str sign; /* In other paths. */
} apis[] = {
    [PROMPT_OPENAI] = {{"openai", 6}, {"/v1/chat/completions", 20}, {"/completions", 12}},
    [PROMPT_ANTHROPIC] = {{"anthropic", 9}, {"/v1/messages", 12}, {"/messages", 9}},
    [PROMPT_OLLAMA] = {{"ollama", 6}, {"/api/chat", 9}, {"/api/chat", 9}},
};

bool prompt_api_parse(struct str name, enum prompt_api *ret_api)
{
    for (size_t i = 0; i < ARRAY_COUNT(apis); i++) {
        if (str_eq(name, apis[i].name)) {
            *ret_api = (enum prompt_api)i;
            return true;
        }
    }
    return false;
}

enum prompt_api prompt_api_of_path(struct str path)
{
    for (size_t i = 0; i < ARRAY_COUNT(apis); i++) {
        if (str_find_str(path, apis[i].sign) >= 0)
            return (enum prompt_api)i;
    }
    return PROMPT_OPENAI;
}

struct str prompt_api_path(enum prompt_api api)
{
    return apis[api].path;
}

/* ---- Files. ---- */

struct turn {
    size_t messages;        /* How many of the conversation are said by then. */
    uint64_t output_tokens; /* Of the recorded answer, about; 0: there was none. */
};

struct talk {
    const struct node *messages;
    const struct turn *turns;
    size_t turns_count;
};

static bool is_user(const struct node *message)
{
    const struct node *role = node_get(message, "role");

    return role != NULL && str_eq(role->text, STR("user"));
}

/* Words, at four bytes each; enough to ask for an answer about as long as the recorded one. */
static uint64_t tokens_of(const struct node *message)
{
    const struct node *content = node_get(message, "content");

    return content == NULL ? 0 : (content->text.size + 3) / 4;
}

static enum err read_talk(struct plan *plan, const struct node *root, struct talk *talk,
                          struct why *why)
{
    const struct node *messages;
    struct turn *turns;

    TRY(node_need(root, "messages", &messages, why));
    TRY(node_list(messages, why));
    turns = ARENA_ARRAY(plan->arena, messages->count + 1, struct turn);
    if (turns == NULL)
        return arena_spent(plan->arena, "the conversations", why);
    NODE_EACH(messages, message)
    {
        const struct node *role, *content;
        TRY(node_need(message, "role", &role, why));
        TRY(node_need(message, "content", &content, why));
        /* What was answered is told again, so a request follows each word of the user. */
        if (!is_user(message) || (message->next != NULL && is_user(message->next)))
            continue;
        turns[talk->turns_count++] =
            (struct turn){.messages = message->index + 1,
                          .output_tokens = message->next == NULL ? 0 : tokens_of(message->next)};
    }
    if (talk->turns_count == 0)
        return fail(why, ERR_INVALID, "no message is of the role user");
    if (talk->turns_count > PROMPT_TURNS_MAX)
        return fail(why, ERR_LIMIT, "there are more than %d turns", PROMPT_TURNS_MAX);
    talk->messages = messages;
    talk->turns = turns;
    return ERR_NONE;
}

enum err prompt_read_talks(struct plan *plan, const char *path, struct prompt *prompt,
                           struct why *why)
{
    struct buf text CLEANUP(buf_done) = {0};
    size_t lines = 1;
    uint32_t number = 0;

    TRY(parcel_file(plan->parcel, path, DATA_BYTES_MAX, &text, why));
    for (size_t i = 0; i < text.size; i++)
        lines += text.data[i] == '\n';
    if (lines > PROMPT_TALKS_MAX)
        return fail(why, ERR_LIMIT, "%s has more than %d lines", path, PROMPT_TALKS_MAX);
    struct talk *talks = ARENA_ARRAY(plan->arena, lines, struct talk);
    if (talks == NULL)
        return arena_spent(plan->arena, "the conversations", why);
    struct str rest = buf_view(&text);
    while (rest.data != NULL) {
        struct str line = str_trim(str_split(&rest, '\n'));
        const struct node *root;
        number++;
        if (line.size == 0)
            continue;
        enum err err = json_read(line, path, TALK_LINE_BYTES_MAX, plan->arena, &root, why);
        if (err == ERR_NONE)
            err = read_talk(plan, root, &talks[prompt->talks_count++], why);
        if (err != ERR_NONE) {
            if (why != NULL)
                why_prefix(why, "%s:%" PRIu32, path, number);
            return err;
        }
    }
    if (prompt->talks_count == 0)
        return fail(why, ERR_INVALID, "%s holds no conversation", path);
    prompt->talks = talks;
    return ERR_NONE;
}

enum err prompt_read_rows(struct plan *plan, const char *path, struct prompt *prompt,
                          struct why *why)
{
    struct data *rows;

    TRY(data_read(plan, path, &rows, why));
    prompt->row_prompt = data_find(rows, STR("prompt"));
    prompt->row_input = data_find(rows, STR("input_tokens"));
    prompt->row_output = data_find(rows, STR("output_tokens"));
    if (prompt->row_prompt < 0 && prompt->row_input < 0)
        return fail(why, ERR_INVALID, "%s has neither a column prompt nor input_tokens", path);
    for (size_t i = 0; i < rows->rows_count; i++) {
        const ptrdiff_t columns[] = {prompt->row_input, prompt->row_output};
        for (size_t j = 0; j < ARRAY_COUNT(columns); j++) {
            uint64_t tokens;
            if (columns[j] < 0)
                continue;
            struct str cell = rows->cells[i * rows->columns_count + (size_t)columns[j]];
            if (!str_to_u64(cell, &tokens) || tokens == 0 || tokens > PROMPT_TOKENS_MAX)
                return fail(why, ERR_INVALID, "%s: row %zu: '%.*s' is no number of tokens", path,
                            i + 1, STR_ARG(cell));
        }
    }
    prompt->rows = rows;
    return ERR_NONE;
}

enum err prompt_set_extra(struct plan *plan, struct str extra, struct prompt *prompt,
                          struct why *why)
{
    const struct node *root;
    struct str inside = str_trim(extra);

    TRY(json_read(inside, "extra", TALK_LINE_BYTES_MAX, plan->arena, &root, why));
    TRY(node_map(root, why));
    inside = str_trim((struct str){inside.data + 1, inside.size - 2});
    prompt->extra = arena_str(plan->arena, inside);
    return prompt->extra.data == NULL ? arena_spent(plan->arena, "the plan", why) : ERR_NONE;
}

size_t prompt_turns_max(const struct prompt *prompt)
{
    size_t most = 1;

    for (size_t i = 0; i < prompt->talks_count; i++) {
        if (prompt->talks[i].turns_count > most)
            most = prompt->talks[i].turns_count;
    }
    return most;
}

bool prompt_has_turn(const struct prompt *prompt, const struct session *session)
{
    if (prompt->talks == NULL)
        return session->turn == 0;
    return session->turn == 0 || session->turn < prompt->talks[session->talk].turns_count;
}

/* ---- Bodies. ---- */

static void write_words(uint64_t count, struct random *random, bool *first, struct buf *out)
{
    for (uint64_t i = 0; i < count; i++) {
        if (!*first)
            buf_byte(out, ' ');
        *first = false;
        buf_text(out, words[random_u64(random) % ARRAY_COUNT(words)]);
    }
}

static void write_made_up(const struct prompt *prompt, uint64_t tokens, struct random *random,
                          struct buf *out)
{
    uint64_t shared = prompt->prefix_tokens < tokens ? prompt->prefix_tokens : tokens;
    bool first = true;

    buf_byte(out, '"');
    if (shared > 0) {
        struct random same = random_begin(random_below(random, prompt->prefixes) + 1);
        write_words(shared, &same, &first, out);
    }
    write_words(tokens - shared, random, &first, out);
    buf_byte(out, '"');
}

static void write_node(const struct node *node, struct buf *out)
{
    const char *between = "";

    switch (node->kind) {
    case NODE_NULL:
        buf_text(out, "null");
        return;
    case NODE_SCALAR:
        if (node->quoted)
            json_str(out, node->text);
        else
            buf_str(out, node->text);
        return;
    case NODE_LIST:
    case NODE_MAP:
        buf_byte(out, node->kind == NODE_MAP ? '{' : '[');
        NODE_EACH(node, child)
        {
            buf_text(out, between);
            between = ",";
            if (node->kind == NODE_MAP) {
                json_str(out, child->key);
                buf_byte(out, ':');
            }
            write_node(child, out);
        }
        buf_byte(out, node->kind == NODE_MAP ? '}' : ']');
        return;
    }
}

/* A system message stands beside the others in Anthropic's words. */
static bool is_system(const struct node *message)
{
    const struct node *role = node_get(message, "role");

    return role != NULL &&
           (str_eq(role->text, STR("system")) || str_eq(role->text, STR("developer")));
}

static void write_talk(const struct prompt *prompt, const struct talk *talk,
                       const struct turn *turn, struct buf *out)
{
    bool apart = prompt->api == PROMPT_ANTHROPIC;
    const char *between = "";

    buf_text(out, "\"messages\":[");
    NODE_EACH(talk->messages, message)
    {
        if (message->index >= turn->messages)
            break;
        if (apart && is_system(message))
            continue;
        buf_text(out, between);
        between = ",";
        write_node(message, out);
    }
    buf_byte(out, ']');
    NODE_EACH(talk->messages, message)
    {
        const struct node *content = node_get(message, "content");
        if (!apart || !is_system(message) || content == NULL)
            continue;
        buf_text(out, ",\"system\":");
        write_node(content, out);
        return;
    }
}

/* Returns how many tokens the answer is to have. */
static uint64_t write_messages(const struct prompt *prompt, struct session *session,
                               struct random *random, struct buf *out)
{
    uint64_t wanted = length_draw(&prompt->output, random);
    uint64_t tokens;

    if (prompt->talks != NULL) {
        if (session->turn == 0)
            session->talk = random_below(random, prompt->talks_count);
        const struct talk *talk = &prompt->talks[session->talk];
        const struct turn *turn = &talk->turns[session->turn++];
        write_talk(prompt, talk, turn, out);
        return turn->output_tokens > 0 ? turn->output_tokens : wanted;
    }
    session->turn++;
    tokens = length_draw(&prompt->input, random);
    buf_text(out, "\"messages\":[{\"role\":\"user\",\"content\":");
    if (prompt->rows != NULL) {
        struct data *rows = prompt->rows;
        const struct str *row = rows->cells + data_next(rows, random) * rows->columns_count;
        if (prompt->row_input >= 0)
            (void)str_to_u64(row[prompt->row_input], &tokens); /* Checked when it was read. */
        if (prompt->row_output >= 0)
            (void)str_to_u64(row[prompt->row_output], &wanted);
        if (prompt->row_prompt >= 0)
            json_str(out, row[prompt->row_prompt]);
        else
            write_made_up(prompt, tokens, random, out);
    } else {
        write_made_up(prompt, tokens, random, out);
    }
    buf_text(out, "}]");
    return wanted;
}

void prompt_write(const struct prompt *prompt, struct session *session, struct random *random,
                  struct buf *out)
{
    buf_text(out, "{\"model\":");
    json_str(out, prompt->model);
    buf_byte(out, ',');
    uint64_t wanted = write_messages(prompt, session, random, out);
    switch (prompt->api) {
    case PROMPT_OPENAI:
        buf_printf(out,
                   ",\"max_tokens\":%" PRIu64
                   ",\"stream\":true,\"stream_options\":{\"include_usage\":true}",
                   wanted);
        break;
    case PROMPT_ANTHROPIC:
        buf_printf(out, ",\"max_tokens\":%" PRIu64 ",\"stream\":true", wanted);
        break;
    case PROMPT_OLLAMA:
        buf_printf(out, ",\"stream\":true,\"options\":{\"num_predict\":%" PRIu64 "}", wanted);
        break;
    }
    if (prompt->extra.size > 0) {
        buf_byte(out, ',');
        buf_str(out, prompt->extra);
    }
    buf_byte(out, '}');
    session->tokens_asked = wanted;
}
