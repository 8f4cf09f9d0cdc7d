/* SPDX-License-Identifier: Apache-2.0 */
/* criterion := [step "."] measure comparison bound
 *
 * The measures are a table of words; a word that ends in p and a number ("service_p99.9") is a
 * quantile of what its front names. */
#include "load/criterion.h"

#include "base/clock.h"
#include "base/nearest.h"
#include "base/option.h"

#include <inttypes.h>
#include <math.h>

enum unit { UNIT_TIME, UNIT_SHARE, UNIT_NUMBER };

static const struct {
    struct str name;
    enum measure measure;
    enum unit unit;
    double q; /* 0: the word is followed by its own, as in p95. */
} words[] = {
    {{"p", 1}, MEASURE_QUANTILE, UNIT_TIME, 0},
    {{"latency_p", 9}, MEASURE_QUANTILE, UNIT_TIME, 0},
    {{"service_p", 9}, MEASURE_SERVICE, UNIT_TIME, 0},
    {{"first_byte_p", 12}, MEASURE_FIRST_BYTE, UNIT_TIME, 0},
    {{"median", 6}, MEASURE_QUANTILE, UNIT_TIME, 0.5},
    {{"mean", 4}, MEASURE_MEAN, UNIT_TIME, 1},
    {{"max", 3}, MEASURE_MAX, UNIT_TIME, 1},
    {{"rps", 3}, MEASURE_RATE, UNIT_NUMBER, 1},
    {{"rate", 4}, MEASURE_RATE, UNIT_NUMBER, 1},
    {{"error_rate", 10}, MEASURE_ERROR_RATE, UNIT_SHARE, 1},
    {{"errors", 6}, MEASURE_ERRORS, UNIT_NUMBER, 1},
    {{"requests", 8}, MEASURE_REQUESTS, UNIT_NUMBER, 1},
    {{"dropped", 7}, MEASURE_DROPPED, UNIT_NUMBER, 1},
    {{"ttft_p", 6}, MEASURE_TTFT, UNIT_TIME, 0},
    {{"itl_p", 5}, MEASURE_GAP, UNIT_TIME, 0},
    {{"tpot_p", 6}, MEASURE_TPOT, UNIT_TIME, 0},
    {{"e2e_p", 5}, MEASURE_E2E, UNIT_TIME, 0},
    {{"goodput", 7}, MEASURE_GOODPUT, UNIT_NUMBER, 1},
    {{"good_share", 10}, MEASURE_GOOD_SHARE, UNIT_SHARE, 1},
    {{"tokens_per_second", 17}, MEASURE_TOKEN_RATE, UNIT_NUMBER, 1},
    {{"cost", 4}, MEASURE_COST, UNIT_NUMBER, 1},
};

static enum unit unit_of(enum measure measure)
{
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (words[i].measure == measure)
            return words[i].unit;
    }
    return UNIT_NUMBER;
}

/* ---- Reading. ---- */

static bool read_quantile(struct str text, double *ret_q)
{
    double percent;

    if (text.size == 0 || text.data[0] < '0' || text.data[0] > '9')
        return false;
    if (!str_to_double(text, &percent) || !(percent > 0 && percent <= 100))
        return false;
    *ret_q = percent / 100;
    return true;
}

static enum err read_measure(struct str word, struct criterion *criterion, struct why *why)
{
    struct nearest nearest = nearest_begin(word);

    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        struct str name = words[i].name;
        if (words[i].q == 0 && str_starts(word, name) &&
            read_quantile((struct str){word.data + name.size, word.size - name.size},
                          &criterion->q)) {
            criterion->measure = words[i].measure;
            return ERR_NONE;
        }
        if (words[i].q != 0 && str_eq(word, name)) {
            criterion->measure = words[i].measure;
            criterion->q = words[i].q;
            return ERR_NONE;
        }
        if (words[i].q != 0)
            nearest_offer(&nearest, name);
    }
    enum err err = fail(why, ERR_INVALID, "'%.*s' is nothing that is measured", STR_ARG(word));
    struct str meant = nearest_found(&nearest);
    if (meant.size > 0)
        hint(why, "did you mean %.*s?", STR_ARG(meant));
    else
        hint(why,
             "as in p95, p99.9, service_p95, mean, max, rps, error_rate, errors; of token streams "
             "ttft_p95, itl_p99, tpot_p50, e2e_p95, goodput, tokens_per_second, cost");
    return err;
}

static bool read_time(struct str text, double *ret_ns)
{
    static const struct {
        struct str name;
        double ns;
    } units[] = {{{"ns", 2}, 1},  {{"us", 2}, 1e3},   {{"ms", 2}, 1e6},
                 {{"s", 1}, 1e9}, {{"min", 3}, 60e9}, {{"m", 1}, 60e9}};

    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        double number;
        if (!str_ends(text, units[i].name))
            continue;
        struct str front = str_trim((struct str){text.data, text.size - units[i].name.size});
        if (str_to_double(front, &number) && number >= 0) {
            *ret_ns = number * units[i].ns;
            return true;
        }
    }
    return false;
}

