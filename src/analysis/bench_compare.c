/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/bench_compare.h"
#include "analysis/bench_unit.h"
#include "stats/array.h"
#include "stats/verdict_paired.h"

#include <math.h>
#include <stdlib.h>

#define LEVEL 0.95

/* ---- Judging. ---- */

static const struct bench_metric *find(const struct bench_result *result, const char *name)
{
    for (size_t i = 0; i < result->metrics_count; i++) {
        if (strcmp(result->metrics[i].name, name) == 0)
            return &result->metrics[i];
    }
    return NULL;
}

/* The runs that have a value, times `factor`. */
struct runs {
    double *values;
    size_t count;
};

static struct runs runs_of(const struct bench_metric *metric, double factor)
{
    struct runs runs = {array_copy(metric->values, metric->count), 0};

    runs.count = array_keep_numbers(runs.values, metric->count);
    for (size_t i = 0; i < runs.count; i++)
        runs.values[i] *= factor;
    return runs;
}

static struct interval interval_of(const struct runs *runs)
{
    struct interval interval = {NAN, NAN};

    if (!describe_median_interval(runs->values, runs->count, LEVEL, &interval))
        return (struct interval){NAN, NAN};
    return interval;
}

static bool took_turns(const struct bench_result *a, const struct bench_result *b)
{
    return a->session[0] != '\0' && strcmp(a->session, b->session) == 0;
}

/* The runs that have a value on both sides. */
static struct verdict_pairs pairs_of(const struct bench_metric *before, double factor,
                                     const struct bench_metric *after)
{
    size_t most = before->count < after->count ? before->count : after->count;
    double *a = array_new(most);
    double *b = array_new(most);
    size_t count = 0;

    for (size_t i = 0; i < most; i++) {
        if (isnan(before->values[i]) || isnan(after->values[i]))
            continue;
        a[count] = before->values[i] * factor;
        b[count++] = after->values[i];
    }
    return (struct verdict_pairs){a, b, count};
}

struct contest {
    struct bench_row *rows;
    struct verdict_input *inputs;
    struct verdict_pairs *pairs;
    struct verdict *verdicts;
    size_t count;
    size_t strange;
};

static void contest_init(struct contest *contest, size_t most)
{
    *contest = (struct contest){
        .rows = calloc(most + 1, sizeof(*contest->rows)),
        .inputs = calloc(most + 1, sizeof(*contest->inputs)),
        .pairs = calloc(most + 1, sizeof(*contest->pairs)),
        .verdicts = calloc(most + 1, sizeof(*contest->verdicts)),
    };
    if (contest->rows == NULL || contest->inputs == NULL || contest->pairs == NULL ||
        contest->verdicts == NULL)
        must_memory((most + 1) * sizeof(*contest->rows));
}

/* All but the rows. */
static void contest_done(struct contest *contest)
{
    for (size_t i = 0; i < contest->count; i++) {
        free((void *)contest->inputs[i].before); /* Ours, see runs_of and pairs_of. */
        free((void *)contest->inputs[i].after);
        free((void *)contest->pairs[i].before);
        free((void *)contest->pairs[i].after);
    }
    free(contest->inputs);
    free(contest->pairs);
    free(contest->verdicts);
}

static void add_metric(struct contest *contest, const struct bench_metric *before,
                       const struct bench_metric *after, const struct bench_judging *judging)
{
    size_t at = contest->count;
    double factor;

    if (!bench_unit_factor(before->unit, after->unit, &factor)) {
        contest->strange++;
        return;
    }
    struct runs a = runs_of(before, factor);
    struct runs b = runs_of(after, 1);
    const struct verdict_options options = {
        .alpha = judging->alpha,
        .min_change = judging->min_change,
        .threshold = judging->threshold > 0 ? judging->threshold : bench_threshold(after),
        .min_cliff = VERDICT_MIN_CLIFF,
        .higher_is_better = after->higher_is_better};
    contest->rows[at] = (struct bench_row){.metric = after,
                                           .before = describe(a.values, a.count),
                                           .after = describe(b.values, b.count),
                                           .before_interval = interval_of(&a),
                                           .after_interval = interval_of(&b),
                                           .options = options};
    contest->inputs[at] = (struct verdict_input){a.values, a.count, b.values, b.count, options};
    contest->pairs[at] = pairs_of(before, factor, after);
    contest->count++;
}

