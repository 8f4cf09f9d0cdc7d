/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch/quantile.h"
#include "test.h"

enum { COUNT = 200000 };

static double values[COUNT];
static uint64_t state;

static double uniform(void)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(state >> 11) + 0.5) / 0x1p53;
}

static double normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

static double draw_uniform(void)
{
    return 1 + 999 * uniform();
}

static double draw_normal(void)
{
    return fabs(100 + 15 * normal());
}

static double draw_log_normal(void)
{
    return exp(5 + 2 * normal());
}

static double draw_bimodal(void)
{
    return uniform() < 0.9 ? 5 + uniform() : 5e5 * (1 + 0.1 * uniform());
}

static double draw_pareto(void)
{
    return pow(uniform(), -1 / 1.1);
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;

    return (left > right) - (left < right);
}

static void check_shape(const char *name, double (*draw)(void), double error)
{
    static const double quantiles[] = {0, 0.01, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 1};
    struct quantile sketch CLEANUP(quantile_done);

    quantile_init(&sketch, error);
    state = 7;
    for (int i = 0; i < COUNT; i++) {
        values[i] = draw();
        quantile_add(&sketch, values[i]);
    }
    qsort(values, COUNT, sizeof(*values), by_value);
    for (size_t i = 0; i < ARRAY_COUNT(quantiles); i++) {
        double exact = values[(size_t)(quantiles[i] * (COUNT - 1))];
        double got = quantile_get(&sketch, quantiles[i]);
        if (!(fabs(got - exact) <= error * exact * (1 + 1e-9))) {
            printf("# %s at %g: got %.9g, exact %.9g\n", name, quantiles[i], got, exact);
            EXPECT(fabs(got - exact) <= error * exact);
        }
    }
    EXPECT(!sketch.collapsed);
}

TEST(quantiles_of_five_shapes_keep_the_stated_error)
{
    static const double errors[] = {0.001, 0.01, 0.05};

    for (size_t i = 0; i < ARRAY_COUNT(errors); i++) {
        check_shape("uniform", draw_uniform, errors[i]);
        check_shape("normal", draw_normal, errors[i]);
        check_shape("log-normal", draw_log_normal, errors[i]);
        check_shape("bimodal", draw_bimodal, errors[i]);
        check_shape("pareto", draw_pareto, errors[i]);
    }
}

TEST(every_bucket_stands_within_the_error_of_what_falls_into_it)
{
    double multiplier = quantile_multiplier(QUANTILE_ERROR_DEFAULT);

    state = 3;
    for (int i = 0; i < 1000000; i++) {
        double value = exp(60 * uniform() - 27);
        double stands =
            quantile_bucket_value(QUANTILE_ERROR_DEFAULT, quantile_index(multiplier, value));
        if (!(fabs(stands - value) <= QUANTILE_ERROR_DEFAULT * value * (1 + 1e-9))) {
            printf("# %.17g stands as %.17g\n", value, stands);
            EXPECT(fabs(stands - value) <= QUANTILE_ERROR_DEFAULT * value);
            return;
        }
    }
}

TEST(parts_merged_are_the_whole)
{
    struct quantile whole CLEANUP(quantile_done);
    struct quantile merged CLEANUP(quantile_done);
    struct quantile parts[7];
    struct buf left CLEANUP(buf_done) = {0};
    struct buf right CLEANUP(buf_done) = {0};

    quantile_init(&whole, 0.01);
    quantile_init(&merged, 0.01);
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
        quantile_init(&parts[i], 0.01);
    state = 11;
    for (int i = 0; i < 10000; i++) {
        double value = floor(draw_log_normal()) - 50;
        quantile_add(&whole, value);
        quantile_add(&parts[i % 7], value);
    }
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        EXPECT(quantile_merge(&merged, &parts[i], NULL) == ERR_NONE);
        quantile_done(&parts[i]);
    }
    quantile_write(&whole, &left);
    quantile_write(&merged, &right);
    EXPECT(str_eq(buf_view(&left), buf_view(&right)));
}

