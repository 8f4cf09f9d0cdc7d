/* SPDX-License-Identifier: Apache-2.0 */
/* Runs files of PromQL cases (promql_cases.h) and tells in TAP what came of each.
 *
 * Without arguments: our own cases beside this file, and Prometheus' where they are at hand, in the
 * folder that SONDE_PROMQL_CASES names or in ../shared/data/promqltest beside the source tree.
 * Arguments are files to run instead.
 *
 * As Prometheus' own runner does, an instant case is also asked in three other ways that must give
 * the same answer: printed in canonical form and parsed again, with every selector pinned by
 * `@ time` and asked at other times, and as the middle step of a range. */
#include "memory_view.h"
#include "promql_cases.h"

#include "base/file.h"
#include "query/promql.h"
#include "query/promql_ast.h"
#include "query/promql_functions.h"
#include "query/regex.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>

enum { LINES_MAX = 20000, EXPECTED_MAX = 512, NOTES_MAX = 16, ARENA_BYTES = 256 << 20 };

enum note_kind { NOTE_WARN, NOTE_NO_WARN, NOTE_INFO, NOTE_NO_INFO, NOTE_FAIL, NOTE_ORDERED };

struct expected_note {
    enum note_kind kind;
    bool is_regex;
    struct str text; /* Size 0: any. */
};

struct expected_series {
    struct labels *labels;
    struct case_values values;
};

struct eval_case {
    size_t line;
    struct str text;
    bool is_range;
    int64_t start_ms, end_ms, step_ms;
    struct expected_note notes[NOTES_MAX];
    size_t notes_count;
    struct expected_series series[EXPECTED_MAX];
    size_t series_count;
    bool expects_scalar;
    double scalar;
    bool expects_string;
    struct str string;
    bool expects_matrix; /* "expect range vector" */
    int64_t matrix_start_ms, matrix_step_ms;
    bool histogram; /* Native histograms are expected. */
};

struct runner {
    struct memory_view memory;
    struct arena *arena; /* Of the file's text pieces. */
    struct str lines[LINES_MAX];
    size_t lines_count;
    const char *file;
    size_t tests;
    size_t failed;
    size_t skipped;
    char complaint[1024];
};

static bool complain(struct runner *runner, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(runner->complaint, sizeof(runner->complaint), format, arguments); /* Cut. */
    va_end(arguments);
    return false;
}

/* --- comparing --- */

static bool almost_equal(double a, double b)
{
    const double epsilon = 1e-6;
    const double least = 2.2250738585072014e-308;

    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    if (a == b)
        return true;
    double difference = fabs(a - b);
    double sum = fabs(a) + fabs(b);
    if (a == 0 || b == 0 || sum < least)
        return difference < epsilon * least;
    return difference / fmin(sum, 1.7976931348623157e308) < epsilon;
}

static bool has_note(const struct eval_case *wanted, enum note_kind kind)
{
    for (size_t i = 0; i < wanted->notes_count; i++)
        if (wanted->notes[i].kind == kind)
            return true;
    return false;
}

static bool note_matches(const struct expected_note *note, struct str text)
{
    struct regex *regex;
    struct buf pattern = {0};

    if (note->text.size == 0)
        return true;
    if (!note->is_regex)
        return str_eq(note->text, text);
    buf_printf(&pattern, ".*(%.*s).*", STR_ARG(note->text));
    bool matches = regex_new(buf_view(&pattern), &regex, NULL) == ERR_NONE;
    if (matches) {
        matches = regex_matches(regex, text);
        (void)regex_free(regex); /* NULL. */
    }
    buf_done(&pattern);
    return matches;
}

static bool check_notes_of(struct runner *runner, const struct eval_case *wanted,
                           const struct promql_result *result, bool warning)
{
    enum note_kind kind = warning ? NOTE_WARN : NOTE_INFO;
    enum note_kind none = warning ? NOTE_NO_WARN : NOTE_NO_INFO;
    size_t count = 0;

    for (size_t i = 0; i < result->notes_count; i++) {
        if (result->notes[i].warning != warning)
            continue;
        bool wished = !has_note(wanted, kind);
        count++;
        for (size_t j = 0; j < wanted->notes_count; j++)
            if (wanted->notes[j].kind == kind &&
                note_matches(&wanted->notes[j], str_of(result->notes[i].text)))
                wished = true;
        if (has_note(wanted, none) || !wished)
            return complain(runner, "unexpected: %s", result->notes[i].text);
    }
    if (has_note(wanted, kind) && count == 0)
        return complain(runner, "expected a %s, got none", warning ? "warning" : "info");
    return true;
}

