/* SPDX-License-Identifier: Apache-2.0 */
/* Every operation has one time and one count in each trace, 0 where it is not. Means tell where the
 * difference went, because means of parts add up to the mean of the whole; ranks tell whether it is
 * one (Mann-Whitney), because times have long tails. With hundreds of operations some look
 * different by chance: p values are adjusted over all that are shown. */
#include "analysis/trace_contrast.h"

#include "stats/array.h"
#include "stats/compare.h"
#include "stats/contingency.h"

#include <math.h>
#include <stdlib.h>

#define LEVEL         0.95
#define SHIFT_MAX     400 /* Of each group, for the typical difference: it looks at all pairs. */
#define ENOUGH_TRACES 3   /* Below it nothing is tested. */
#define TEXT_BYTES    160

/* ---- Sums of everything, to choose what is looked at closely. ---- */

struct sums {
    double *times; /* ms, by operation. */
    double *calls;
};

static bool add_up(const struct trace_digests *digests, const struct trace_group *group,
                   struct arena *arena, struct sums *ret_sums)
{
    struct sums sums = {
        .times = ARENA_ARRAY(arena, (size_t)digests->operations_count + 1, double),
        .calls = ARENA_ARRAY(arena, (size_t)digests->operations_count + 1, double),
    };

    if (sums.times == NULL || sums.calls == NULL)
        return false;
    for (size_t i = 0; i < group->count; i++) {
        for (uint32_t k = 0; k < group->items[i].parts_count; k++) {
            const struct digest_part *part = &group->items[i].parts[k];
            sums.times[part->operation] += (double)part->critical_ns / 1e6;
            sums.calls[part->operation] += part->calls;
        }
    }
    *ret_sums = sums;
    return true;
}

static double mean(double sum, size_t count)
{
    return count == 0 ? 0 : sum / (double)count;
}

static int largest_first(const void *a, const void *b)
{
    const struct contrast_row *left = a;
    const struct contrast_row *right = b;
    double left_size = fabs(left->difference_ms);
    double right_size = fabs(right->difference_ms);

    if (left_size != right_size)
        return left_size > right_size ? -1 : 1;
    left_size = fabs(left->b_calls - left->a_calls);
    right_size = fabs(right->b_calls - right->a_calls);
    if (left_size != right_size)
        return left_size > right_size ? -1 : 1;
    return (left->operation > right->operation) - (left->operation < right->operation);
}

/* ---- Tests. ---- */

struct tests {
    const struct trace_group *a;
    const struct trace_group *b;
    double *left; /* Room for a value a trace. */
    double *right;
    bool enough;
};

static void test_row(struct tests *tests, struct contrast_row *row)
{
    size_t a = tests->a->count;
    size_t b = tests->b->count;

    row->a_traces = trace_group_having(tests->a, row->operation);
    row->b_traces = trace_group_having(tests->b, row->operation);
    row->p = row->p_adjusted = row->effect = row->presence_p = row->calls_p = NAN;
    if (!tests->enough)
        return;
    trace_group_times_ms(tests->a, row->operation, tests->left);
    trace_group_times_ms(tests->b, row->operation, tests->right);
    struct mann_whitney times = compare_mann_whitney(tests->left, a, tests->right, b, COMPARE_AUTO);
    row->p = times.p;
    row->effect = times.cliff;
    trace_group_calls(tests->a, row->operation, tests->left);
    trace_group_calls(tests->b, row->operation, tests->right);
    row->calls_p = compare_mann_whitney(tests->left, a, tests->right, b, COMPARE_AUTO).p;
    row->presence_p = contingency_fisher((struct contingency){
        row->a_traces, (uint32_t)a - row->a_traces, row->b_traces, (uint32_t)b - row->b_traces});
}

static void compare_wholes(struct tests *tests, struct contrast *contrast)
{
    size_t a = tests->a->count;
    size_t b = tests->b->count;

    for (size_t i = 0; i < a; i++)
        tests->left[i] = (double)tests->a->items[i].duration_ns / 1e6;
    for (size_t i = 0; i < b; i++)
        tests->right[i] = (double)tests->b->items[i].duration_ns / 1e6;
    contrast->a_mean_ms = a == 0 ? NAN : describe_mean(tests->left, a);
    contrast->b_mean_ms = b == 0 ? NAN : describe_mean(tests->right, b);
    contrast->a_median_ms = a == 0 ? NAN : describe_median(tests->left, a);
    contrast->b_median_ms = b == 0 ? NAN : describe_median(tests->right, b);
    contrast->shift_ms = contrast->b_median_ms - contrast->a_median_ms;
    contrast->low_ms = contrast->high_ms = contrast->p = contrast->effect = NAN;
    if (!tests->enough)
        return;
    struct mann_whitney test = compare_mann_whitney(tests->left, a, tests->right, b, COMPARE_AUTO);
    struct shift shift = compare_shift(tests->left, a < SHIFT_MAX ? a : SHIFT_MAX, tests->right,
                                       b < SHIFT_MAX ? b : SHIFT_MAX, LEVEL);
    contrast->p = test.p;
    contrast->effect = test.cliff;
    contrast->shift_ms = shift.shift;
    contrast->low_ms = shift.interval.low;
    contrast->high_ms = shift.interval.high;
}