static enum err read_bound(struct str text, struct criterion *criterion, struct why *why)
{
    switch (unit_of(criterion->measure)) {
    case UNIT_TIME:
        if (read_time(text, &criterion->bound))
            return ERR_NONE;
        return fail(why, ERR_INVALID, "'%.*s' is no duration such as 300ms or 1.5s", STR_ARG(text));
    case UNIT_SHARE:
        if (option_parse_ratio(text, &criterion->bound))
            return ERR_NONE;
        return fail(why, ERR_INVALID, "'%.*s' is no share such as 1%% or 0.01", STR_ARG(text));
    case UNIT_NUMBER:
        break;
    }
    if (str_to_double(text, &criterion->bound) && criterion->bound >= 0)
        return ERR_NONE;
    return fail(why, ERR_INVALID, "'%.*s' is no number", STR_ARG(text));
}

static bool find_comparison(struct str text, size_t *ret_at, size_t *ret_size,
                            enum comparison *ret_comparison)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '<' && text.data[i] != '>')
            continue;
        bool equal = i + 1 < text.size && text.data[i + 1] == '=';
        *ret_at = i;
        *ret_size = equal ? 2 : 1;
        if (text.data[i] == '<')
            *ret_comparison = equal ? COMPARISON_AT_MOST : COMPARISON_LESS;
        else
            *ret_comparison = equal ? COMPARISON_AT_LEAST : COMPARISON_MORE;
        return true;
    }
    return false;
}

static enum err parse(struct str text, struct criterion *criterion, struct why *why)
{
    size_t at, size;

    criterion->text = str_trim(text);
    if (!find_comparison(criterion->text, &at, &size, &criterion->comparison))
        return fail(why, ERR_INVALID, "there is no comparison (<, <=, >, >=)");
    struct str left = str_trim((struct str){criterion->text.data, at});
    struct str right =
        str_trim((struct str){criterion->text.data + at + size, criterion->text.size - at - size});
    /* The first dot that is followed by a letter ends the step's name: p99.9 has none. */
    for (size_t i = left.size; i-- > 1;) {
        if (left.data[i - 1] == '.' && (left.data[i] < '0' || left.data[i] > '9')) {
            criterion->step = (struct str){left.data, i - 1};
            left = (struct str){left.data + i, left.size - i};
            break;
        }
    }
    TRY(read_measure(left, criterion, why));
    return read_bound(right, criterion, why);
}

enum err criterion_parse(struct str text, struct criterion *ret_criterion, struct why *why)
{
    struct criterion criterion = {0};
    enum err err = parse(text, &criterion, why);

    if (err != ERR_NONE) {
        if (why != NULL)
            why_prefix(why, "criterion '%.*s'", STR_ARG(str_trim(text)));
        return err;
    }
    *ret_criterion = criterion;
    return ERR_NONE;
}

static ptrdiff_t find_step(const struct criterion *criterion, const struct plan *plan)
{
    for (size_t i = 0; i < plan->steps_count; i++) {
        if (str_eq(criterion->step, str_of(plan->steps[i]->name)))
            return (ptrdiff_t)i;
    }
    return -1;
}

enum err criterion_check(const struct criterion *criterion, const struct plan *plan,
                         struct why *why)
{
    struct nearest nearest = nearest_begin(criterion->step);

    if (criterion->measure >= MEASURE_TTFT && !plan->has_streams)
        return fail(why, ERR_INVALID, "criterion '%.*s': nothing here brings token streams",
                    STR_ARG(criterion->text));
    if (criterion->step.size == 0 || find_step(criterion, plan) >= 0)
        return ERR_NONE;
    for (size_t i = 0; i < plan->steps_count; i++)
        nearest_offer(&nearest, str_of(plan->steps[i]->name));
    enum err err = fail(why, ERR_INVALID, "criterion '%.*s': there is no step '%.*s'",
                        STR_ARG(criterion->text), STR_ARG(criterion->step));
    struct str meant = nearest_found(&nearest);
    if (meant.size > 0)
        hint(why, "did you mean %.*s?", STR_ARG(meant));
    return err;
}

/* ---- Measuring. ---- */

static double measure_streams(const struct criterion *criterion, const struct outcome *outcome,
                              const struct tally *tally, const struct stream_tally *streams)
{
    double seconds = outcome->elapsed_s;

    if (streams == NULL)
        return NAN;
    switch (criterion->measure) {
    case MEASURE_TTFT:
        return histogram_at(&streams->ttft, criterion->q);
    case MEASURE_GAP:
        return histogram_at(&streams->gap, criterion->q);
    case MEASURE_TPOT:
        return histogram_at(&streams->tpot, criterion->q);
    case MEASURE_E2E:
        return histogram_at(&streams->e2e, criterion->q);
    case MEASURE_GOODPUT:
        return seconds > 0 ? (double)streams->good / seconds : NAN;
    case MEASURE_GOOD_SHARE:
        return tally->requests == 0 ? NAN : (double)streams->good / (double)tally->requests;
    case MEASURE_TOKEN_RATE:
        return seconds > 0 ? (double)streams->tokens_out / seconds : NAN;
    case MEASURE_COST:
        return stream_tally_cost(streams, &outcome->plan->price);
    default:
        return NAN;
    }
}