static const char *show(const struct labels *labels)
{
    static struct buf buf;

    buf_clear(&buf);
    labels_write(&buf, labels);
    return buf_cstr(&buf);
}

static ptrdiff_t find_expected(const struct eval_case *wanted, const struct labels *labels)
{
    for (size_t i = 0; i < wanted->series_count; i++)
        if (labels_eq(wanted->series[i].labels, labels))
            return (ptrdiff_t)i;
    return -1;
}

static bool check_points(struct runner *runner, const struct promql_series *series,
                         const struct case_values *values, int64_t start_ms, int64_t step_ms)
{
    size_t at = 0;

    for (size_t i = 0; i < values->count; i++) {
        int64_t time_ms = start_ms + (int64_t)i * step_ms;
        if (values->items[i].omitted)
            continue;
        if (at >= series->count || series->times_ms[at] != time_ms)
            return complain(runner, "%s: no point at %" PRId64 " ms (has %" PRId64 ")",
                            show(series->labels), time_ms,
                            at < series->count ? series->times_ms[at] : -1);
        if (!almost_equal(series->values[at], values->items[i].value))
            return complain(runner, "%s at %" PRId64 " ms: expected %.17g, got %.17g",
                            show(series->labels), time_ms, values->items[i].value,
                            series->values[at]);
        at++;
    }
    if (at < series->count)
        return complain(runner, "%s: a point too many at %" PRId64 " ms: %g", show(series->labels),
                        series->times_ms[at], series->values[at]);
    return true;
}

static bool check_series(struct runner *runner, const struct eval_case *wanted,
                         const struct promql_result *result, bool is_range)
{
    bool seen[EXPECTED_MAX] = {0};

    if (wanted->expects_scalar)
        return complain(runner, "expected a scalar");
    for (size_t i = 0; i < result->series_count; i++) {
        const struct promql_series *series = &result->series[i];
        ptrdiff_t found = find_expected(wanted, series->labels);
        if (found < 0)
            return complain(runner, "unexpected series %s %g", show(series->labels),
                            series->values[0]);
        if (has_note(wanted, NOTE_ORDERED) && !is_range && (size_t)found != i)
            return complain(runner, "%s: expected as number %td, came as %zu", show(series->labels),
                            found + 1, i + 1);
        if (!check_points(runner, series, &wanted->series[found].values,
                          wanted->expects_matrix ? wanted->matrix_start_ms : wanted->start_ms,
                          wanted->expects_matrix ? wanted->matrix_step_ms : wanted->step_ms))
            return false;
        seen[found] = true;
    }
    for (size_t i = 0; i < wanted->series_count; i++) {
        bool empty = true;
        for (size_t v = 0; v < wanted->series[i].values.count; v++)
            empty = empty && wanted->series[i].values.items[v].omitted;
        if (!seen[i] && !empty)
            return complain(runner, "missing series %s", show(wanted->series[i].labels));
    }
    return true;
}

static bool check_result(struct runner *runner, const struct eval_case *wanted,
                         const struct promql_result *result, bool is_range)
{
    if (!check_notes_of(runner, wanted, result, true) ||
        !check_notes_of(runner, wanted, result, false))
        return false;
    if (result->type == PROMQL_SCALAR) {
        if (!wanted->expects_scalar || !almost_equal(result->scalar, wanted->scalar))
            return complain(runner, "got the scalar %.17g, expected %.17g", result->scalar,
                            wanted->scalar);
        return true;
    }
    if (result->type == PROMQL_STRING) {
        if (!wanted->expects_string || !str_eq(result->string, wanted->string))
            return complain(runner, "got the string '%.*s'", STR_ARG(result->string));
        return true;
    }
    return check_series(runner, wanted, result, is_range);
}

