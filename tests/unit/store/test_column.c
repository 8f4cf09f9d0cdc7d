/* SPDX-License-Identifier: Apache-2.0 */
#include "store/column.h"
#include "test.h"

#include <stdint.h>

#define ROWS_MAX 9000

static uint64_t state = 1;

static uint64_t random_bits(void)
{
    uint64_t z = (state += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static double uniform(void)
{
    return (double)(random_bits() >> 11) * 0x1p-53;
}

static double of_bits(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

#define STALE  of_bits(UINT64_C(0x7ff0000000000002))
#define ABSENT of_bits(COLUMN_ABSENT_BITS)

static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static bool near(double a, double b)
{
    return same(a, b) || (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-14 * fabs(b);
}

/* What stats must say, the slow way. */
static bool stats_agree(const struct column_stats *stats, const double *values, size_t count)
{
    struct column_stats want = {.first = NAN, .last = NAN, .min = NAN, .max = NAN};
    /* Doubles whose sizes add up to more than a double holds may overflow on the way. */
    long double sum = 0, size = 0, increase = 0;
    bool counter;

    for (size_t i = 0; i < count; i++) {
        if (isnan(values[i])) {
            want.absent_count += same(values[i], ABSENT);
            want.nan_count += !same(values[i], ABSENT);
            continue;
        }
        if (want.numbers_count++ == 0) {
            want.first = want.last = want.min = want.max = values[i];
        } else if (values[i] < want.last) {
            want.resets_count++;
            increase += values[i];
        } else {
            increase += (long double)values[i] - want.last;
        }
        want.last = values[i];
        want.min = values[i] < want.min ? values[i] : want.min;
        want.max = values[i] > want.max ? values[i] : want.max;
        sum += values[i];
        size += fabsl((long double)values[i]);
    }
    counter = !isnan(stats->increase);
    return stats->numbers_count == want.numbers_count && stats->absent_count == want.absent_count &&
           stats->nan_count == want.nan_count && near(stats->first, want.first) &&
           near(stats->last, want.last) && near(stats->min, want.min) &&
           near(stats->max, want.max) &&
           (want.numbers_count == 0 || !isfinite((double)size) || near(stats->sum, (double)sum) ||
            fabs(stats->sum - (double)sum) < 1e-13 * fabs(want.max - want.min) * (double)count) &&
           (!counter || (stats->resets_count == want.resets_count &&
                         (!isfinite((double)increase) ||
                          fabs(stats->increase - (double)increase) <=
                              1e-13 * (fabs((double)increase) + fabs(want.max)))));
}

/* There and back in every way that the header offers. Returns the size of the column. */
static size_t round_trip(const double *values, size_t count, enum column_effort effort,
                         const char *what)
{
    CLEANUP(column_encoder_freep) struct column_encoder *encoder = column_encoder_new();
    static double back[ROWS_MAX];
    struct column_stats told, kept;
    struct buf out = {0};
    struct why why = WHY_INIT;
    bool good;
    size_t size;

    column_encode(encoder, values, count, effort, &out, &told);
    size = out.size;
    good = column_decode(buf_view(&out), count, back, &why) == ERR_NONE &&
           memcmp(back, values, count * sizeof back[0]) == 0;
    good = good && column_stats_read(buf_view(&out), count, &kept, &why) == ERR_NONE &&
           stats_agree(&told, values, count) && stats_agree(&kept, values, count);
    for (int i = 0; i < 12 && good; i++) {
        size_t first = random_bits() % count;
        size_t n = 1 + random_bits() % (i < 4 ? 1 : count - first);

        memset(back, 0x55, sizeof back[0] * n);
        good = column_decode_range(buf_view(&out), count, first, n, back, &why) == ERR_NONE &&
               memcmp(back, values + first, n * sizeof back[0]) == 0;
    }
    if (good && size > COLUMN_HEAD_SIZE_MAX && count >= 1024)
        good = column_stats_read((struct str){out.data, COLUMN_HEAD_SIZE_MAX}, count, &kept,
                                 &why) == ERR_NONE;
    if (!good)
        printf("# %s, %zu rows: %s\n", what, count, why.text);
    EXPECT(good);
    buf_done(&out);
    return size;
}

typedef double shape(size_t row);

static double shape_zero(size_t row)
{
    return 0;
}
static double shape_minus_zero(size_t row)
{
    return -0.0;
}
static double shape_third(size_t row)
{
    return 1.0 / 3;
}
static double shape_stale(size_t row)
{
    return STALE;
}
static double shape_line(size_t row)
{
    return 1e9 + 250.25 * (double)row;
}
static double shape_counter(size_t row)
{
    static double total;

    return total = row == 0 ? 4711 : total + floor(uniform() * 1000);
}
static double shape_counter_resets(size_t row)
{
    static double total;

    return total = row % 300 == 0 ? floor(uniform() * 9) : total + floor(uniform() * 1e6);
}
static double shape_seconds(size_t row)
{
    static double hundredths;

    hundredths = row == 0 ? 123456 : hundredths + floor(uniform() * 100);
    return hundredths / 100;
}
static double shape_gauge(size_t row)
{
    return floor((uniform() + uniform()) * 1e6) * 4096;
}
static double shape_sticky(size_t row)
{
    static double value;

    return value = row == 0 || uniform() < 0.05 ? floor(uniform() * 1e5) : value;
}
static double shape_flags(size_t row)
{
    return uniform() < 0.5;
}
static double shape_rare(size_t row)
{
    return uniform() < 0.01;
}
static double shape_float(size_t row)
{
    return uniform() * 1e3 - 500;
}
static double shape_walk(size_t row)
{
    static double value;

    return value = row == 0 ? 1 : value * (1 + (uniform() - 0.5) / 1000);
}
static double shape_float32(size_t row)
{
    return (double)(float)(uniform() * 100);
}
static double shape_bits(size_t row)
{
    return of_bits(random_bits());
}
static double shape_few_floats(size_t row)
{
    return uniform() < 0.02 ? uniform() : floor(uniform() * 100) / 10;
}
static double shape_wide(size_t row)
{
    return (double)(int64_t)(random_bits() & UINT64_C(0x7ffffffffffffc00));
}
static double shape_holes(size_t row)
{
    return row % 97 < 11 ? ABSENT : row % 211 == 5 ? STALE : floor(uniform() * 50) / 4;
}
static double shape_holes_float(size_t row)
{
    return row % 97 < 11 ? ABSENT : row % 211 == 5 ? NAN : uniform();
}
static double shape_late(size_t row)
{
    return row < 40 ? ABSENT : 17;
}
static double shape_infinite(size_t row)
{
    return row % 50 == 7   ? INFINITY
           : row % 70 == 9 ? -INFINITY
           : row % 90 == 3 ? -0.0
                           : (double)row;
}
static double shape_tiny(size_t row)
{
    return of_bits(random_bits() & 0xfff);
}
static double shape_saw(size_t row)
{
    return (double)(row % 60) * 7;
}
static double shape_outliers(size_t row)
{
    return uniform() < 0.01 ? floor(uniform() * 1e12) : floor(uniform() * 10);
}
static double shape_nan_all(size_t row)
{
    return of_bits(UINT64_C(0x7ff8000000000000) | row);
}
static double shape_minmax(size_t row)
{
    return row % 2 == 0 ? -9007199254740991.0 : 9007199254740991.0;
}
static double shape_2_63(size_t row)
{
    return row % 3 == 0 ? 0x1p62 : row % 3 == 1 ? -0x1p63 : 5;
}

static const struct {
    const char *name;
    shape *shape;
} shapes[] = {
#define SHAPE(name)         \
    {                       \
#name, shape_##name \
    }
    SHAPE(zero),    SHAPE(minus_zero),     SHAPE(third),   SHAPE(stale), SHAPE(line),
    SHAPE(counter), SHAPE(counter_resets), SHAPE(seconds), SHAPE(gauge), SHAPE(sticky),
    SHAPE(flags),   SHAPE(rare),           SHAPE(float),   SHAPE(walk),  SHAPE(float32),
    SHAPE(bits),    SHAPE(few_floats),     SHAPE(wide),    SHAPE(holes), SHAPE(holes_float),
    SHAPE(late),    SHAPE(infinite),       SHAPE(tiny),    SHAPE(saw),   SHAPE(outliers),
    SHAPE(nan_all), SHAPE(minmax),         SHAPE(2_63),
};

TEST(every_shape_of_every_length_comes_back_bit_for_bit)
{
    static const size_t counts[] = {1,   2,   3,   4,   5,    17,   31,   32,   63,   64,   65,
                                    120, 128, 255, 256, 257,  300,  511,  512,  513,  514,  515,
                                    516, 517, 767, 999, 1000, 1023, 1024, 1025, 2048, 4097, 8640};
    static double values[ROWS_MAX];

    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++)
        for (size_t j = 0; j < ARRAY_COUNT(counts); j++) {
            for (size_t row = 0; row < counts[j]; row++)
                values[row] = shapes[i].shape(row);
            (void)round_trip(values, counts[j], COLUMN_FAST, shapes[i].name);
            (void)round_trip(values, counts[j], COLUMN_BEST, shapes[i].name);
        }
}

static size_t shape_size(shape *make, size_t count, enum column_effort effort)
{
    static double values[ROWS_MAX];

    for (size_t row = 0; row < count; row++)
        values[row] = make(row);
    return round_trip(values, count, effort, "size");
}

TEST(what_does_not_change_costs_nothing)
{
    EXPECT(shape_size(shape_zero, 8640, COLUMN_FAST) == 2);
    EXPECT(shape_size(shape_third, 128, COLUMN_FAST) <= 16);
    EXPECT(shape_size(shape_line, 8640, COLUMN_FAST) <= 32);
    EXPECT(shape_size(shape_late, 128, COLUMN_FAST) <= 12);
}

TEST(what_changes_costs_about_its_entropy)
{
    /* 1,000 equally likely steps: 9.97 bits each. */
    EXPECT(shape_size(shape_counter, 1024, COLUMN_FAST) < 1024 * 10.5 / 8);
    EXPECT(shape_size(shape_flags, 1024, COLUMN_FAST) < 1024 / 8 + 24);
    /* H(0.01) = 0.081 bits. */
    EXPECT(shape_size(shape_rare, 8640, COLUMN_FAST) < 8640 * 0.2 / 8 + 32);
    /* A float of 24 bits in 8 bytes. */
    EXPECT(shape_size(shape_float32, 1024, COLUMN_FAST) < 1024 * 4);
    /* Noise of 64 bits cannot shrink, and must not grow. */
    EXPECT(shape_size(shape_bits, 1024, COLUMN_BEST) < 1024 * 8 + 96);
}

TEST(times_come_back_and_cost_next_to_nothing)
{
    CLEANUP(column_encoder_freep) struct column_encoder *encoder = column_encoder_new();
    static int64_t times[ROWS_MAX], back[ROWS_MAX];
    static const size_t counts[] = {1, 2, 3, 128, 512, 513, 1024, 8640};
    struct why why = WHY_INIT;

    for (int kind = 0; kind < 4; kind++)
        for (size_t j = 0; j < ARRAY_COUNT(counts); j++) {
            size_t count = counts[j];
            struct buf out = {0};

            for (size_t i = 0; i < count; i++) {
                times[i] = INT64_C(1794268800137) + 10000 * (int64_t)i;
                if (kind == 1 && uniform() < 0.01)
                    times[i] += 1 + (int64_t)(uniform() * 20);
                if (kind == 2)
                    times[i] += (int64_t)(uniform() * 5) + (int64_t)i / 3;
                if (kind == 3)
                    times[i] = (int64_t)random_bits();
            }
            time_column_encode(encoder, times, count, &out);
            ASSERT(time_column_decode(buf_view(&out), count, back, &why) == ERR_NONE);
            EXPECT(memcmp(times, back, count * sizeof back[0]) == 0);
            for (int i = 0; i < 8; i++) {
                size_t first = random_bits() % count;
                size_t n = 1 + random_bits() % (count - first);

                ASSERT(time_column_decode_range(buf_view(&out), count, first, n, back, &why) ==
                       ERR_NONE);
                EXPECT(memcmp(times + first, back, n * sizeof back[0]) == 0);
            }
            if (kind == 0)
                EXPECT(out.size <= 16);
            if (kind == 1 && count >= 1024)
                EXPECT(out.size <= 40 + count / 40);
            buf_done(&out);
        }
}

TEST(cut_columns_are_refused_or_harmless)
{
    CLEANUP(column_encoder_freep) struct column_encoder *encoder = column_encoder_new();
    static double values[1024], back[1024];

    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++) {
        struct buf out = {0};
        struct column_stats stats;

        for (size_t row = 0; row < 1024; row++)
            values[row] = shapes[i].shape(row);
        column_encode(encoder, values, 1024, COLUMN_FAST, &out, NULL);
        for (size_t size = 0; size < out.size; size += 1 + size / 64) {
            /* Memory of just that size, so that a sanitizer sees a read behind it. */
            char *cut = malloc(size == 0 ? 1 : size);
            struct why why = WHY_INIT;
            enum err err;

            memcpy(cut, out.data, size);
            err = column_decode((struct str){cut, size}, 1024, back, &why);
            EXPECT(err == ERR_CORRUPT || (err == ERR_NONE && size > 0));
            err = column_stats_read((struct str){cut, size}, 1024, &stats, &why);
            EXPECT(err == ERR_CORRUPT || err == ERR_NONE);
            free(cut);
        }
        buf_done(&out);
    }
}

TEST(damaged_columns_are_refused_or_harmless)
{
    CLEANUP(column_encoder_freep) struct column_encoder *encoder = column_encoder_new();
    static double values[700], back[700];

    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++) {
        struct buf out = {0};

        for (size_t row = 0; row < 700; row++)
            values[row] = shapes[i].shape(row);
        column_encode(encoder, values, 700, COLUMN_FAST, &out, NULL);
        for (int round = 0; round < 400; round++) {
            size_t at = random_bits() % (round % 2 == 0 && out.size > 40 ? 40 : out.size);
            char before = out.data[at];
            struct column_stats stats;
            struct why why = WHY_INIT;
            enum err err;

            out.data[at] = (char)(before ^ (1 << random_bits() % 8));
            err = column_decode(buf_view(&out), 700, back, &why);
            EXPECT(err == ERR_CORRUPT || err == ERR_NONE);
            err = column_decode_range(buf_view(&out), 700, random_bits() % 700, 1, back, &why);
            EXPECT(err == ERR_CORRUPT || err == ERR_NONE);
            err = column_stats_read(buf_view(&out), 700, &stats, &why);
            EXPECT(err == ERR_CORRUPT || err == ERR_NONE);
            out.data[at] = before;
        }
        buf_done(&out);
    }
}

TEST_MAIN
