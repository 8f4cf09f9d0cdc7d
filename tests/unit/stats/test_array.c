/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/array.h"
#include "stats/fourier.h"
#include "stats/random.h"
#include "test.h"

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

TEST(sorting_agrees_with_qsort_at_every_size)
{
    static const size_t sizes[] = {0, 1, 2, 3, 47, 48, 49, 500, 20000};
    struct random random = random_begin(1);

    for (size_t k = 0; k < ARRAY_COUNT(sizes); k++) {
        double *values CLEANUP(array_freep) = array_new(sizes[k]);
        for (size_t i = 0; i < sizes[k]; i++)
            values[i] = random_normal(&random) * pow(10, (double)random_below(&random, 40) - 20);
        double *wanted CLEANUP(array_freep) = array_copy(values, sizes[k]);
        qsort(wanted, sizes[k], sizeof(double), by_value);
        array_sort(values, sizes[k]);
        EXPECT(memcmp(values, wanted, sizes[k] * sizeof(double)) == 0);
    }
}

TEST(infinities_and_both_zeros_have_their_place)
{
    double values[] = {0.0, INFINITY, -0.0, -1, -INFINITY, 1, 5e-324, -5e-324};

    array_sort(values, ARRAY_COUNT(values));
    EXPECT(values[0] == -INFINITY && values[7] == INFINITY);
    EXPECT(values[2] == -5e-324 && values[3] == 0 && values[4] == 0 && values[5] == 5e-324);
    EXPECT(array_key(-0.0) == array_key(0.0));
    EXPECT(array_from_key(array_key(-1.5)) == -1.5);
}

TEST(selecting_finds_what_sorting_would)
{
    struct random random = random_begin(2);

    for (int round = 0; round < 200; round++) {
        double values[64];
        size_t count = 1 + random_below(&random, 64);
        for (size_t i = 0; i < count; i++)
            values[i] = (double)random_below(&random, 20);
        double *sorted CLEANUP(array_freep) = array_sorted(values, count);
        size_t index = random_below(&random, count);
        EXPECT(array_select(values, count, index) == sorted[index]);
    }
}

TEST(what_is_no_number_is_left_out)
{
    double values[] = {NAN, 1, NAN, 2, 3};

    ASSERT(array_keep_numbers(values, 5) == 3);
    EXPECT(values[0] == 1 && values[1] == 2 && values[2] == 3);
}

TEST(chance_is_the_same_everywhere_and_even)
{
    struct random random = random_begin(42);
    struct random again = random_begin(42);
    int counts[10] = {0};
    double sum = 0;
    double squares = 0;

    EXPECT(random_u64(&random) == random_u64(&again));
    for (int i = 0; i < 100000; i++) {
        double normal = random_normal(&random);
        counts[random_below(&random, 10)]++;
        sum += normal;
        squares += normal * normal;
    }
    for (int i = 0; i < 10; i++)
        EXPECT_NEAR(counts[i], 10000, 400);
    EXPECT_NEAR(sum / 100000, 0, 0.02);
    EXPECT_NEAR(squares / 100000, 1, 0.02);
}

TEST(a_transform_agrees_with_its_definition)
{
    double real[16];
    double imaginary[16] = {0};
    double input[16];

    EXPECT(fourier_size(17) == 32 && fourier_size(16) == 16 && fourier_size(0) == 1);
    for (int i = 0; i < 16; i++)
        real[i] = input[i] = sin(i) + 0.3 * i;
    fourier(real, imaginary, 16);
    for (int k = 0; k < 16; k++) {
        double r = 0;
        double m = 0;
        for (int i = 0; i < 16; i++) {
            r += input[i] * cos(2 * M_PI * i * k / 16);
            m -= input[i] * sin(2 * M_PI * i * k / 16);
        }
        EXPECT_NEAR(real[k], r, 1e-12);
        EXPECT_NEAR(imaginary[k], m, 1e-12);
    }
}

TEST_MAIN