/* --- asking --- */

struct asked {
    struct promql_expression *expression;
    struct arena *arena;
    struct promql_result result;
    enum err err;
    struct why why;
};

static struct asked ask(struct runner *runner, struct str text, bool is_range, int64_t start_ms,
                        int64_t end_ms, int64_t step_ms)
{
    struct asked asked = {.why = WHY_INIT};
    struct promql_query query = {
        .source = &runner->memory.view,
        .start_ms = start_ms,
        .end_ms = end_ms,
        .step_ms = step_ms,
    };

    asked.arena = arena_new(ARENA_BYTES);
    query.arena = asked.arena;
    asked.err = promql_parse(text, &asked.expression, &asked.why);
    if (asked.err != ERR_NONE)
        return asked;
    asked.err = is_range ? promql_eval_range(asked.expression, &query, &asked.result, &asked.why)
                         : promql_eval_instant(asked.expression, &query, &asked.result, &asked.why);
    return asked;
}

static void asked_done(struct asked *asked)
{
    asked->expression = promql_free(asked->expression);
    asked->arena = arena_free(asked->arena);
}

static bool check_failure(struct runner *runner, const struct eval_case *wanted,
                          const struct asked *asked)
{
    for (size_t i = 0; i < wanted->notes_count; i++)
        if (wanted->notes[i].kind == NOTE_FAIL &&
            !note_matches(&wanted->notes[i], str_of(asked->why.text)))
            return complain(runner, "failed with: %s", asked->why.text);
    return true;
}

static bool check_asked(struct runner *runner, const struct eval_case *wanted,
                        const struct asked *asked, bool is_range)
{
    if (has_note(wanted, NOTE_FAIL)) {
        if (asked->err == ERR_NONE)
            return complain(runner, "expected a failure");
        return check_failure(runner, wanted, asked);
    }
    if (asked->err != ERR_NONE)
        return complain(runner, "failed: %s", asked->why.text);
    return check_result(runner, wanted, &asked->result, is_range);
}

/* --- the same question in other words --- */

static bool depends_on_time(const struct node *node)
{
    static const char *const names[] = {
        "days_in_month", "day_of_month", "day_of_week", "day_of_year",    "end",
        "hour",          "minute",       "month",       "predict_linear", "range",
        "start",         "step",         "time",        "timestamp",      "year",
    };

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(node->call.function->name, names[i]) == 0)
            return true;
    return false;
}

/* @ start() and @ end() depend on the time of asking. */
static bool pin_moment(struct moment *moment, int64_t time_ms)
{
    if (moment->at == AT_NONE)
        *moment = (struct moment){AT_TIME, time_ms, moment->offset};
    return moment->at == AT_TIME;
}

/* Puts @ on every selector and outermost subquery that has none; false when a function's value
 * depends on the time of asking anyway. */
static bool pin(struct node *node, int64_t time_ms)
{
    bool pinned = true;

    switch (node->kind) {
    case NODE_SELECTOR:
        return pin_moment(&node->selector.moment, time_ms);
    case NODE_SUBQUERY:
        return pin_moment(&node->subquery.moment, time_ms);
    case NODE_CALL:
        for (size_t i = 0; i < node->call.arguments_count; i++)
            pinned = pin((struct node *)node->call.arguments[i], time_ms) && pinned;
        return pinned && !depends_on_time(node);
    case NODE_AGGREGATE:
        if (node->aggregate.parameter != NULL)
            pinned = pin((struct node *)node->aggregate.parameter, time_ms);
        return pin((struct node *)node->aggregate.expression, time_ms) && pinned;
    case NODE_BINARY:
        pinned = pin((struct node *)node->binary.left, time_ms);
        return pin((struct node *)node->binary.right, time_ms) && pinned;
    case NODE_UNARY:
        return pin((struct node *)node->unary.operand, time_ms);
    case NODE_PAREN:
        return pin((struct node *)node->paren, time_ms);
    default:
        return true;
    }
}

