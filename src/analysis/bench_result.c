/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/bench_result.h"
#include "analysis/bench_load.h"
#include "base/arena.h"
#include "base/file.h"
#include "codec/json_tree.h"

#include <math.h>
#include <stdlib.h>

#define ARENA_FACTOR 64 /* A tree takes that many times its text at worst. */

/* ---- The object. ---- */

static char *text_copy(struct str text)
{
    char *copy = malloc(text.size + 1);

    if (copy == NULL)
        must_memory(text.size + 1);
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}

static void *grown(void *memory, size_t count, size_t size)
{
    void *larger = realloc(memory, count * size);

    if (larger == NULL)
        must_memory((uint64_t)count * size);
    return larger;
}

static void result_done(struct bench_result *result)
{
    for (size_t i = 0; i < result->metrics_count; i++) {
        free(result->metrics[i].name);
        free(result->metrics[i].unit);
        free(result->metrics[i].values);
    }
    for (size_t i = 0; i < result->labels_count; i++)
        free(result->labels[i]);
    free(result->labels);
    free(result->metrics);
    free(result->name);
    free(result->commit);
    free(result->session);
}

void bench_results_done(struct bench_results *results)
{
    for (size_t i = 0; i < results->count; i++)
        result_done(&results->results[i]);
    free(results->results);
    *results = (struct bench_results){0};
}

struct bench_result *bench_results_add(struct bench_results *results, struct str name)
{
    results->results = grown(results->results, results->count + 1, sizeof(*results->results));
    struct bench_result *result = &results->results[results->count++];
    *result = (struct bench_result){.name = text_copy(name),
                                    .commit = text_copy(STR("")),
                                    .session = text_copy(STR("")),
                                    .taken_share = NAN};
    return result;
}

static void replace_text(char **text, struct str with)
{
    free(*text);
    *text = text_copy(with);
}

void bench_results_join(struct bench_results *results, struct str session)
{
    for (size_t i = 0; i < results->count; i++)
        replace_text(&results->results[i].session, session);
}

struct bench_metric *bench_result_metric(struct bench_result *result, struct str name,
                                         struct str unit)
{
    for (size_t i = 0; i < result->metrics_count; i++) {
        if (str_eq(str_of(result->metrics[i].name), name))
            return &result->metrics[i];
    }
    if (result->metrics_count == BENCH_METRICS_MAX)
        return NULL;
    result->metrics = grown(result->metrics, result->metrics_count + 1, sizeof(*result->metrics));
    struct bench_metric *metric = &result->metrics[result->metrics_count++];
    *metric = (struct bench_metric){.name = text_copy(name),
                                    .unit = text_copy(unit),
                                    .higher_is_better = bench_higher_is_better(name, unit)};
    return metric;
}

bool bench_metric_add(struct bench_metric *metric, double value)
{
    if (metric->count == BENCH_VALUES_MAX)
        return false;
    if (metric->count == metric->capacity) {
        metric->capacity = metric->capacity == 0 ? 32 : 2 * metric->capacity;
        metric->values = grown(metric->values, metric->capacity, sizeof(*metric->values));
    }
    metric->values[metric->count++] = value;
    return true;
}

/* ---- What names and units say. ---- */

static bool has_word(struct str text, const char *const *words)
{
    char lower[128];
    size_t size = text.size < sizeof(lower) ? text.size : sizeof(lower);

    for (size_t i = 0; i < size; i++)
        lower[i] =
            text.data[i] >= 'A' && text.data[i] <= 'Z' ? (char)(text.data[i] + 32) : text.data[i];
    for (; *words != NULL; words++) {
        if (str_find_str((struct str){lower, size}, str_of(*words)) >= 0)
            return true;
    }
    return false;
}

static bool is_throughput(struct str name, struct str unit)
{
    static const char *const names[] = {"throughput", "rps",  "qps",       "per_second",
                                        "goodput",    "ops_", "bandwidth", NULL};
    static const char *const units[] = {"/s", "per second", "rps", "qps", "bps", NULL};

    return has_word(name, names) || has_word(unit, units);
}