void bench_compare(const struct bench_result *before, const struct bench_result *after,
                   const struct bench_judging *judging, struct bench_comparison *ret_comparison)
{
    struct contest contest CLEANUP(contest_done);

    contest_init(&contest, after->metrics_count);
    for (size_t i = 0; i < after->metrics_count; i++) {
        const struct bench_metric *other = find(before, after->metrics[i].name);
        if (other != NULL)
            add_metric(&contest, other, &after->metrics[i], judging);
    }
    if (took_turns(before, after))
        verdict_judge_paired(contest.inputs, contest.pairs, contest.count, contest.verdicts);
    else
        verdict_judge_all(contest.inputs, contest.count, contest.verdicts);
    for (size_t i = 0; i < contest.count; i++)
        contest.rows[i].verdict = contest.verdicts[i];
    *ret_comparison = (struct bench_comparison){contest.rows, contest.count,
                                                before->metrics_count + after->metrics_count -
                                                    2 * (contest.count + contest.strange),
                                                contest.strange};
}

void bench_comparison_done(struct bench_comparison *comparison)
{
    free(comparison->rows);
    *comparison = (struct bench_comparison){0};
}

size_t bench_comparison_count(const struct bench_comparison *comparison, enum verdict_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < comparison->count; i++)
        count += comparison->rows[i].verdict.kind == kind && !comparison->rows[i].quarantined;
    return count;
}

/* ---- Telling. ---- */

/* Four digits, and a prefix for what is far from 1. */
void bench_write_value(double value, const char *unit, struct buf *out)
{
    static const struct {
        double from;
        double scale;
        const char *prefix;
    } prefixes[] = {{1e9, 1e9, "G"}, {1e6, 1e6, "M"}, {1e4, 1e3, "k"}, {1, 1, ""}};
    static const struct {
        double from;
        double scale;
        const char *unit;
    } seconds[] = {{1, 1, "s"}, {1e-3, 1e-3, "ms"}, {1e-6, 1e-6, "µs"}, {0, 1e-9, "ns"}};
    double size = fabs(value);

    if (strcmp(unit, "s") == 0 && size > 0 && isfinite(value)) {
        size_t k = 0;
        while (size < seconds[k].from)
            k++;
        buf_printf(out, "%.4g%s", value / seconds[k].scale, seconds[k].unit);
        return;
    }
    for (size_t k = 0; k < ARRAY_COUNT(prefixes); k++) {
        if (size >= prefixes[k].from && isfinite(value)) {
            buf_printf(out, "%.4g%s%s", value / prefixes[k].scale, prefixes[k].prefix, unit);
            return;
        }
    }
    buf_printf(out, "%.4g%s", value, unit);
}

void bench_write_median(const struct describe *describe, const struct interval *interval,
                        const char *unit, struct buf *out)
{
    double reach = fmax(describe->median - interval->low, interval->high - describe->median);

    if (describe->count == 0) {
        buf_text(out, "-");
        return;
    }
    bench_write_value(describe->median, unit, out);
    if (isnan(interval->low) || isnan(interval->high))
        buf_text(out, " ± ∞");
    else if (reach == 0 || describe->median != 0)
        buf_printf(out, " ± %.0f%%", reach == 0 ? 0 : 100 * reach / fabs(describe->median));
}

static void write_counts(const struct bench_row *row, struct buf *out)
{
    if (row->verdict.pairs > 0)
        buf_printf(out, "n=%zu pair%s", row->verdict.pairs, str_plural(row->verdict.pairs));
    else if (row->before.count == row->after.count)
        buf_printf(out, "n=%zu", row->after.count);
    else
        buf_printf(out, "n=%zu+%zu", row->before.count, row->after.count);
}

void bench_row_write_change(const struct bench_row *row, struct buf *out)
{
    const struct verdict *verdict = &row->verdict;

    if (verdict->reason == VERDICT_REASON_FEW) {
        buf_printf(out, "~ (need >= %d samples, ", VERDICT_COUNT_MIN);
        write_counts(row, out);
        buf_byte(out, ')');
        return;
    }
    if (verdict->p_adjusted <= row->options.alpha)
        buf_printf(out, isinf(verdict->change) ? "from 0" : "%+.2f%%", 100 * verdict->change);
    else
        buf_byte(out, '~');
    buf_printf(out, " (p=%.3f ", verdict->p_adjusted);
    write_counts(row, out);
    buf_byte(out, ')');
}

