/* SPDX-License-Identifier: Apache-2.0 */
/* A template is a row of pieces, each a plain text, a variable or a function with its arguments. */
#include "load/template.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/nearest.h"
#include "load/session.h"
#include "stats/random.h"

#include <inttypes.h>

enum { PIECES_MAX = 10000, CHOICES_MAX = 100 };

enum hole {
    HOLE_NONE,
    HOLE_VARIABLE,
    HOLE_USER,
    HOLE_ITERATION,
    HOLE_NOW,
    HOLE_NOW_MS,
    HOLE_UUID,
    HOLE_RANDOM,
    HOLE_CHOICE,
    HOLE_BASE64
};

struct template_piece {
    enum hole hole;
    enum template_escape escape;
    struct str text;         /* HOLE_NONE. */
    size_t variable;         /* HOLE_VARIABLE. */
    int64_t low, high;       /* HOLE_RANDOM. */
    const struct str *words; /* HOLE_CHOICE. */
    size_t words_count;
    struct template inner; /* HOLE_BASE64. */
};

static const struct {
    struct str name;
    enum hole hole;
    bool takes_arguments;
} functions[] = {
    {{"user", 4}, HOLE_USER, false},    {{"iteration", 9}, HOLE_ITERATION, false},
    {{"now", 3}, HOLE_NOW, false},      {{"now_ms", 6}, HOLE_NOW_MS, false},
    {{"uuid", 4}, HOLE_UUID, false},    {{"random", 6}, HOLE_RANDOM, true},
    {{"choice", 6}, HOLE_CHOICE, true}, {{"base64", 6}, HOLE_BASE64, true},
};

/* ---- Compiling. ---- */

static enum err unknown(const struct plan *plan, struct str name, struct why *why)
{
    struct nearest nearest = nearest_begin(name);

    for (size_t i = 0; i < plan->variables_count; i++)
        nearest_offer(&nearest, plan->variables[i]);
    for (size_t i = 0; i < ARRAY_COUNT(functions); i++)
        nearest_offer(&nearest, functions[i].name);
    enum err err = fail(why, ERR_INVALID, "there is no variable '%.*s'", STR_ARG(name));
    struct str meant = nearest_found(&nearest);
    if (meant.size > 0)
        hint(why, "did you mean ${%.*s}?", STR_ARG(meant));
    else
        hint(why, "variables come from variables, data and extract");
    return err;
}

static enum err read_random(struct str arguments, struct template_piece *piece, struct why *why)
{
    struct str rest = arguments;
    struct str low = str_trim(str_split(&rest, ','));

    if (rest.data == NULL || !str_to_i64(low, &piece->low) ||
        !str_to_i64(str_trim(rest), &piece->high) || piece->low > piece->high)
        return fail(why, ERR_INVALID, "random(%.*s): two whole numbers, the smaller first",
                    STR_ARG(arguments));
    return ERR_NONE;
}

static enum err read_choice(struct plan *plan, struct str arguments, struct template_piece *piece,
                            struct why *why)
{
    struct str *words = ARENA_ARRAY(plan->arena, CHOICES_MAX, struct str);
    struct str rest = arguments;

    if (words == NULL)
        return arena_spent(plan->arena, "the plan", why);
    while (rest.data != NULL) {
        if (piece->words_count == CHOICES_MAX)
            return fail(why, ERR_LIMIT, "choice() has more than %d words", CHOICES_MAX);
        words[piece->words_count] = arena_str(plan->arena, str_trim(str_split(&rest, '|')));
        if (words[piece->words_count++].data == NULL)
            return arena_spent(plan->arena, "the plan", why);
    }
    piece->words = words;
    return ERR_NONE;
}

static enum err read_hole(struct plan *plan, struct str inside, struct template_piece *piece,
                          struct why *why)
{
    ptrdiff_t open = str_find(inside, '(');
    struct str name = open < 0 ? inside : (struct str){inside.data, (size_t)open};
    ptrdiff_t variable = plan_find_variable(plan, inside);

