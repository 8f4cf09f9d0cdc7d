/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch/cardinality.h"

#include "test.h"

static uint64_t hash_of(uint64_t thing)
{
    uint64_t z = (thing + 1) * UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* Things first … first + count. */
static struct cardinality *counted(uint64_t first, uint64_t count)
{
    struct cardinality *sketch = cardinality_new();

    for (uint64_t i = 0; i < count; i++)
        cardinality_add(sketch, hash_of(first + i));
    return sketch;
}

TEST(few_things_are_counted_all_but_exactly)
{
    for (uint64_t count = 0; count <= 300; count += 7) {
        CLEANUP(cardinality_freep) struct cardinality *sketch = counted(1000 * count, count);

        EXPECT_NEAR(cardinality_estimate(sketch), (double)count, 1 + 0.02 * (double)count);
    }
}

TEST(the_stated_error_is_the_root_mean_square_over_many_sets)
{
    static const uint64_t counts[] = {600, 3000, 10000, 100000};

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        double squares = 0;
        double sum = 0;
        const int sets = 60;

        for (int set = 0; set < sets; set++) {
            CLEANUP(cardinality_freep)
            struct cardinality *sketch = counted((uint64_t)(set + 1) << 32, counts[i]);
            double error = cardinality_estimate(sketch) / (double)counts[i] - 1;

            squares += error * error;
            sum += error;
        }
        /* Chi square with 60 degrees of freedom: 1.35 times is beyond one in ten thousand. */
        EXPECT(sqrt(squares / sets) < 1.35 * CARDINALITY_ERROR);
        EXPECT(fabs(sum / sets) < 4 * CARDINALITY_ERROR / sqrt(sets));
    }
}

TEST(seeing_again_does_not_count)
{
    CLEANUP(cardinality_freep) struct cardinality *sketch = counted(0, 5000);
    double before = cardinality_estimate(sketch);

    for (uint64_t i = 0; i < 5000; i++)
        cardinality_add(sketch, hash_of(i));
    EXPECT(cardinality_estimate(sketch) == before);
}

TEST(merging_is_the_sketch_of_the_union)
{
    static const uint64_t sizes[] = {0, 10, 400, 700, 20000};

    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 5; j++) {
            CLEANUP(cardinality_freep) struct cardinality *a = counted(0, sizes[i]);
            CLEANUP(cardinality_freep) struct cardinality *b = counted(sizes[i] / 2, sizes[j]);
            CLEANUP(cardinality_freep) struct cardinality *both = counted(0, sizes[i]);

            for (uint64_t k = 0; k < sizes[j]; k++)
                cardinality_add(both, hash_of(sizes[i] / 2 + k));
            cardinality_merge(a, b);
            EXPECT(cardinality_estimate(a) == cardinality_estimate(both));
        }
}

TEST(bytes_bring_the_sketch_back_and_cut_ones_are_refused)
{
    static const uint64_t sizes[] = {0, 1, 100, 512, 513, 100000};

    for (size_t i = 0; i < 6; i++) {
        CLEANUP(cardinality_freep) struct cardinality *sketch = counted(7, sizes[i]);
        CLEANUP(cardinality_freep) struct cardinality *back = NULL;
        struct buf out = {0};
        struct why why = WHY_INIT;

        cardinality_write(sketch, &out);
        ASSERT(cardinality_read(buf_view(&out), &back, &why) == ERR_NONE);
        EXPECT(cardinality_estimate(back) == cardinality_estimate(sketch));
        EXPECT(out.size <= 4 + 4 * sizes[i] && out.size < 3100);
        for (size_t size = 0; size < out.size; size += 1 + size / 50) {
            struct cardinality *cut = NULL;

            EXPECT(cardinality_read((struct str){out.data, size}, &cut, &why) != ERR_NONE);
        }
        for (size_t bit = 0; bit < out.size * 8 && bit < 4000; bit++) {
            CLEANUP(cardinality_freep) struct cardinality *damaged = NULL;

            out.data[bit / 8] = (char)(out.data[bit / 8] ^ (1 << bit % 8));
            if (cardinality_read(buf_view(&out), &damaged, &why) == ERR_NONE)
                EXPECT(cardinality_estimate(damaged) >= 0);
            out.data[bit / 8] = (char)(out.data[bit / 8] ^ (1 << bit % 8));
        }
        buf_done(&out);
    }
}

TEST_MAIN