bool bench_higher_is_better(struct str name, struct str unit)
{
    static const char *const shares[] = {"hit_rate", "success_rate", NULL};
    static const char *const never[] = {"error", "fail",  "fault", "drop",    "miss",  "timeout",
                                        "retr",  "reset", "lost",  "latency", "abort", NULL};

    return !has_word(name, never) && (has_word(name, shares) || is_throughput(name, unit));
}

double bench_threshold(const struct bench_metric *metric)
{
    static const struct {
        const char *words[8];
        double threshold;
    } kinds[] = {
        {{"error", "fail", "success", NULL}, 0.05},
        {{"rss", "mem", "heap", "alloc", NULL}, 0.15},
        {{"user", "sys", "cpu", "instructions", "cycles", NULL}, 0.20},
        {{"wall", "time", "latency", "duration", "response", NULL}, 0.25},
    };
    static const char *const times[] = {"s", "ms", "us", "µs", "ns", "sec", "seconds"};

    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (has_word(str_of(metric->name), kinds[i].words))
            return kinds[i].threshold;
    }
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        if (strcmp(metric->unit, times[i]) == 0)
            return 0.25;
    }
    /* A quarter more time for each is a fifth less in a second. */
    return is_throughput(str_of(metric->name), str_of(metric->unit)) ? 0.20 : VERDICT_THRESHOLD;
}

/* ---- JSON. ---- */

static enum err limit(const char *name, const char *what, int bound, struct why *why)
{
    return fail(why, ERR_LIMIT, "%s: more than %d %s", name, bound, what);
}

static enum err read_values(const struct node *list, struct bench_metric *metric, struct why *why)
{
    TRY(node_list(list, why));
    NODE_EACH(list, item)
    {
        double value = NAN;
        if (item->kind != NODE_NULL)
            TRY(node_double(item, &value, why));
        if (!bench_metric_add(metric, value))
            return limit(list->document, "values of a metric", BENCH_VALUES_MAX, why);
    }
    return ERR_NONE;
}

/* "name": [1, 2] or "name": {"unit": "s", "better": "lower", "values": [1, 2]}. */
static enum err read_metric(const struct node *node, struct bench_result *result, struct why *why)
{
    const struct node *unit_node = node_get(node, "unit");
    const struct node *better = node_get(node, "better");
    const struct node *values = node;
    struct str unit = STR("");
    struct str text;

    if (node->kind == NODE_MAP)
        TRY(node_need(node, "values", &values, why));
    if (unit_node != NULL)
        TRY(node_text(unit_node, &unit, why));
    struct bench_metric *metric = bench_result_metric(result, node->key, unit);
    if (metric == NULL)
        return limit(node->document, "metrics", BENCH_METRICS_MAX, why);
    if (better != NULL) {
        TRY(node_text(better, &text, why));
        if (!str_eq(text, STR("higher")) && !str_eq(text, STR("lower")))
            return node_fail(better, why, "must be 'higher' or 'lower'");
        metric->higher_is_better = str_eq(text, STR("higher"));
    }
    return read_values(values, metric, why);
}

static enum err read_text(const struct node *node, const char *key, char **text, struct why *why)
{
    const struct node *child = node_get(node, key);
    struct str read;

    if (child == NULL)
        return ERR_NONE;
    TRY(node_text(child, &read, why));
    replace_text(text, read);
    return ERR_NONE;
}

/* An element of "results": ours has "metrics", hyperfine's has "times". */
static enum err read_result(const struct node *node, struct bench_results *results, struct why *why)
{
    const struct node *name_node = node_get(node, "name");
    const struct node *times = node_get(node, "times");
    const struct node *taken = node_get(node, "taken_share");
    struct str name = STR("");

