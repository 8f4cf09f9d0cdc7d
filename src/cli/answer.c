/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/answer.h"
#include "codec/json_tree.h"
#include "model/label.h"

#include <math.h>

enum { BODY_BYTES_MAX = 512 << 20 };

/* ---- From Prometheus' JSON. ---- */

/* [1700000000.123, "1.5"] */
static enum err read_point(const struct node *point, int64_t *ret_time_ms, double *ret_value,
                           struct why *why)
{
    double seconds;

    TRY(node_list(point, why));
    if (point->count != 2)
        return node_fail(point, why, "a point has two parts");
    TRY(node_double(point->first, &seconds, why));
    TRY(node_double(point->first->next, ret_value, why));
    *ret_time_ms = llround(seconds * 1e3);
    return ERR_NONE;
}

static enum err read_labels(const struct node *metric, struct arena *arena,
                            struct answer_series *series, struct why *why)
{
    TRY(node_map(metric, why));
    struct label *labels = ARENA_ARRAY(arena, metric->count + 1, struct label);
    if (labels == NULL)
        return arena_spent(arena, "labels", why);
    NODE_EACH(metric, child)
    {
        labels[series->labels_count].name = child->key;
        TRY(node_text(child, &labels[series->labels_count++].value, why));
    }
    series->labels = labels;
    return ERR_NONE;
}

static enum err read_points(const struct node *values, struct arena *arena,
                            struct answer_series *series, struct why *why)
{
    TRY(node_list(values, why));
    series->times_ms = ARENA_ARRAY(arena, values->count + 1, int64_t);
    series->values = ARENA_ARRAY(arena, values->count + 1, double);
    if (series->times_ms == NULL || series->values == NULL)
        return arena_spent(arena, "points", why);
    NODE_EACH(values, point)
    {
        TRY(read_point(point, &series->times_ms[series->count], &series->values[series->count],
                       why));
        series->count++;
    }
    return ERR_NONE;
}

static enum err one_point(const struct node *point, struct arena *arena,
                          struct answer_series *series, struct why *why)
{
    series->times_ms = ARENA_NEW(arena, int64_t);
    series->values = ARENA_NEW(arena, double);
    if (series->times_ms == NULL || series->values == NULL)
        return arena_spent(arena, "points", why);
    series->count = 1;
    return read_point(point, series->times_ms, series->values, why);
}

static enum err read_series(const struct node *node, bool range, struct arena *arena,
                            struct answer_series *series, struct why *why)
{
    const struct node *child;

    TRY(node_need(node, "metric", &child, why));
    TRY(read_labels(child, arena, series, why));
    TRY(node_need(node, range ? "values" : "value", &child, why));
    if (range)
        return read_points(child, arena, series, why);
    return one_point(child, arena, series, why);
}

/* name{a="b"}; "{}" when there are no labels at all. */
static enum err name_series(struct answer_series *series, struct arena *arena, struct why *why)
{
    struct buf name CLEANUP(buf_done) = {0};
    size_t shown = 0;

    for (size_t i = 0; i < series->labels_count; i++) {
        if (str_eq(series->labels[i].name, LABEL_NAME))
            buf_str(&name, series->labels[i].value);
    }
    for (size_t i = 0; i < series->labels_count; i++) {
        const struct label *label = &series->labels[i];
        if (str_eq(label->name, LABEL_NAME))
            continue;
        buf_printf(&name, "%s%.*s=\"%.*s\"", shown++ == 0 ? "{" : ", ", STR_ARG(label->name),
                   STR_ARG(label->value));
    }
    if (shown > 0)
        buf_byte(&name, '}');
    else if (name.size == 0)
        buf_text(&name, "{}");
    series->name = arena_str(arena, buf_view(&name));
    return series->name.data == NULL ? arena_spent(arena, "series names", why) : ERR_NONE;
}

static enum err read_vector(const struct node *result, bool range, struct arena *arena,
                            struct answer *answer, struct why *why)
{
    TRY(node_list(result, why));
    answer->series = ARENA_ARRAY(arena, result->count + 1, struct answer_series);
    if (answer->series == NULL)
        return arena_spent(arena, "series", why);
    NODE_EACH(result, child)
    {
        struct answer_series *series = &answer->series[answer->series_count++];
        TRY(read_series(child, range, arena, series, why));
        TRY(name_series(series, arena, why));
    }
    return ERR_NONE;
}