    if (variable >= 0) {
        piece->hole = HOLE_VARIABLE;
        piece->variable = (size_t)variable;
        return ERR_NONE;
    }
    for (size_t i = 0; i < ARRAY_COUNT(functions); i++) {
        if (!str_eq(name, functions[i].name))
            continue;
        if (functions[i].takes_arguments != (open >= 0) ||
            (open >= 0 && inside.data[inside.size - 1] != ')'))
            return fail(why, ERR_INVALID, "'${%.*s}': %s", STR_ARG(inside),
                        functions[i].takes_arguments ? "it needs arguments in brackets"
                                                     : "it takes no arguments");
        piece->hole = functions[i].hole;
        struct str arguments = {inside.data + open + 1, inside.size - (size_t)open - 2};
        if (piece->hole == HOLE_RANDOM)
            return read_random(arguments, piece, why);
        if (piece->hole == HOLE_CHOICE)
            return read_choice(plan, arguments, piece, why);
        if (piece->hole == HOLE_BASE64)
            return template_compile(plan, arguments, TEMPLATE_PLAIN, &piece->inner, why);
        return ERR_NONE;
    }
    return unknown(plan, inside, why);
}

static size_t count_pieces(struct str text)
{
    size_t count = 1;

    for (size_t i = 0; i + 1 < text.size; i++)
        count += text.data[i] == '$' && text.data[i + 1] == '{' ? 2 : 0;
    return count;
}

/* Where the hole that text begins with ends; holes may stand within it. */
static ptrdiff_t end_of_hole(struct str text)
{
    unsigned depth = 0;

    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '{' && i > 0 && text.data[i - 1] == '$')
            depth++;
        else if (text.data[i] == '}' && depth-- == 0)
            return (ptrdiff_t)i;
    }
    return -1;
}

/* How a hole is filled in depends on what stands before it. */
static enum template_escape escape_at(enum template_escape escape, struct str before)
{
    bool quoted = false;

    if (escape == TEMPLATE_TARGET)
        return str_find(before, '?') < 0 ? TEMPLATE_PLAIN : TEMPLATE_URL;
    if (escape != TEMPLATE_JSON)
        return escape;
    for (size_t i = 0; i < before.size; i++) {
        if (before.data[i] == '\\' && quoted)
            i++;
        else if (before.data[i] == '"')
            quoted = !quoted;
    }
    return quoted ? TEMPLATE_JSON : TEMPLATE_VALUE;
}

static enum err add_text(struct plan *plan, struct str text, struct template_piece *pieces,
                         struct template *template, struct why *why)
{
    if (text.size == 0)
        return ERR_NONE;
    struct str kept = arena_str(plan->arena, text);
    if (kept.data == NULL)
        return arena_spent(plan->arena, "the plan", why);
    pieces[template->count++] = (struct template_piece){.text = kept};
    return ERR_NONE;
}

enum err template_compile(struct plan *plan, struct str text, enum template_escape escape,
                          struct template *ret_template, struct why *why)
{
    struct template template = {0};
    size_t most = count_pieces(text);
    struct template_piece *pieces = ARENA_ARRAY(plan->arena, most, struct template_piece);
    struct str rest = text;