void bench_row_write_verdict(const struct bench_row *row, struct buf *out)
{
    const struct verdict *verdict = &row->verdict;
    bool changed = verdict->kind == VERDICT_IMPROVED || verdict->kind == VERDICT_DEGRADED;

    buf_text(out, verdict_kind_name(verdict->kind));
    if (changed)
        buf_printf(out, " (%s)", verdict_severity_name(verdict->severity));
    if (changed && row->quarantined)
        buf_text(out, ", in quarantine");
    if (changed && verdict->by_means) {
        buf_text(out, ": on average ");
        bench_write_value(row->before.mean, row->metric->unit, out);
        buf_text(out, " to ");
        bench_write_value(row->after.mean, row->metric->unit, out);
    }
    if (changed)
        return;
    buf_text(out, ": ");
    verdict_write_reason(verdict, &row->options, out);
}

void bench_write_missing(size_t count, struct buf *out)
{
    if (count > 0)
        buf_printf(out,
                   count == 1 ? "%zu metric is on one side only and was not compared.\n"
                              : "%zu metrics are on one side only and were not compared.\n",
                   count);
}

void bench_comparison_write_notes(const struct bench_comparison *comparison, struct buf *out)
{
    bool paired = false;

    for (size_t i = 0; i < comparison->count; i++)
        paired = paired || comparison->rows[i].verdict.pairs > 0;
    if (paired)
        buf_text(out,
                 "Pairs: the runs took turns, and each is compared with its neighbour; a change "
                 "is that within pairs.\n");
    for (size_t i = 0; i < comparison->count; i++) {
        const struct bench_row *row = &comparison->rows[i];
        if (row->verdict.before_many_hills || row->verdict.after_many_hills)
            buf_printf(out,
                       "%s has more than one hill %s: a median hides which; look at the runs.\n",
                       row->metric->name,
                       !row->verdict.after_many_hills    ? "before"
                       : !row->verdict.before_many_hills ? "after"
                                                         : "on both sides");
    }
    bench_write_missing(comparison->missing, out);
    if (comparison->strange > 0)
        buf_printf(out,
                   comparison->strange == 1
                       ? "%zu metric has another unit than before and was not compared.\n"
                       : "%zu metrics have another unit than before and were not compared.\n",
                   comparison->strange);
}

void bench_comparison_write_markdown(const struct bench_comparison *comparison, struct buf *out)
{
    buf_text(out, "| Metric | Before | After | Change | Verdict |\n|---|--:|--:|---|---|\n");
    for (size_t i = 0; i < comparison->count; i++) {
        const struct bench_row *row = &comparison->rows[i];
        buf_printf(out, "| %s | ", row->metric->name);
        bench_write_median(&row->before, &row->before_interval, row->metric->unit, out);
        buf_text(out, " | ");
        bench_write_median(&row->after, &row->after_interval, row->metric->unit, out);
        buf_text(out, " | ");
        bench_row_write_change(row, out);
        buf_text(out, " | ");
        bench_row_write_verdict(row, out);
        buf_text(out, " |\n");
    }
    buf_byte(out, '\n');
    bench_comparison_write_notes(comparison, out);
}

/* ---- JSON. ---- */

static void write_side(struct json *json, const char *key, const struct describe *describe,
                       const struct interval *interval)
{
    json_key(json, key);
    json_open(json, '{');
    json_key(json, "n");
    json_add_u64(json, describe->count);
    json_key(json, "median");
    json_add_double(json, describe->median);
    json_key(json, "low");
    json_add_double(json, interval->low);
    json_key(json, "high");
    json_add_double(json, interval->high);
    json_key(json, "mean");
    json_add_double(json, describe->mean);
    json_key(json, "deviation");
    json_add_double(json, describe->deviation);
    json_close(json, '}');
}

