/* SPDX-License-Identifier: Apache-2.0 */
/* bench_column - how small columns are, and how fast they are made and read.
 *
 * Reads a data set in the `bin` format of gen_metrics.c (its head tells how), a series after the
 * other: bench_column d.bin [rows …]. Without rows: 32, 128, 1024 and 8640. CPU time is user time.
 */
#include "base/must.h"
#include "store/column.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct data {
    uint32_t series_count;
    uint32_t steps_count;
    uint32_t hosts_count;
    int64_t *times; /* hosts_count * steps_count */
    double *values; /* series_count * steps_count */
};

static double user_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
}

static void get(FILE *file, void *data, size_t size)
{
    if (fread(data, 1, size, file) != size) {
        fprintf(stderr, "bench_column: the data set is too short\n");
        exit(1);
    }
}

static void *memory(size_t size)
{
    void *data = malloc(size);

    if (data == NULL)
        must_memory(size);
    return data;
}

static void data_read(const char *path, struct data *data)
{
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    FILE *file = fopen(path, "rb");
    char magic[4];
    uint32_t counts[3];
    uint32_t *exponents;
    int64_t *mantissas;

    if (file == NULL) {
        perror(path);
        exit(1);
    }
    get(file, magic, 4);
    get(file, counts, sizeof counts);
    data->series_count = counts[0];
    data->steps_count = counts[1];
    data->hosts_count = counts[2];
    exponents = memory(counts[0] * sizeof exponents[0]);
    for (uint32_t i = 0; i < counts[0]; i++) {
        uint32_t head[4];
        char label[512];

        get(file, head, sizeof head);
        MUST(head[3] <= sizeof label && head[1] <= 9);
        get(file, label, head[3]);
        exponents[i] = head[1];
    }
    data->times = memory((size_t)counts[2] * counts[1] * 8);
    get(file, data->times, (size_t)counts[2] * counts[1] * 8);
    data->values = memory((size_t)counts[0] * counts[1] * 8);
    mantissas = memory((size_t)counts[1] * 8);
    for (uint32_t i = 0; i < counts[0]; i++) {
        get(file, mantissas, (size_t)counts[1] * 8);
        for (uint32_t j = 0; j < counts[1]; j++)
            data->values[(size_t)i * counts[1] + j] = (double)mantissas[j] / powers[exponents[i]];
    }
    free(mantissas);
    free(exponents);
    fclose(file);
}

struct blocks {
    struct buf bytes;
    size_t *offsets;
    size_t count;
};

static void blocks_encode(const struct data *data, size_t rows, enum column_effort effort,
                          struct blocks *blocks)
{
    CLEANUP(column_encoder_freep) struct column_encoder *encoder = column_encoder_new();
    size_t per_series = (data->steps_count + rows - 1) / rows;

    blocks->offsets = memory((data->series_count * per_series + 1) * sizeof blocks->offsets[0]);
    blocks->count = 0;
    for (size_t i = 0; i < data->series_count; i++) {
        const double *values = data->values + i * data->steps_count;

        for (size_t at = 0; at < data->steps_count; at += rows) {
            size_t n = data->steps_count - at < rows ? data->steps_count - at : rows;
            struct column_stats stats;

            blocks->offsets[blocks->count++] = blocks->bytes.size;
            column_encode(encoder, values + at, n, effort, &blocks->bytes, &stats);
        }
    }
    blocks->offsets[blocks->count] = blocks->bytes.size;
}

static struct str block(const struct blocks *blocks, size_t index)
{
    size_t first = blocks->offsets[index];

    return (struct str){blocks->bytes.data + first, blocks->offsets[index + 1] - first};
}

static void must_good(enum err err, const struct why *why)
{
    if (err == ERR_NONE)
        return;
    fprintf(stderr, "bench_column: %s\n", why->text);
    exit(1);
}