    if (most > PIECES_MAX)
        return fail(why, ERR_LIMIT, "the text has more than %d pieces", PIECES_MAX);
    if (pieces == NULL)
        return arena_spent(plan->arena, "the plan", why);
    template.pieces = pieces;
    for (;;) {
        ptrdiff_t at = str_find_str(rest, STR("${"));
        if (at < 0)
            break;
        bool escaped = at > 0 && rest.data[at - 1] == '$';
        TRY(add_text(plan, (struct str){rest.data, (size_t)at + escaped}, pieces, &template, why));
        if (escaped) { /* "$${": one dollar has been taken, the brace is plain. */
            rest = (struct str){rest.data + at + 1, rest.size - (size_t)at - 1};
            ((struct template_piece *)&pieces[template.count - 1])->text.size--;
            continue;
        }
        rest = (struct str){rest.data + at + 2, rest.size - (size_t)at - 2};
        ptrdiff_t end = end_of_hole(rest);
        if (end < 0)
            return fail(why, ERR_INVALID, "'${' without '}'");
        struct template_piece *piece = &pieces[template.count++];
        piece->escape = escape_at(escape, (struct str){text.data, (size_t)(rest.data - text.data)});
        TRY(read_hole(plan, str_trim((struct str){rest.data, (size_t)end}), piece, why));
        template.changes = true;
        rest = (struct str){rest.data + end + 1, rest.size - (size_t)end - 1};
    }
    TRY(add_text(plan, rest, pieces, &template, why));
    *ret_template = template;
    return ERR_NONE;
}

struct str template_plain(const struct plan *plan, const struct template *template)
{
    struct buf text CLEANUP(buf_done) = {0};

    for (size_t i = 0; i < template->count; i++)
        buf_str(&text, template->pieces[i].text);
    return text.size == 0 ? STR("") : arena_str(plan->arena, buf_view(&text));
}

void template_quote(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '$' && i + 1 < text.size && text.data[i + 1] == '{')
            buf_byte(out, '$');
        buf_byte(out, (uint8_t)text.data[i]);
    }
}

/* ---- Filling in. ---- */

static void write_uuid(struct random *random, struct buf *out)
{
    uint64_t high = (random_u64(random) & ~UINT64_C(0xf000)) | UINT64_C(0x4000);
    uint64_t low = (random_u64(random) & ~(UINT64_C(3) << 62)) | UINT64_C(1) << 63;

    buf_printf(out, "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64,
               high >> 32, high >> 16 & 0xffff, high & 0xffff, low >> 48,
               low & ((UINT64_C(1) << 48) - 1));
}

static void write_hole(const struct template_piece *piece, const struct session *session,
                       struct random *random, struct buf *out)
{
    switch (piece->hole) {
    case HOLE_NONE:
        return;
    case HOLE_VARIABLE:
        buf_str(out, buf_view(&session->values[piece->variable]));
        return;
    case HOLE_USER:
        buf_printf(out, "%" PRIu32, session->user);
        return;
    case HOLE_ITERATION:
        buf_printf(out, "%" PRIu64, session->iteration);
        return;
    case HOLE_NOW:
        buf_printf(out, "%" PRId64, clock_now_ms() / 1000);
        return;
    case HOLE_NOW_MS:
        buf_printf(out, "%" PRId64, clock_now_ms());
        return;
    case HOLE_UUID:
        write_uuid(random, out);
        return;
    case HOLE_RANDOM: {
        uint64_t span = (uint64_t)piece->high - (uint64_t)piece->low + 1;
        uint64_t drawn = span == 0 ? random_u64(random) : random_below(random, span);
        buf_printf(out, "%" PRId64, (int64_t)((uint64_t)piece->low + drawn));
        return;
    }
    case HOLE_BASE64: {
        struct buf inner CLEANUP(buf_done) = {0};
        template_write(&piece->inner, session, random, &inner);
        base64_write(buf_view(&inner), out);
        return;
    }
    case HOLE_CHOICE:
        buf_str(out, piece->words[random_below(random, piece->words_count)]);
        return;
    }
}

static bool is_bare(struct str value)
{
    double number;

    if (str_eq(value, STR("true")) || str_eq(value, STR("false")) || str_eq(value, STR("null")))
        return true;
    return value.size > 0 &&
           (value.data[0] == '-' || (value.data[0] >= '0' && value.data[0] <= '9')) &&
           str_find(value, 'x') < 0 && str_to_double(value, &number);
}