    TRY(node_map(node, why));
    if (results->count == BENCH_RESULTS_MAX)
        return limit(node->document, "results", BENCH_RESULTS_MAX, why);
    if (name_node == NULL)
        name_node = node_get(node, "command");
    if (name_node != NULL)
        TRY(node_text(name_node, &name, why));
    struct bench_result *result = bench_results_add(results, name);
    TRY(read_text(node, "commit", &result->commit, why));
    TRY(read_text(node, "session", &result->session, why));
    if (taken != NULL && taken->kind != NODE_NULL)
        TRY(node_double(taken, &result->taken_share, why));
    if (times != NULL)
        return read_values(times, bench_result_metric(result, STR("wall"), STR("s")), why);
    const struct node *metrics;
    TRY(node_need(node, "metrics", &metrics, why));
    TRY(node_map(metrics, why));
    NODE_EACH(metrics, metric)
    TRY(read_metric(metric, result, why));
    return ERR_NONE;
}

static enum err read_root(const struct node *root, struct bench_results *results, struct why *why)
{
    const struct node *list = node_get(root, "results");

    TRY(node_map(root, why));
    if (list != NULL) {
        TRY(node_list(list, why));
        NODE_EACH(list, item)
        TRY(read_result(item, results, why));
        /* A line of a history tells it beside. */
        for (size_t i = 0; i < results->count; i++) {
            if (results->results[i].commit[0] == '\0')
                TRY(read_text(root, "commit", &results->results[i].commit, why));
        }
        return ERR_NONE;
    }
    if (node_get(root, "metrics") != NULL)
        return read_result(root, results, why);
    struct bench_result *result = bench_results_add(results, STR(""));
    if (bench_load_is(root))
        return bench_load_add_timeline(root, result, why);
    NODE_EACH(root, metric)
    TRY(read_metric(metric, result, why));
    return ERR_NONE;
}

static enum err parse_json(struct str text, const char *name, struct bench_results *results,
                           struct why *why)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new((text.size + 4096) * ARENA_FACTOR);
    const struct node *root;

    TRY(json_read(text, name, BENCH_FILE_BYTES_MAX, arena, &root, why));
    return read_root(root, results, why);
}

/* ---- CSV. ---- */

/* One field at the front of *rest, unquoted into out; false at the end of the line. */
static bool csv_field(struct str *rest, struct buf *out)
{
    size_t at = 0;
    bool quoted = rest->size > 0 && rest->data[0] == '"';

    buf_clear(out);
    if (rest->data == NULL)
        return false;
    for (at = quoted; at < rest->size; at++) {
        char byte = rest->data[at];
        if (quoted && byte == '"') {
            if (at + 1 >= rest->size || rest->data[at + 1] != '"') {
                quoted = false;
                continue;
            }
            at++;
        } else if (!quoted && (byte == ',' || byte == ';' || byte == '\t')) {
            break;
        }
        buf_byte(out, (uint8_t)byte);
    }
    *rest = at < rest->size ? (struct str){rest->data + at + 1, rest->size - at - 1} : STR_NONE;
    return true;
}

static bool is_label(struct str name)
{
    static const char *const names[] = {"commit", "sha", "revision", "version", "date", "time"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (str_eq_nocase(name, str_of(names[i])))
            return true;
    }
    return false;
}

struct csv {
    const char *name;
    size_t line;
    struct bench_result *result;
    ptrdiff_t label;                     /* The column of labels, or -1. */
    ptrdiff_t metric_column;             /* Of the long form, or -1. */
    ptrdiff_t value_column, unit_column; /* The same. */
    size_t columns;
};

void bench_result_add_label(struct bench_result *result, struct str text)
{
    result->labels = grown(result->labels, result->labels_count + 1, sizeof(*result->labels));
    result->labels[result->labels_count++] = text_copy(text);
}

static enum err csv_long_row(struct csv *csv, struct str line, struct why *why)
{
    struct buf field CLEANUP(buf_done) = {0};
    struct buf name CLEANUP(buf_done) = {0};
    struct buf unit CLEANUP(buf_done) = {0};
    double value = NAN;