static bool contains_time_call(const struct node *node)
{
    switch (node->kind) {
    case NODE_SUBQUERY:
        return contains_time_call(node->subquery.expression);
    case NODE_CALL:
        for (size_t i = 0; i < node->call.arguments_count; i++)
            if (contains_time_call(node->call.arguments[i]))
                return true;
        return depends_on_time(node);
    case NODE_AGGREGATE:
        return contains_time_call(node->aggregate.expression) ||
               (node->aggregate.parameter != NULL && contains_time_call(node->aggregate.parameter));
    case NODE_BINARY:
        return contains_time_call(node->binary.left) || contains_time_call(node->binary.right);
    case NODE_UNARY:
        return contains_time_call(node->unary.operand);
    case NODE_PAREN:
        return contains_time_call(node->paren);
    default:
        return false;
    }
}

static bool check_at(struct runner *runner, const struct eval_case *wanted, struct str text,
                     int64_t time_ms)
{
    struct asked asked = ask(runner, text, false, time_ms, time_ms, 0);
    bool same = check_asked(runner, wanted, &asked, false);

    asked_done(&asked);
    if (!same) {
        char complaint[900];
        (void)snprintf(complaint, sizeof(complaint), "%.899s", runner->complaint); /* Cut. */
        return complain(runner, "as %.*s at %" PRId64 ": %s", STR_ARG(text), time_ms, complaint);
    }
    return true;
}

static bool check_pinned(struct runner *runner, struct eval_case *wanted)
{
    struct promql_expression *expression;
    struct buf text = {0};
    int64_t at = wanted->start_ms;
    int64_t others[] = {-10 * at, 0, at / 5, at, 10 * at};
    struct eval_case moved = *wanted;
    bool same = true;

    if (at == 0) {
        others[0] = -1000;
        others[4] = 1000;
    }
    if (promql_parse(wanted->text, &expression, NULL) != ERR_NONE)
        return true; /* A case that is expected to fail. */
    promql_format(expression, &text);
    same = check_at(runner, wanted, buf_view(&text), at);
    if (pin((struct node *)expression->root, at) && !contains_time_call(expression->root)) {
        buf_clear(&text);
        promql_format(expression, &text);
        for (size_t i = 0; i < ARRAY_COUNT(others) && same; i++) {
            moved.start_ms = others[i];
            same = check_at(runner, &moved, buf_view(&text), others[i]);
        }
    }
    buf_done(&text);
    (void)promql_free(expression); /* NULL. */
    return same;
}

static bool asks_for_bounds(struct str text)
{
    static const char *const words[] = {"start()", "end()", "range()", "step()"};

    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (str_find_str(text, str_of(words[i])) >= 0)
            return true;
    return false;
}

/* The middle of three steps says what the instant said. */
static bool check_middle(struct runner *runner, const struct eval_case *wanted)
{
    struct str text = wanted->text;
    struct eval_case middle = *wanted;
    struct labels *none = labels_build(calloc(1, labels_size(NULL, 0)), NULL, 0);
    struct case_value scalar = {.value = wanted->scalar};
    bool same = true;

    if (has_note(wanted, NOTE_FAIL) || has_note(wanted, NOTE_ORDERED) || wanted->expects_string ||
        wanted->expects_matrix || asks_for_bounds(text)) {
        free(none);
        return true;
    }
    middle.notes_count = 0; /* Steps beside it may say more. */
    if (wanted->expects_scalar) {
        middle.expects_scalar = false;
        middle.series_count = 1;
        middle.series[0] = (struct expected_series){none, {&scalar, 1, 1}};
    }
    struct asked asked =
        ask(runner, text, true, wanted->start_ms - 60000, wanted->start_ms + 60000, 60000);
    if (asked.err == ERR_NONE) {
        size_t kept = 0;
        for (size_t i = 0; i < asked.result.series_count; i++) {
            struct promql_series series = asked.result.series[i];
            for (size_t p = 0; p < series.count; p++)
                if (series.times_ms[p] == wanted->start_ms)
                    asked.result.series[kept++] = (struct promql_series){
                        series.labels, series.times_ms + p, series.values + p, 1};
        }
        asked.result.series_count = kept;
    }
    same = check_asked(runner, &middle, &asked, true);
    asked_done(&asked);
    free(none);
    if (!same) {
        char complaint[900];
        (void)snprintf(complaint, sizeof(complaint), "%.899s", runner->complaint); /* Cut. */
        return complain(runner, "in the middle of a range: %s", complaint);
    }
    return true;
}