static void write_numbers(struct json *json, const struct verdict *verdict)
{
    const struct {
        const char *key;
        double value;
    } numbers[] = {
        {"change", verdict->change},
        {"change_low", verdict->change_interval.low},
        {"change_high", verdict->change_interval.high},
        {"p", verdict->p},
        {"p_adjusted", verdict->p_adjusted},
        {"p_min", verdict->p_min},
        {"cliffs_delta", verdict->cliff},
        {"noise", verdict->noise},
        {"inflation", verdict->inflation},
        {"more_runs_needed", verdict->more_runs},
    };

    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        json_key(json, numbers[i].key);
        json_add_double(json, numbers[i].value);
    }
    json_put_u64(json, "pairs", verdict->pairs);
    json_key(json, "method");
    json_add_text(json, compare_method_name(verdict->method));
    json_key(json, "multimodal");
    json_add_bool(json, verdict->before_many_hills || verdict->after_many_hills);
}

void bench_row_put(const struct bench_row *row, struct json *json)
{
    const struct verdict *verdict = &row->verdict;
    struct buf text CLEANUP(buf_done) = {0};
    bool changed = verdict->kind == VERDICT_IMPROVED || verdict->kind == VERDICT_DEGRADED;

    json_key(json, "metric");
    json_add_text(json, row->metric->name);
    json_key(json, "unit");
    json_add_text(json, row->metric->unit);
    json_key(json, "better");
    json_add_text(json, row->metric->higher_is_better ? "higher" : "lower");
    json_key(json, "verdict");
    json_add_text(json, verdict_kind_name(verdict->kind));
    json_key(json, "severity");
    json_add_text(json, changed ? verdict_severity_name(verdict->severity) : NULL);
    json_key(json, "reason");
    verdict_write_reason(verdict, &row->options, &text);
    json_add_text(json, buf_cstr(&text));
    json_key(json, "text");
    buf_clear(&text);
    bench_row_write_change(row, &text);
    json_add_text(json, buf_cstr(&text));
    json_key(json, "threshold");
    json_add_double(json, row->options.threshold);
    json_key(json, "quarantined");
    json_add_bool(json, row->quarantined);
    write_side(json, "before", &row->before, &row->before_interval);
    write_side(json, "after", &row->after, &row->after_interval);
    write_numbers(json, verdict);
}

void bench_comparison_put_verdict(const struct bench_comparison *comparison, struct json *json)
{
    static const struct {
        const char *key;
        enum verdict_kind kind;
    } counts[] = {{"degraded", VERDICT_DEGRADED},
                  {"improved", VERDICT_IMPROVED},
                  {"cannot_tell", VERDICT_CANNOT_TELL},
                  {"stable", VERDICT_STABLE}};

    json_put_text(json, "verdict",
                  bench_comparison_count(comparison, VERDICT_DEGRADED) > 0   ? "degraded"
                  : bench_comparison_count(comparison, VERDICT_IMPROVED) > 0 ? "improved"
                  : bench_comparison_count(comparison, VERDICT_CANNOT_TELL) > 0 ||
                          comparison->count == 0
                      ? "cannot tell"
                      : "stable");
    json_key(json, "counts");
    json_open(json, '{');
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++)
        json_put_u64(json, counts[i].key, bench_comparison_count(comparison, counts[i].kind));
    json_close(json, '}');
}

void bench_comparison_put(const struct bench_comparison *comparison, struct json *json)
{
    bench_comparison_put_verdict(comparison, json);
    json_put_u64(json, "missing_count", comparison->missing);
    json_put_u64(json, "other_unit_count", comparison->strange);
    json_key(json, "metrics");
    json_open(json, '[');
    for (size_t i = 0; i < comparison->count; i++) {
        json_open(json, '{');
        bench_row_put(&comparison->rows[i], json);
        json_close(json, '}');
    }
    json_close(json, ']');
}

void bench_comparison_write_json(const struct bench_comparison *comparison, struct json *json)
{
    json_open(json, '{');
    bench_comparison_put(comparison, json);
    json_close(json, '}');
}

void bench_metric_write_summary(const struct bench_metric *metric, struct json *json)
{
    struct runs runs = runs_of(metric, 1);
    struct describe numbers = describe(runs.values, runs.count);
    struct interval interval = interval_of(&runs);

    json_open(json, '{');
    json_put_text(json, "metric", metric->name);
    json_put_text(json, "unit", metric->unit);
    json_put_text(json, "better", metric->higher_is_better ? "higher" : "lower");
    write_side(json, "values", &numbers, &interval);
    json_close(json, '}');
    array_free(runs.values);
}