static void write_escaped(struct str value, enum template_escape escape, struct buf *out)
{
    static const char hex[] = "0123456789ABCDEF";

    switch (escape) {
    case TEMPLATE_PLAIN:
        buf_str(out, value);
        return;
    case TEMPLATE_VALUE:
        if (is_bare(value))
            buf_str(out, value);
        else
            json_str(out, value);
        return;
    case TEMPLATE_JSON: {
        size_t start = out->size;
        json_str(out, value);
        /* Without the quotes, which the text around has. */
        memmove(out->data + start, out->data + start + 1, out->size - start - 2);
        out->size -= 2;
        return;
    }
    case TEMPLATE_URL:
    case TEMPLATE_TARGET:
        break;
    }
    for (size_t i = 0; i < value.size; i++) {
        uint8_t byte = (uint8_t)value.data[i];
        bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= 'a' && byte <= 'z') || byte == '-' || byte == '.' || byte == '_' ||
                     byte == '~';
        if (plain) {
            buf_byte(out, byte);
        } else {
            buf_byte(out, '%');
            buf_byte(out, (uint8_t)hex[byte >> 4]);
            buf_byte(out, (uint8_t)hex[byte & 15]);
        }
    }
}

void template_write(const struct template *template, const struct session *session,
                    struct random *random, struct buf *out)
{
    for (size_t i = 0; i < template->count; i++) {
        const struct template_piece *piece = &template->pieces[i];
        if (piece->hole == HOLE_NONE) {
            buf_str(out, piece->text);
        } else if (piece->escape == TEMPLATE_PLAIN) {
            write_hole(piece, session, random, out);
        } else {
            struct buf value CLEANUP(buf_done) = {0};
            write_hole(piece, session, random, &value);
            write_escaped(buf_view(&value), piece->escape, out);
        }
    }
}

/* ---- Conditions. ---- */

enum relation { IS, IS_NOT, AT_MOST, AT_LEAST, LESS, MORE };

struct condition {
    struct template left, right;
    enum relation relation;
};

enum err condition_compile(struct plan *plan, struct str text,
                           const struct condition **ret_condition, struct why *why)
{
    /* The longer ones first: "<=" begins as "<" does. */
    static const struct str signs[] = {{"==", 2}, {"!=", 2}, {"<=", 2},
                                       {">=", 2}, {"<", 1},  {">", 1}};
    struct condition *condition = ARENA_NEW(plan->arena, struct condition);

    if (condition == NULL)
        return arena_spent(plan->arena, "the plan", why);
    for (size_t i = 0; i < ARRAY_COUNT(signs); i++) {
        ptrdiff_t at = str_find_str(text, signs[i]);
        if (at < 0)
            continue;
        struct str right = {text.data + at + signs[i].size, text.size - (size_t)at - signs[i].size};
        condition->relation = (enum relation)i;
        TRY(template_compile(plan, str_trim((struct str){text.data, (size_t)at}), TEMPLATE_PLAIN,
                             &condition->left, why));
        TRY(template_compile(plan, str_trim(right), TEMPLATE_PLAIN, &condition->right, why));
        *ret_condition = condition;
        return ERR_NONE;
    }
    enum err err = fail(why, ERR_INVALID, "'%.*s' compares nothing", STR_ARG(text));
    hint(why, "as in '${state} == done' or '${count} < 10'");
    return err;
}

bool condition_holds(const struct condition *condition, const struct session *session,
                     struct random *random)
{
    struct buf left CLEANUP(buf_done) = {0};
    struct buf right CLEANUP(buf_done) = {0};
    double a, b;

    template_write(&condition->left, session, random, &left);
    template_write(&condition->right, session, random, &right);
    if (condition->relation == IS || condition->relation == IS_NOT)
        return str_eq(buf_view(&left), buf_view(&right)) == (condition->relation == IS);
    if (!str_to_double(buf_view(&left), &a) || !str_to_double(buf_view(&right), &b))
        return false;
    switch (condition->relation) {
    case AT_MOST:
        return a <= b;
    case AT_LEAST:
        return a >= b;
    case LESS:
        return a < b;
    default:
        return a > b;
    }
}