/* --- running one case --- */

static void report(struct runner *runner, const struct eval_case *wanted, bool passed,
                   const char *skip)
{
    runner->tests++;
    if (skip != NULL)
        runner->skipped++;
    else if (!passed)
        runner->failed++;
    printf("%sok - %s:%zu %.*s%s%s\n", passed || skip != NULL ? "" : "not ", runner->file,
           wanted->line, STR_ARG(wanted->text), skip != NULL ? " # SKIP " : "",
           skip != NULL ? skip : "");
    if (!passed && skip == NULL)
        printf("# %s\n", runner->complaint);
}

static void run_case(struct runner *runner, struct eval_case *wanted)
{
    const char *skip = NULL;

    runner->memory.histogram_selected = false;
    struct asked asked = ask(runner, wanted->text, wanted->is_range, wanted->start_ms,
                             wanted->end_ms, wanted->step_ms);
    bool passed = check_asked(runner, wanted, &asked, wanted->is_range);
    asked_done(&asked);
    if (passed && !wanted->is_range)
        passed = check_pinned(runner, wanted) && check_middle(runner, wanted);
    if (runner->memory.histogram_selected || wanted->histogram)
        skip = "the store keeps no native histograms";
    report(runner, wanted, passed, skip);
}

/* --- reading the file --- */

static bool is_histogram_base(struct str name, struct str *ret_base)
{
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};

    for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++) {
        struct str suffix = str_of(suffixes[i]);
        if (!str_ends(name, suffix))
            continue;
        *ret_base = (struct str){name.data, name.size - suffix.size};
        return true;
    }
    return false;
}

/* load_with_nhcb also makes a native histogram of each classic one; here a series marked so. */
static void mark_native(struct runner *runner, const struct label *pairs, size_t count)
{
    struct label native[CASE_LABELS_MAX];
    size_t kept = 0;
    bool is_base = false;

    for (size_t i = 0; i < count; i++) {
        struct label pair = pairs[i];
        if (str_eq(pair.name, STR("le")))
            continue;
        if (str_eq(pair.name, LABEL_NAME))
            is_base = is_histogram_base(pair.value, &pair.value);
        native[kept++] = pair;
    }
    if (is_base)
        memory_view_series(&runner->memory, native, kept)->histogram = true;
}

static bool load_line(struct runner *runner, struct str line, int64_t step_ms, bool with_native)
{
    struct label pairs[CASE_LABELS_MAX];
    struct case_values values = {0};
    size_t count;
    size_t size = case_metric_size(line);

    if (!case_metric((struct str){line.data, size}, runner->arena, pairs, &count) ||
        !case_sequence((struct str){line.data + size, line.size - size}, &values)) {
        free(values.items);
        return false;
    }
    struct memory_series *series = memory_view_series(&runner->memory, pairs, count);
    for (size_t i = 0; i < values.count; i++) {
        if (values.items[i].histogram)
            series->histogram = true;
        else if (!values.items[i].omitted)
            memory_series_add(series, (int64_t)i * step_ms, values.items[i].value);
    }
    free(values.items);
    if (with_native)
        mark_native(runner, pairs, count);
    return true;
}

static bool add_expectation(struct eval_case *wanted, struct str rest)
{
    static const char *const kinds[] = {"warn", "no_warn", "info", "no_info", "fail", "ordered"};
    struct str kind = case_word(&rest);

    rest = str_trim(rest);
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (!str_eq(kind, str_of(kinds[i])))
            continue;
        struct expected_note *note = &wanted->notes[wanted->notes_count++];
        *note = (struct expected_note){.kind = (enum note_kind)i};
        note->is_regex = str_starts(rest, STR("regex:"));
        if (note->is_regex || str_starts(rest, STR("msg:")))
            note->text = str_trim((struct str){rest.data + (note->is_regex ? 6 : 4),
                                               rest.size - (note->is_regex ? 6 : 4)});
        return true;
    }
    return false;
}