    for (ptrdiff_t column = 0; csv_field(&line, &field); column++) {
        struct str text = str_trim(buf_view(&field));
        if (column == csv->metric_column)
            buf_str(&name, text);
        if (column == csv->unit_column)
            buf_str(&unit, text);
        if (column == csv->value_column && !str_to_double(text, &value))
            return fail(why, ERR_INVALID, "%s:%zu: '%.*s' is not a number", csv->name, csv->line,
                        STR_ARG(text));
    }
    struct bench_metric *metric =
        bench_result_metric(csv->result, buf_view(&name), buf_view(&unit));
    if (metric == NULL)
        return limit(csv->name, "metrics", BENCH_METRICS_MAX, why);
    if (!bench_metric_add(metric, value))
        return limit(csv->name, "values of a metric", BENCH_VALUES_MAX, why);
    return ERR_NONE;
}

static enum err csv_row(struct csv *csv, struct str line, struct why *why)
{
    struct buf field CLEANUP(buf_done) = {0};
    size_t metric = 0;
    ptrdiff_t column = 0;

    if (csv->metric_column >= 0)
        return csv_long_row(csv, line, why);
    for (; csv_field(&line, &field); column++) {
        struct str text = str_trim(buf_view(&field));
        double value;
        if (column == csv->label) {
            bench_result_add_label(csv->result, text);
            continue;
        }
        if (metric == csv->result->metrics_count)
            return fail(why, ERR_INVALID, "%s:%zu: more fields than the header has", csv->name,
                        csv->line);
        if (!str_to_double(text, &value))
            value = NAN; /* A gap; a column of nothing else is dropped in the end. */
        if (!bench_metric_add(&csv->result->metrics[metric++], value))
            return limit(csv->name, "rows", BENCH_VALUES_MAX, why);
    }
    for (; metric < csv->result->metrics_count; metric++)
        (void)bench_metric_add(&csv->result->metrics[metric], NAN); /* In step with the others. */
    if (csv->label >= column)
        bench_result_add_label(csv->result, STR(""));
    return ERR_NONE;
}

/* The first line names columns unless its first or second field is a number. */
static enum err csv_header(struct csv *csv, struct str line, bool *ret_is_data, struct why *why)
{
    struct buf field CLEANUP(buf_done) = {0};
    struct str rest = line;
    double number;
    bool is_data = false;

    for (ptrdiff_t column = 0; csv_field(&rest, &field); column++) {
        struct str text = str_trim(buf_view(&field));
        is_data = is_data || str_to_double(text, &number);
        if (str_eq_nocase(text, STR("metric")))
            csv->metric_column = column;
        if (str_eq_nocase(text, STR("value")))
            csv->value_column = column;
        if (str_eq_nocase(text, STR("unit")))
            csv->unit_column = column;
    }
    *ret_is_data = is_data;
    if (csv->metric_column >= 0 && csv->value_column >= 0)
        return ERR_NONE;
    csv->metric_column = -1;
    rest = line;
    for (ptrdiff_t column = 0; csv_field(&rest, &field); column++) {
        struct str text = str_trim(buf_view(&field));
        struct buf name CLEANUP(buf_done) = {0};
        if (!is_data && csv->label < 0 && is_label(text)) {
            csv->label = column;
            continue;
        }
        if (is_data)
            buf_printf(&name, "column%td", column + 1);
        else
            buf_str(&name, text);
        size_t before = csv->result->metrics_count;
        if (bench_result_metric(csv->result, buf_view(&name), STR("")) == NULL)
            return limit(csv->name, "columns", BENCH_METRICS_MAX, why);
        if (csv->result->metrics_count == before)
            return fail(why, ERR_INVALID, "%s:%zu: the column '%s' occurs twice", csv->name,
                        csv->line, buf_cstr(&name));
    }
    return ERR_NONE;
}