static void blocks_decode(const struct data *data, size_t rows, const struct blocks *blocks,
                          bool check)
{
    double *values = memory(rows * sizeof values[0]);
    size_t index = 0;
    struct why why = WHY_INIT;

    for (size_t i = 0; i < data->series_count; i++)
        for (size_t at = 0; at < data->steps_count; at += rows) {
            size_t n = data->steps_count - at < rows ? data->steps_count - at : rows;

            must_good(column_decode(block(blocks, index++), n, values, &why), &why);
            if (check && memcmp(values, data->values + i * data->steps_count + at, n * 8) != 0) {
                fprintf(stderr, "bench_column: series %zu differs from row %zu on\n", i, at);
                exit(1);
            }
        }
    free(values);
}

/* One value of every block, at ever different rows. */
static double instant_microseconds(const struct data *data, size_t rows,
                                   const struct blocks *blocks)
{
    size_t per_series = (data->steps_count + rows - 1) / rows;
    size_t calls = 0;
    double start = user_seconds();

    for (size_t round = 0; round < 40; round++)
        for (size_t i = 0; i < data->series_count; i++) {
            size_t at = (round * 7919 + 13) % data->steps_count;
            size_t n = data->steps_count - at / rows * rows < rows
                           ? data->steps_count - at / rows * rows
                           : rows;
            struct why why = WHY_INIT;
            double value;

            must_good(column_decode_range(block(blocks, i * per_series + at / rows), n, at % rows,
                                          1, &value, &why),
                      &why);
            calls++;
        }
    return (user_seconds() - start) * 1e6 / (double)calls;
}

static size_t times_size(const struct data *data, size_t rows)
{
    CLEANUP(column_encoder_freep) struct column_encoder *encoder = column_encoder_new();
    struct buf out = {0};
    size_t size;

    for (size_t i = 0; i < data->hosts_count; i++)
        for (size_t at = 0; at < data->steps_count; at += rows) {
            size_t n = data->steps_count - at < rows ? data->steps_count - at : rows;

            time_column_encode(encoder, data->times + i * data->steps_count + at, n, &out);
        }
    size = out.size;
    buf_done(&out);
    return size;
}

static void measure(const struct data *data, size_t rows, enum column_effort effort)
{
    struct blocks blocks = {0};
    double samples = (double)data->series_count * data->steps_count;
    double start, encoded, decoded;
    int rounds = 3;

    start = user_seconds();
    blocks_encode(data, rows, effort, &blocks);
    encoded = user_seconds() - start;
    blocks_decode(data, rows, &blocks, true);
    start = user_seconds();
    for (int i = 0; i < rounds; i++)
        blocks_decode(data, rows, &blocks, false);
    decoded = (user_seconds() - start) / rounds;
    printf("%5zu rows  %-4s  %.4f B/sample  times %.4f  encode %6.1f M/CPU-s  decode %6.1f M/CPU-s"
           "  one instant %.2f us/series\n",
           rows, effort == COLUMN_BEST ? "best" : "fast", (double)blocks.bytes.size / samples,
           (double)times_size(data, rows) / samples, samples / encoded / 1e6,
           samples / decoded / 1e6, instant_microseconds(data, rows, &blocks));
    fflush(stdout);
    buf_done(&blocks.bytes);
    free(blocks.offsets);
}

int main(int argc, char **argv)
{
    static const size_t usual[] = {32, 128, 1024, 8640};
    struct data data;

    if (argc < 2) {
        fprintf(stderr, "usage: bench_column FILE [ROWS …]\n");
        return 2;
    }
    data_read(argv[1], &data);
    if (argc == 2)
        for (size_t i = 0; i < ARRAY_COUNT(usual); i++)
            measure(&data, usual[i], COLUMN_FAST);
    for (int i = 2; i < argc; i++) {
        measure(&data, (size_t)atoi(argv[i]), COLUMN_FAST);
        measure(&data, (size_t)atoi(argv[i]), COLUMN_BEST);
    }
    free(data.times);
    free(data.values);
    return 0;
}