static bool expect_line(struct runner *runner, struct eval_case *wanted, struct str line)
{
    struct str rest = line;
    struct label pairs[CASE_LABELS_MAX];
    size_t count;

    if (str_eq(case_word(&rest), STR("expect"))) {
        struct str tail = rest;
        struct str word = case_word(&tail);
        if (str_eq(word, STR("string"))) {
            struct tokens tokens;
            wanted->expects_string = true;
            if (promql_lex(str_trim(tail), runner->arena, &tokens, NULL) != ERR_NONE ||
                tokens.items[0].kind != TOKEN_STRING)
                return false;
            wanted->string = tokens.items[0].text;
            return true;
        }
        if (str_eq(word, STR("range"))) { /* range vector from A to B step C */
            int64_t end_ms;
            (void)case_word(&tail); /* vector */
            (void)case_word(&tail); /* from */
            bool valid = case_duration(case_word(&tail), &wanted->matrix_start_ms);
            (void)case_word(&tail); /* to */
            valid = valid && case_duration(case_word(&tail), &end_ms);
            (void)case_word(&tail); /* step */
            wanted->expects_matrix = true;
            return valid && case_duration(case_word(&tail), &wanted->matrix_step_ms);
        }
        return add_expectation(wanted, rest);
    }
    if (str_to_double(line, &wanted->scalar)) {
        wanted->expects_scalar = true;
        return true;
    }
    size_t size = case_metric_size(line);
    struct expected_series *series = &wanted->series[wanted->series_count];
    if (wanted->series_count == EXPECTED_MAX ||
        !case_metric((struct str){line.data, size}, runner->arena, pairs, &count) ||
        labels_arrange(pairs, count, &count, NULL) != ERR_NONE)
        return false;
    *series = (struct expected_series){0};
    series->labels =
        labels_build(arena_alloc(runner->arena, labels_size(pairs, count)), pairs, count);
    if (!case_sequence((struct str){line.data + size, line.size - size}, &series->values))
        return false;
    for (size_t i = 0; i < series->values.count; i++)
        wanted->histogram |= series->values.items[i].histogram;
    wanted->series_count++;
    return true;
}

static bool eval_head(struct eval_case *wanted, struct str line)
{
    static const struct {
        const char *word;
        enum note_kind kind;
    } old[] = {
        {"eval_fail", NOTE_FAIL},
        {"eval_warn", NOTE_WARN},
        {"eval_info", NOTE_INFO},
        {"eval_ordered", NOTE_ORDERED},
    };
    struct str command = case_word(&line);
    struct str mode = case_word(&line);
    bool valid = true;

    for (size_t i = 0; i < ARRAY_COUNT(old); i++)
        if (str_eq(command, str_of(old[i].word)))
            wanted->notes[wanted->notes_count++].kind = old[i].kind;
    wanted->is_range = str_eq(mode, STR("range"));
    (void)case_word(&line); /* at, from */
    valid = case_duration(case_word(&line), &wanted->start_ms);
    wanted->end_ms = wanted->start_ms;
    if (wanted->is_range) {
        (void)case_word(&line); /* to */
        valid = valid && case_duration(case_word(&line), &wanted->end_ms);
        (void)case_word(&line); /* step */
        valid = valid && case_duration(case_word(&line), &wanted->step_ms);
    }
    wanted->text = str_trim(line);
    return valid;
}

static bool run_eval(struct runner *runner, size_t *at)
{
    struct eval_case *wanted = calloc(1, sizeof(*wanted));
    bool valid;

    MUST(wanted != NULL);
    wanted->line = *at + 1;
    valid = eval_head(wanted, runner->lines[*at]);
    while (valid && *at + 1 < runner->lines_count && runner->lines[*at + 1].size > 0)
        valid = expect_line(runner, wanted, runner->lines[++*at]);
    if (valid)
        run_case(runner, wanted);
    for (size_t i = 0; i < wanted->series_count; i++)
        free(wanted->series[i].values.items);
    free(wanted);
    return valid;
}