TEST(bytes_read_back_as_the_same_sketch)
{
    struct quantile sketch CLEANUP(quantile_done);
    struct quantile again CLEANUP(quantile_done);
    struct buf bytes CLEANUP(buf_done) = {0};
    struct buf bytes_again CLEANUP(buf_done) = {0};

    quantile_init(&sketch, 0.01);
    for (int i = -500; i < 5000; i++)
        quantile_add(&sketch, i * i * (i < 0 ? -1.0 : 1.0));
    quantile_write(&sketch, &bytes);
    ASSERT(quantile_read(buf_view(&bytes), &again, NULL) == ERR_NONE);
    quantile_write(&again, &bytes_again);
    EXPECT(str_eq(buf_view(&bytes), buf_view(&bytes_again)));
    for (double q = 0; q <= 1; q += 0.01)
        EXPECT(quantile_get(&sketch, q) == quantile_get(&again, q));
    for (size_t size = 0; size < bytes.size; size++) {
        struct quantile cut;
        EXPECT(quantile_read((struct str){bytes.data, size}, &cut, NULL) == ERR_CORRUPT);
    }
}

TEST(a_range_past_the_buckets_folds_the_low_end_and_says_so)
{
    struct quantile sketch CLEANUP(quantile_done);

    quantile_init(&sketch, 0.01);
    for (int i = 0; i < 1000; i++) {
        quantile_add(&sketch, 1e-9);
        quantile_add(&sketch, 1e200 * (1 + i));
    }
    EXPECT(sketch.collapsed);
    EXPECT_NEAR(quantile_get(&sketch, 0.75) / 5e202, 1, 0.011);
    quantile_add(&sketch, 1e-9);
    EXPECT(sketch.count == 2001);
}

TEST(nothing_and_what_is_no_number)
{
    struct quantile sketch CLEANUP(quantile_done);
    struct quantile other CLEANUP(quantile_done);

    quantile_init(&sketch, 0.01);
    quantile_init(&other, 0.02);
    EXPECT(isnan(quantile_get(&sketch, 0.5)) && isnan(quantile_rank(&sketch, 1)));
    quantile_add(&sketch, NAN);
    quantile_add(&sketch, INFINITY);
    EXPECT(sketch.count == 0);
    quantile_add(&sketch, 0);
    quantile_add(&sketch, -5);
    EXPECT(quantile_get(&sketch, 0) == -5 && quantile_get(&sketch, 1) == 0);
    EXPECT(quantile_merge(&sketch, &other, NULL) == ERR_INVALID);
}

TEST(ranks_are_the_inverse_of_quantiles)
{
    struct quantile sketch CLEANUP(quantile_done);

    quantile_init(&sketch, 0.01);
    for (int i = 1; i <= 10000; i++)
        quantile_add(&sketch, i);
    EXPECT_NEAR(quantile_rank(&sketch, 5000), 0.5, 0.01);
    EXPECT(quantile_rank(&sketch, 20000) == 1 && quantile_rank(&sketch, 0.5) == 0);
}

TEST(exponential_histograms_of_opentelemetry_come_in)
{
    struct quantile sketch CLEANUP(quantile_done);
    const uint64_t counts[] = {10, 0, 90}; /* Scale 0: (1, 2], (2, 4], (4, 8]. */
    const struct exponential_buckets positive = {0, counts, 3};

    quantile_init(&sketch, 0.01);
    ASSERT(quantile_add_exponential(&sketch, 0, &positive, NULL, 5, NULL) == ERR_NONE);
    EXPECT(sketch.count == 105);
    EXPECT_NEAR(quantile_get(&sketch, 0.9), sqrt(32), 0.06);
    EXPECT(quantile_get(&sketch, 0.01) == 0);
    EXPECT(quantile_add_exponential(&sketch, 21, &positive, NULL, 0, NULL) == ERR_INVALID);
}

TEST_MAIN