static double measure_tally(const struct criterion *criterion, const struct outcome *outcome,
                            const struct tally *tally)
{
    double seconds = outcome->elapsed_s;

    switch (criterion->measure) {
    case MEASURE_QUANTILE:
        return histogram_at(&tally->latency, criterion->q);
    case MEASURE_SERVICE:
        return histogram_at(&tally->service, criterion->q);
    case MEASURE_FIRST_BYTE:
        return histogram_at(&tally->first_byte, criterion->q);
    case MEASURE_MEAN:
        return histogram_mean(&tally->latency);
    case MEASURE_MAX:
        return tally->latency.count == 0 ? NAN : (double)tally->latency.max_ns;
    case MEASURE_RATE:
        return seconds > 0 ? (double)tally->requests / seconds : NAN;
    case MEASURE_ERROR_RATE:
        return tally->requests == 0 ? NAN : (double)tally->failures / (double)tally->requests;
    case MEASURE_ERRORS:
        return (double)tally->failures;
    case MEASURE_REQUESTS:
        return (double)tally->requests;
    case MEASURE_DROPPED:
        return (double)outcome->links.dropped;
    default:
        return NAN; /* Of token streams: measure_streams. */
    }
}

double criterion_measure(const struct criterion *criterion, const struct outcome *outcome)
{
    const struct tally *tally = &outcome->total;
    const struct stream_tally *streams = outcome->streams;

    if (criterion->step.size > 0) {
        ptrdiff_t step = find_step(criterion, outcome->plan);
        if (step < 0)
            return NAN;
        tally = &outcome->steps[step];
        streams = streams == NULL ? NULL : &outcome->step_streams[step];
    }
    if (criterion->measure >= MEASURE_TTFT)
        return measure_streams(criterion, outcome, tally, streams);
    return measure_tally(criterion, outcome, tally);
}

bool criterion_holds(const struct criterion *criterion, double measured)
{
    if (isnan(measured))
        return false;
    switch (criterion->comparison) {
    case COMPARISON_LESS:
        return measured < criterion->bound;
    case COMPARISON_AT_MOST:
        return measured <= criterion->bound;
    case COMPARISON_MORE:
        return measured > criterion->bound;
    case COMPARISON_AT_LEAST:
        return measured >= criterion->bound;
    }
    return false;
}

/* How many requests all in all, if it goes on as so far. */
static double requests_expected(const struct outcome *outcome)
{
    const struct plan *plan = outcome->plan;
    double length_s =
        (double)(pattern_length_ns(&plan->pattern) - plan->warmup_ns) / (double)CLOCK_NS_PER_S;
    double done = (double)outcome->total.requests;

    if (plan->requests_max > 0)
        return (double)plan->requests_max;
    return outcome->elapsed_s > 0 ? done * fmax(1, length_s / outcome->elapsed_s) : done;
}

bool criterion_is_hopeless(const struct criterion *criterion, const struct outcome *outcome)
{
    const struct tally *tally = &outcome->total;
    bool upper =
        criterion->comparison == COMPARISON_LESS || criterion->comparison == COMPARISON_AT_MOST;
    double expected = requests_expected(outcome);

    if (criterion->step.size > 0 || !upper || tally->requests < CRITERION_ABORT_REQUESTS)
        return false;
    switch (criterion->measure) {
    case MEASURE_QUANTILE: {
        /* More have been too slow already than the quantile leaves room for in the whole run. */
        double slow = 1 - histogram_share_within(&tally->latency, (int64_t)criterion->bound);
        return slow * (double)tally->latency.count > (1 - criterion->q) * expected;
    }
    case MEASURE_ERROR_RATE:
        return (double)tally->failures > criterion->bound * expected;
    case MEASURE_ERRORS:
        return !criterion_holds(criterion, (double)tally->failures);
    case MEASURE_MAX:
        return !criterion_holds(criterion, (double)tally->latency.max_ns);
    default:
        return false;
    }
}

void criterion_write_value(const struct criterion *criterion, double value, struct buf *out)
{
    if (isnan(value)) {
        buf_text(out, "nothing measured");
        return;
    }
    switch (unit_of(criterion->measure)) {
    case UNIT_TIME:
        if (value < 1e6)
            buf_printf(out, "%.0f us", value / 1e3);
        else if (value < 1e9)
            buf_printf(out, "%.1f ms", value / 1e6);
        else
            buf_printf(out, "%.2f s", value / 1e9);
        return;
    case UNIT_SHARE:
        buf_printf(out, "%.2f %%", value * 100);
        return;
    case UNIT_NUMBER:
        buf_printf(out, "%.1f", value);
        return;
    }
}