static bool run_load(struct runner *runner, size_t *at)
{
    struct str head = runner->lines[*at];
    bool with_native = str_eq(case_word(&head), STR("load_with_nhcb"));
    int64_t step_ms;

    if (!case_duration(str_trim(head), &step_ms))
        return false;
    while (*at + 1 < runner->lines_count && runner->lines[*at + 1].size > 0)
        if (!load_line(runner, runner->lines[++*at], step_ms, with_native))
            return false;
    return true;
}

static bool run_lines(struct runner *runner)
{
    for (size_t at = 0; at < runner->lines_count; at++) {
        struct str line = runner->lines[at];
        bool valid = true;
        if (line.size == 0)
            continue;
        if (str_eq(line, STR("clear")))
            memory_view_done(&runner->memory);
        else if (str_starts(line, STR("load")))
            valid = run_load(runner, &at);
        else if (str_starts(line, STR("eval")))
            valid = run_eval(runner, &at);
        else
            valid = false;
        if (!valid) {
            printf("not ok - %s:%zu cannot be read: %.*s\n", runner->file, at + 1,
                   STR_ARG(runner->lines[at]));
            runner->tests++;
            runner->failed++;
        }
    }
    return true;
}

static void split_lines(struct runner *runner, struct str text)
{
    while (text.data != NULL && runner->lines_count < LINES_MAX) {
        struct str line = str_trim(str_split(&text, '\n'));
        if (str_starts(line, STR("#")))
            line = STR("");
        runner->lines[runner->lines_count++] = line;
    }
}

static void run_file(const char *path, size_t totals[3])
{
    struct runner *runner = calloc(1, sizeof(*runner));
    struct buf text = {0};
    FILE *file = fopen(path, "r");
    size_t size;

    MUST(runner != NULL);
    if (file == NULL) {
        printf("not ok - %s cannot be opened\n", path);
        totals[0]++;
        totals[1]++;
        free(runner);
        return;
    }
    while ((size = fread(buf_reserve(&text, 65536), 1, 65536, file)) > 0)
        text.size += size;
    (void)fclose(file); /* Was only read. */
    const char *name = strrchr(path, '/');
    runner->file = name == NULL ? path : name + 1;
    runner->arena = arena_new(ARENA_BYTES);
    memory_view_init(&runner->memory);
    split_lines(runner, buf_view(&text));
    run_lines(runner);
    printf("# %s: %zu of %zu passed, %zu skipped\n", runner->file,
           runner->tests - runner->failed - runner->skipped, runner->tests, runner->skipped);
    totals[0] += runner->tests;
    totals[1] += runner->failed;
    totals[2] += runner->skipped;
    memory_view_done(&runner->memory);
    (void)arena_free(runner->arena); /* NULL. */
    buf_done(&text);
    free(runner);
}

static bool run_folder(const char *folder, size_t totals[3])
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);

    for (int i = 0; i < count; i++) {
        char path[4096];
        struct str name = str_of(entries[i]->d_name);
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name); /* Fits. */
        if (str_ends(name, STR(".test")))
            run_file(path, totals);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return count > 0;
}

int main(int count, char **arguments)
{
    const char *root = getenv("SONDE_SOURCE_ROOT");
    const char *folder = getenv("SONDE_PROMQL_CASES");
    size_t totals[3] = {0};
    char path[4096];

    for (int i = 1; i < count; i++)
        run_file(arguments[i], totals);
    if (count < 2) {
        (void)snprintf(path, sizeof(path), "%s/tests/unit/query/cases", /* Fits. */
                       root == NULL ? "." : root);
        if (!run_folder(path, totals)) {
            printf("not ok - our own cases are missing in %s\n", path);
            totals[0]++;
            totals[1]++;
        }
        if (folder == NULL) {
            (void)snprintf(path, sizeof(path), "%s/../shared/data/promqltest", /* Fits. */
                           root == NULL ? "." : root);
            folder = path;
        }
        if (!run_folder(folder, totals)) {
            printf("ok - Prometheus' own cases # SKIP there are none in %s\n", folder);
            totals[0]++;
            totals[2]++;
        }
    }
    printf("# in all: %zu of %zu passed, %zu skipped, %zu failed\n",
           totals[0] - totals[1] - totals[2], totals[0], totals[2], totals[1]);
    printf("1..%zu\n", totals[0]);
    return totals[1] == 0 ? 0 : 1;
}