/* A column without a single number tells nothing here. */
static void drop_wordy_columns(struct bench_result *result)
{
    size_t kept = 0;

    for (size_t i = 0; i < result->metrics_count; i++) {
        struct bench_metric metric = result->metrics[i];
        bool number = false;
        for (size_t k = 0; k < metric.count && !number; k++)
            number = !isnan(metric.values[k]);
        if (number) {
            result->metrics[kept++] = metric;
            continue;
        }
        free(metric.name);
        free(metric.unit);
        free(metric.values);
    }
    result->metrics_count = kept;
}

static enum err parse_csv(struct str text, const char *name, struct bench_results *results,
                          struct why *why)
{
    struct csv csv = {name, 0, bench_results_add(results, STR("")), -1, -1, -1, -1, 0};
    bool started = false;

    while (text.data != NULL) {
        struct str line = str_split(&text, '\n');
        bool is_data = true;
        csv.line++;
        if (line.size > 0 && line.data[line.size - 1] == '\r')
            line.size--;
        if (str_trim(line).size == 0 || line.data[0] == '#')
            continue;
        if (!started)
            TRY(csv_header(&csv, line, &is_data, why));
        started = true;
        if (is_data)
            TRY(csv_row(&csv, line, why));
    }
    drop_wordy_columns(csv.result);
    if (csv.result->metrics_count == 0)
        return fail(why, ERR_INVALID, "%s: no column of numbers", name);
    return ERR_NONE;
}

/* ---- Both. ---- */

enum err bench_results_parse(struct str text, const char *name, struct bench_results *ret_results,
                             struct why *why)
{
    struct bench_results results CLEANUP(bench_results_done) = {0};
    struct str start = str_trim(text);

    if (start.size == 0)
        return fail(why, ERR_INVALID, "%s: empty", name);
    if (start.data[0] == '{')
        TRY(parse_json(text, name, &results, why));
    else
        TRY(parse_csv(text, name, &results, why));
    if (results.count == 0)
        return fail(why, ERR_INVALID, "%s: holds no result", name);
    *ret_results = results;
    results = (struct bench_results){0};
    return ERR_NONE;
}

enum err bench_results_read(const char *path, struct bench_results *ret_results, struct why *why)
{
    struct buf text CLEANUP(buf_done) = {0};

    TRY(file_read(path, BENCH_FILE_BYTES_MAX, &text, why));
    return bench_results_parse(buf_view(&text), path, ret_results, why);
}

void bench_result_write_metrics(const struct bench_result *result, struct json *json)
{
    json_open(json, '{');
    for (size_t i = 0; i < result->metrics_count; i++) {
        const struct bench_metric *metric = &result->metrics[i];
        json_key(json, metric->name);
        json_open(json, '{');
        json_key(json, "unit");
        json_add_text(json, metric->unit);
        json_key(json, "better");
        json_add_text(json, metric->higher_is_better ? "higher" : "lower");
        json_key(json, "values");
        json_open(json, '[');
        for (size_t k = 0; k < metric->count; k++)
            json_add_double(json, metric->values[k]);
        json_close(json, ']');
        json_close(json, '}');
    }
    json_close(json, '}');
}

void bench_result_write(const struct bench_result *result, struct json *json)
{
    json_open(json, '{');
    json_key(json, "name");
    json_add_text(json, result->name);
    if (result->commit[0] != '\0') {
        json_key(json, "commit");
        json_add_text(json, result->commit);
    }
    if (result->session[0] != '\0')
        json_put_text(json, "session", result->session);
    if (isfinite(result->taken_share)) {
        json_key(json, "taken_share");
        json_add_double(json, result->taken_share);
    }
    json_key(json, "metrics");
    bench_result_write_metrics(result, json);
    json_close(json, '}');
}

void bench_results_write(const struct bench_results *results, struct json *json)
{
    json_open(json, '{');
    json_key(json, "results");
    json_open(json, '[');
    for (size_t i = 0; i < results->count; i++)
        bench_result_write(&results->results[i], json);
    json_close(json, ']');
    json_close(json, '}');
}