static bool adjust(struct contrast *contrast, struct arena *arena)
{
    double *p = ARENA_ARRAY(arena, contrast->rows_count + 1, double);
    double *adjusted = ARENA_ARRAY(arena, contrast->rows_count + 1, double);

    if (p == NULL || adjusted == NULL)
        return false;
    for (size_t i = 0; i < contrast->rows_count; i++)
        p[i] = contrast->rows[i].p;
    compare_adjust(p, contrast->rows_count, adjusted);
    for (size_t i = 0; i < contrast->rows_count; i++)
        contrast->rows[i].p_adjusted = adjusted[i];
    return true;
}

/* ---- All of it. ---- */

static bool choose_rows(const struct trace_digests *digests, const struct trace_group *a,
                        const struct trace_group *b, struct arena *arena, struct contrast *contrast)
{
    size_t count = digests->operations_count;
    struct contrast_row *rows = ARENA_ARRAY(arena, count + 1, struct contrast_row);
    struct sums left, right;
    size_t used = 0;

    if (rows == NULL || !add_up(digests, a, arena, &left) || !add_up(digests, b, arena, &right))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (left.calls[i] + right.calls[i] == 0)
            continue; /* Of neither group. */
        rows[used++] = (struct contrast_row){
            .operation = i,
            .a_calls = mean(left.calls[i], a->count),
            .b_calls = mean(right.calls[i], b->count),
            .a_ms = mean(left.times[i], a->count),
            .b_ms = mean(right.times[i], b->count),
            .difference_ms = mean(right.times[i], b->count) - mean(left.times[i], a->count),
        };
    }
    qsort(rows, used, sizeof(*rows), largest_first);
    contrast->rows = rows;
    contrast->rows_count = used < TRACE_CONTRAST_ROWS_MAX ? used : TRACE_CONTRAST_ROWS_MAX;
    return true;
}

enum err trace_contrast(const struct trace_digests *digests, const struct trace_group *a,
                        const struct trace_group *b, struct arena *arena,
                        struct contrast *ret_contrast, struct why *why)
{
    struct contrast contrast = {.rows_count = 0};
    struct tests tests = {
        .a = a,
        .b = b,
        .left = ARENA_ARRAY(arena, a->count + 1, double),
        .right = ARENA_ARRAY(arena, b->count + 1, double),
        .enough = a->count >= ENOUGH_TRACES && b->count >= ENOUGH_TRACES,
    };

    if (tests.left == NULL || tests.right == NULL || !choose_rows(digests, a, b, arena, &contrast))
        return arena_spent(arena, "a comparison of traces", why);
    compare_wholes(&tests, &contrast);
    double whole_ms = contrast.b_mean_ms - contrast.a_mean_ms;
    for (size_t i = 0; i < contrast.rows_count; i++) {
        test_row(&tests, &contrast.rows[i]);
        contrast.rows[i].share =
            isnan(whole_ms) || whole_ms == 0 ? NAN : contrast.rows[i].difference_ms / whole_ms;
    }
    if (!adjust(&contrast, arena))
        return arena_spent(arena, "a comparison of traces", why);
    *ret_contrast = contrast;
    return ERR_NONE;
}

/* ---- Texts. ---- */

struct str digest_operation_text(const struct digest_operation *operation, struct arena *arena)
{
    struct buf text CLEANUP(buf_done) = {0};
    struct str what = operation->text.size > 0 ? operation->text : operation->name;
    size_t size = what.size;

    if (size > TEXT_BYTES) {
        size = TEXT_BYTES;
        while (size > 0 && ((unsigned char)what.data[size] & 0xc0) == 0x80)
            size--;
    }
    buf_append(&text, what.data, size);
    buf_text(&text, size < what.size ? "…" : "");
    if (operation->service.size > 0)
        buf_printf(&text, " in %.*s", STR_ARG(operation->service));
    return arena_str(arena, buf_view(&text));
}

void contrast_write_p(struct buf *out, double p)
{
    if (isnan(p))
        buf_text(out, "too few traces to test");
    else if (p < 0.001)
        buf_text(out, "p < 0.001");
    else
        buf_printf(out, "p = %.*f", p < 0.01 ? 3 : 2, p);
}