static enum err read_notes(const struct node *root, struct arena *arena, struct answer *answer,
                           struct why *why)
{
    static const char *const keys[] = {"warnings", "infos"};
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        const struct node *list = node_get(root, keys[i]);
        count += list == NULL ? 0 : list->count;
    }
    answer->notes = ARENA_ARRAY(arena, count + 1, struct str);
    if (answer->notes == NULL)
        return arena_spent(arena, "notes", why);
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        const struct node *list = node_get(root, keys[i]);
        if (list == NULL)
            continue;
        NODE_EACH(list, child)
        TRY(node_text(child, &answer->notes[answer->notes_count++], why));
    }
    return ERR_NONE;
}

static enum err read_scalar(const struct node *result, struct arena *arena, struct answer *answer,
                            struct why *why)
{
    answer->series = ARENA_NEW(arena, struct answer_series);
    if (answer->series == NULL)
        return arena_spent(arena, "a scalar", why);
    answer->series_count = 1;
    TRY(one_point(result, arena, answer->series, why));
    return name_series(answer->series, arena, why);
}

enum err answer_from_json(struct str body, struct arena *arena, struct answer *ret_answer,
                          struct why *why)
{
    const struct node *root, *data, *type, *result;
    struct answer answer = {0};

    TRY(json_read(body, "answer", BODY_BYTES_MAX, arena, &root, why));
    TRY(node_need(root, "data", &data, why));
    TRY(node_need(data, "resultType", &type, why));
    TRY(node_need(data, "result", &result, why));
    TRY(read_notes(root, arena, &answer, why));
    if (str_eq(type->text, STR("matrix"))) {
        answer.type = PROMQL_MATRIX;
        TRY(read_vector(result, true, arena, &answer, why));
    } else if (str_eq(type->text, STR("vector"))) {
        answer.type = PROMQL_VECTOR;
        TRY(read_vector(result, false, arena, &answer, why));
    } else if (str_eq(type->text, STR("scalar"))) {
        answer.type = PROMQL_SCALAR;
        TRY(read_scalar(result, arena, &answer, why));
    } else if (str_eq(type->text, STR("string")) && result->kind == NODE_LIST &&
               result->count == 2) {
        answer.type = PROMQL_STRING;
        TRY(node_text(result->first->next, &answer.text, why));
    } else {
        return node_fail(type, why, "unknown type of answer");
    }
    *ret_answer = answer;
    return ERR_NONE;
}

/* ---- From the evaluator. ---- */

static enum err copy_series(const struct promql_series *from, struct arena *arena,
                            struct answer_series *series, struct why *why)
{
    struct label *labels = ARENA_ARRAY(arena, from->labels->count + 1, struct label);
    size_t at = 0;

    series->times_ms = ARENA_ARRAY(arena, from->count + 1, int64_t);
    series->values = ARENA_ARRAY(arena, from->count + 1, double);
    if (labels == NULL || series->times_ms == NULL || series->values == NULL)
        return arena_spent(arena, "series", why);
    while (labels_next(from->labels, &at, &labels[series->labels_count]))
        series->labels_count++;
    series->labels = labels;
    series->count = from->count;
    memcpy(series->times_ms, from->times_ms, from->count * sizeof(int64_t));
    memcpy(series->values, from->values, from->count * sizeof(double));
    return name_series(series, arena, why);
}

enum err answer_from_result(const struct promql_result *result, struct arena *arena,
                            struct answer *ret_answer, struct why *why)
{
    size_t count = result->type == PROMQL_SCALAR ? 1 : result->series_count;
    struct answer answer = {.type = result->type, .text = result->string};

    answer.series = ARENA_ARRAY(arena, count + 1, struct answer_series);
    answer.notes = ARENA_ARRAY(arena, result->notes_count + 1, struct str);
    if (answer.series == NULL || answer.notes == NULL)
        return arena_spent(arena, "series", why);
    for (size_t i = 0; i < result->notes_count; i++)
        answer.notes[answer.notes_count++] = str_of(result->notes[i].text);
    for (size_t i = 0; i < result->series_count; i++)
        TRY(copy_series(&result->series[i], arena, &answer.series[answer.series_count++], why));
    if (result->type == PROMQL_SCALAR) {
        struct answer_series *series = &answer.series[answer.series_count++];
        series->times_ms = ARENA_NEW(arena, int64_t);
        series->values = ARENA_NEW(arena, double);
        if (series->times_ms == NULL || series->values == NULL)
            return arena_spent(arena, "a scalar", why);
        *series->times_ms = result->time_ms;
        *series->values = result->scalar;
        series->count = 1;
        TRY(name_series(series, arena, why));
    }
    *ret_answer = answer;
    return ERR_NONE;
}
