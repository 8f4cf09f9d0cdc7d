/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch/quantile.h"

#include "sketch/quantile_fixed.h"
#include "test.h"

#include <float.h>

#define VALUES_COUNT 100000

static uint64_t state = 42;

static uint64_t random_bits(void)
{
    uint64_t z = (state += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* In (0, 1]. */
static double uniform(void)
{
    return (double)((random_bits() >> 11) + 1) * 0x1p-53;
}

static double normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

static double shape_uniform(void)
{
    return uniform() * 1000;
}
static double shape_normal(void)
{
    return 100 + 15 * normal();
}
static double shape_log_normal(void)
{
    return exp(2 + 1.5 * normal());
}
static double shape_bimodal(void)
{
    return uniform() < 0.7 ? 10 + normal() : 900 + 40 * normal();
}
static double shape_pareto(void)
{
    return pow(uniform(), -1 / 1.1);
}
static double shape_both_signs(void)
{
    return 50 * normal();
}

static const struct {
    const char *name;
    double (*next)(void);
} shapes[] = {
    {"uniform", shape_uniform}, {"normal", shape_normal}, {"log-normal", shape_log_normal},
    {"bimodal", shape_bimodal}, {"pareto", shape_pareto}, {"both signs", shape_both_signs},
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double worst_error(const struct quantile *sketch, const double *sorted, size_t count)
{
    static const double ranks[] = {0,   0.001, 0.01, 0.1,   0.25,  0.5,    0.75,
                                   0.9, 0.95,  0.99, 0.995, 0.999, 0.9999, 1};
    double worst = 0;

    for (size_t i = 0; i < sizeof ranks / sizeof ranks[0]; i++) {
        double want = sorted[quantile_rank(ranks[i], count)];
        double error = fabs(quantile_at(sketch, ranks[i]) - want) / fabs(want);

        worst = error > worst ? error : worst;
    }
    return worst;
}

TEST(quantiles_of_six_shapes_are_within_the_stated_error)
{
    static double values[VALUES_COUNT];

    for (size_t shape = 0; shape < sizeof shapes / sizeof shapes[0]; shape++)
        for (unsigned precision = 0; precision <= QUANTILE_PRECISION_MAX; precision++) {
            CLEANUP(quantile_freep)
            struct quantile *sketch = quantile_new(precision, QUANTILE_BUCKETS_MAX);
            double sum = 0;
            double worst;

            for (size_t i = 0; i < VALUES_COUNT; i++) {
                values[i] = shapes[shape].next();
                sum += values[i];
                quantile_add(sketch, values[i]);
            }
            qsort(values, VALUES_COUNT, sizeof values[0], compare);
            worst = worst_error(sketch, values, VALUES_COUNT);
            EXPECT(worst <= quantile_error(precision) * (1 + 1e-9));
            EXPECT(quantile_error(precision) <= 0.01);
            EXPECT(quantile_count(sketch) == VALUES_COUNT);
            EXPECT(quantile_sum(sketch) == sum);
            EXPECT(quantile_min(sketch) == values[0]);
            EXPECT(quantile_max(sketch) == values[VALUES_COUNT - 1]);
            EXPECT(quantile_collapsed(sketch) == 0);
        }
}

TEST(of_a_few_values_as_many_as_it_says_are_not_greater)
{
    CLEANUP(quantile_freep) struct quantile *sketch = quantile_new(0, QUANTILE_BUCKETS_MAX);

    for (int i = 1; i <= 20; i++)
        quantile_add(sketch, i);
    EXPECT(quantile_at(sketch, 0) == 1 && quantile_at(sketch, 0.05) == 1);
    EXPECT(fabs(quantile_at(sketch, 0.5) - 10) <= 10 * quantile_error(0));
    EXPECT(fabs(quantile_at(sketch, 0.95) - 19) <= 19 * quantile_error(0));
    EXPECT(quantile_at(sketch, 0.99) == 20 && quantile_at(sketch, 1) == 20);
    for (uint64_t count = 1; count <= 1000; count++) {
        for (uint64_t i = 1; i <= count; i++)
            EXPECT(quantile_rank((double)i / (double)count, count) == i - 1);
    }
    for (uint64_t i = 1; i <= 100; i++) /* As 0.07 is written, too. */
        EXPECT(quantile_rank((double)i * 0.01, 100) == i - 1);
}

TEST(bounds_are_the_powers_they_claim_to_be)
{
    for (int i = 0; i < QUANTILE_FINE; i++) {
        long double bound = 1 + ldexpl((long double)quantile_fine_bounds[i], -52);
        long double exact = exp2l((long double)i / QUANTILE_FINE);

        /* At or above, by less than one step of a double. */
        EXPECT(bound >= exact - 1e-18L && bound - exact < 0x1p-52L);
    }
    for (int i = 0; i <= QUANTILE_COARSE; i++)
        EXPECT(quantile_coarse_bounds[i] == quantile_fine_bounds[8 * i]);
}

TEST(every_value_is_in_its_bucket_at_every_precision)
{
    for (unsigned precision = 0; precision <= QUANTILE_PRECISION_MAX; precision++)
        for (int i = 0; i < 200000; i++) {
            uint64_t bits = random_bits() >> 1;
            double value, stands;
            int32_t key;

            memcpy(&value, &bits, sizeof value);
            if (!(value >= DBL_MIN && value <= DBL_MAX))
                continue;
            key = quantile_key(value, precision);
            stands = quantile_key_value(key, precision);
            if (quantile_key_lower(key, precision) > value ||
                quantile_key_lower(key + 1, precision) <= value ||
                fabs(stands - value) > quantile_error(precision) * value * (1 + 1e-12))
                EXPECT(!"value in bucket");
        }
    EXPECT(quantile_key(DBL_MAX, 3) == quantile_key_max(3));
    EXPECT(quantile_key(DBL_MIN, 2) == quantile_key_min(2));
    EXPECT(quantile_key(1, 0) == 0);
}

TEST(merging_is_the_sketch_of_all_together)
{
    CLEANUP(quantile_freep) struct quantile *whole = quantile_new(0, 0);
    CLEANUP(quantile_freep) struct quantile *merged = quantile_new(1, 0);

    for (int part = 0; part < 20; part++) {
        CLEANUP(quantile_freep) struct quantile *piece = quantile_new((unsigned)part % 4, 0);

        for (int i = 0; i < 500 * part; i++) {
            double value = shapes[part % 6].next();

            quantile_add(whole, value);
            quantile_add(piece, value);
        }
        quantile_merge(merged, piece);
    }
    EXPECT(quantile_precision(merged) == 0);
    EXPECT(quantile_count(merged) == quantile_count(whole));
    EXPECT_NEAR(quantile_sum(merged), quantile_sum(whole), 1e-9 * fabs(quantile_sum(whole)));
    for (double q = 0; q <= 1; q += 1.0 / 512)
        EXPECT(quantile_at(merged, q) == quantile_at(whole, q));
}

TEST(what_is_no_number_is_not_counted)
{
    CLEANUP(quantile_freep) struct quantile *sketch = quantile_new(0, 0);

    EXPECT(isnan(quantile_at(sketch, 0.5)) && isnan(quantile_min(sketch)));
    quantile_add(sketch, NAN);
    quantile_add(sketch, INFINITY);
    quantile_add(sketch, -INFINITY);
    EXPECT(quantile_count(sketch) == 0);
    quantile_add(sketch, 0);
    quantile_add(sketch, -0.0);
    quantile_add(sketch, DBL_TRUE_MIN);
    quantile_add(sketch, DBL_MAX);
    quantile_add(sketch, -DBL_MAX);
    EXPECT(quantile_count(sketch) == 5);
    EXPECT(quantile_at(sketch, 0.5) == 0);
    EXPECT(quantile_at(sketch, 0) == -DBL_MAX);
    EXPECT(quantile_at(sketch, 1) == DBL_MAX);
}

TEST(a_bounded_sketch_collapses_what_is_nearest_to_zero)
{
    CLEANUP(quantile_freep) struct quantile *sketch = quantile_new(0, 100);
    CLEANUP(quantile_freep) struct quantile *merged = quantile_new(0, 0);

    for (int i = 0; i < 10000; i++)
        quantile_add(sketch, exp2(uniform() * 20));
    EXPECT(quantile_count(sketch) == 10000);
    EXPECT(quantile_collapsed(sketch) > 8000 && quantile_collapsed(sketch) < 9200);
    /* 100 buckets are 2.86 octaves: the upper 14 % of the numbers are still exact. */
    EXPECT_NEAR(quantile_at(sketch, 0.95), exp2(19), exp2(19) * 0.1);
    EXPECT(quantile_at(sketch, 0.1) < exp2(17.3));
    quantile_merge(merged, sketch);
    quantile_add(merged, 3);
    EXPECT(quantile_collapsed(merged) == quantile_collapsed(sketch) + 1);
    EXPECT(quantile_at(merged, 0.97) == quantile_at(sketch, 0.97));
}

static bool same(const struct quantile *a, const struct quantile *b)
{
    for (double q = 0; q <= 1; q += 1.0 / 64)
        if (quantile_count(a) > 0 && quantile_at(a, q) != quantile_at(b, q))
            return false;
    return quantile_count(a) == quantile_count(b) && quantile_sum(a) == quantile_sum(b) &&
           quantile_collapsed(a) == quantile_collapsed(b) &&
           quantile_precision(a) == quantile_precision(b);
}

TEST(bytes_bring_the_sketch_back)
{
    for (unsigned kind = 0; kind < 7; kind++)
        for (int count = 0; count < 3000; count = count * 3 + 1) {
            CLEANUP(quantile_freep)
            struct quantile *sketch = quantile_new(kind % 4, kind == 6 ? 50 : 0);
            CLEANUP(quantile_freep) struct quantile *back = NULL;
            struct buf out = {0};
            struct why why = WHY_INIT;

            for (int i = 0; i < count; i++)
                quantile_add(sketch, kind == 6 ? exp2(uniform() * 9) : shapes[kind].next());
            if (kind == 2)
                quantile_add_many(sketch, 0, 17);
            quantile_write(sketch, &out);
            if (quantile_read(buf_view(&out), &back, &why) != ERR_NONE)
                printf("# kind %u, %d numbers: %s\n", kind, count, why.text);
            ASSERT(back != NULL);
            EXPECT(same(sketch, back));
            for (size_t size = 0; size < out.size; size++) {
                struct quantile *cut = NULL;

                EXPECT(quantile_read((struct str){out.data, size}, &cut, &why) != ERR_NONE);
                EXPECT(cut == NULL);
            }
            if (count == 1 && kind != 2)
                EXPECT(out.size <= 16);
            buf_done(&out);
        }
}

TEST(damaged_bytes_are_refused_or_harmless)
{
    CLEANUP(quantile_freep) struct quantile *sketch = quantile_new(0, 0);
    struct buf out = {0};

    for (int i = 0; i < 300; i++)
        quantile_add(sketch, shape_both_signs());
    quantile_write(sketch, &out);
    for (size_t bit = 0; bit < out.size * 8; bit++) {
        CLEANUP(quantile_freep) struct quantile *back = NULL;
        struct why why = WHY_INIT;

        out.data[bit / 8] = (char)(out.data[bit / 8] ^ (1 << bit % 8));
        if (quantile_read(buf_view(&out), &back, &why) == ERR_NONE)
            (void)quantile_at(back, 0.9); /* Only that nothing breaks. */
        out.data[bit / 8] = (char)(out.data[bit / 8] ^ (1 << bit % 8));
    }
    buf_done(&out);
}

TEST(a_fixed_sketch_agrees_with_a_grown_one)
{
    static struct quantile_fixed fixed, seen;
    CLEANUP(quantile_freep) struct quantile *drained = quantile_new(0, 0);
    CLEANUP(quantile_freep) struct quantile *grown = quantile_new(0, 0);
    double sum = 0;

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 20000; i++) {
            uint64_t duration_ns = (uint64_t)exp2(uniform() * 41.9) - 1;

            quantile_fixed_add(&fixed, duration_ns);
            quantile_add(grown, (double)duration_ns);
            sum += (double)duration_ns;
        }
        EXPECT(quantile_fixed_drain(&fixed, &seen, drained) == 20000);
    }
    EXPECT(quantile_fixed_drain(&fixed, &seen, drained) == 0);
    EXPECT(quantile_count(drained) == 60000);
    EXPECT_NEAR(quantile_sum(drained), sum, sum * 1e-12);
    for (double q = 0.01; q <= 0.99; q += 0.01)
        EXPECT(quantile_at(drained, q) == quantile_at(grown, q));
    quantile_fixed_add(&fixed, UINT64_MAX);
    EXPECT(fixed.counts[QUANTILE_FIXED_BUCKETS - 1] > 0);
}

TEST(exponential_histograms_keep_their_quantiles)
{
    static const int32_t scales[] = {0, 3, 5, 6, 8, 12};

    for (size_t s = 0; s < sizeof scales / sizeof scales[0]; s++) {
        static double values[20000];
        static uint64_t counts[1 << 17];
        CLEANUP(quantile_freep) struct quantile *sketch = quantile_new(0, 0);
        int32_t offset = quantile_exponential_index(0.9, scales[s]);
        struct quantile_exponential side = {scales[s], offset, counts, 0};
        double base = exp2(exp2(-scales[s]));
        struct why why = WHY_INIT;

        memset(counts, 0, sizeof counts);
        for (int i = 0; i < 20000; i++) {
            int32_t index;

            values[i] = 1 + uniform() * 1000;
            index = quantile_exponential_index(values[i], scales[s]);
            EXPECT(values[i] <= exp2(ldexp(index + 1, -scales[s])) * (1 + 1e-12));
            EXPECT(values[i] > exp2(ldexp(index, -scales[s])) * (1 - 1e-12));
            counts[index - offset]++;
            side.counts_size = (size_t)(index - offset) + 1 > side.counts_size
                                   ? (size_t)(index - offset) + 1
                                   : side.counts_size;
        }
        ASSERT(quantile_add_exponential(sketch, false, &side, &why) == ERR_NONE);
        ASSERT(quantile_add_exponential(sketch, true, &side, &why) == ERR_NONE);
        EXPECT(quantile_count(sketch) == 40000);
        qsort(values, 20000, sizeof values[0], compare);
        for (double q = 0.05; q < 1; q += 0.05) {
            double want = values[(size_t)(q * 19999)];
            double got = quantile_at(sketch, 0.5 + q / 2);

            EXPECT(fabs(got - want) <= want * ((base - 1) + 0.011));
            EXPECT_NEAR(quantile_at(sketch, 0.5 - q / 2), -got, 0.03 * got);
        }
    }
}

TEST(exponential_histograms_out_of_bounds_are_refused)
{
    CLEANUP(quantile_freep) struct quantile *sketch = quantile_new(0, 0);
    uint64_t one = 1;
    struct quantile_exponential wild = {21, 0, &one, 1};
    struct quantile_exponential far = {0, INT32_MAX, &one, 1};
    struct why why = WHY_INIT;

    EXPECT(quantile_add_exponential(sketch, false, &wild, &why) == ERR_INVALID);
    EXPECT(quantile_add_exponential(sketch, false, &far, &why) == ERR_INVALID);
}

TEST(explicit_buckets_go_there_and_back)
{
    CLEANUP(quantile_freep) struct quantile *sketch = quantile_new(0, 0);
    static const double bounds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
    static const uint64_t counts[] = {10, 20, 300, 4000, 5000, 3000, 100, 10, 3, 2, 1, 4};
    double before = 0, want = 0;

    quantile_add_explicit(sketch, bounds, 11, counts, NAN, NAN);
    EXPECT(quantile_count(sketch) == 12450);
    for (size_t i = 0; i < 10; i++) {
        double below = quantile_count_below(sketch, bounds[i]);

        want += (double)counts[i];
        EXPECT(below >= before);
        EXPECT_NEAR(below, want, 0.025 * (double)(counts[i] + counts[i + 1]) + 0.5);
        before = below;
    }
    /* As interpolation in the bucket from 0.05 to 0.1 would say. */
    EXPECT_NEAR(quantile_at(sketch, 0.5), 0.05 + 0.05 * (6225 - 4330) / 5000, 0.0008);
}

TEST_MAIN
