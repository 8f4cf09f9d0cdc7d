/* SPDX-License-Identifier: Apache-2.0 */
/* A run's head:
 *
 *     | kind, 1 byte | first, zigzag varint | divisor, varint if kind says so |
 *     kind:  bits 0-2 predictor   3-4 residual coding   5 divisor > 1   6 slope != 0   7 caller's
 *
 * A run of one row ends there. Otherwise the body:
 *
 *     | slope, zigzag varint if kind says so | residual head |
 *     | bases of lanes 1-3, zigzag varints | bits of lanes 0-2, varints |   over 512 rows only
 *     | bit stream: code table, lane 0, lane 1, lane 2, lane 3, filled up to a byte |
 *
 * With row[i] = (value[i] - first) / divisor, all arithmetic modulo 2^64, so row[0] = 0, a residual
 * for each row from 1 on:
 *
 *     LINE    row[i] - slope * i
 *     DELTA   row[i] - row[i-1]
 *     EMA_n   row[i] - row[i-1] - (average >> n);  then average += that residual + … , see
 * ema_step. The average starts at slope << n, again in each lane.
 *
 * A lane is a quarter of the residuals (the last may be shorter), with a base, the row just before
 * it, so that it can be read without the others. Bases are written as the difference from where a
 * straight line from the last base would have led; its slope is the residual centre of DELTA, the
 * slope of EMA. LINE needs no bases.
 *
 * A constant run is LINE with coding NONE; a perfectly regular one too, by its slope. */
#include "store/column_run.h"

#include <stdlib.h>

#define KIND_DIVISOR 0x20
#define KIND_SLOPE   0x40
#define KIND_FLAG    0x80
#define CHUNK_ROWS   256
#define STEP_SAMPLES 63

static inline int64_t add_wrap(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static inline int64_t sub_wrap(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static inline int64_t mul_wrap(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

static unsigned ema_shift(enum run_predictor predictor)
{
    return (unsigned)predictor - RUN_EMA_0;
}

static int64_t *grown(int64_t *array, size_t capacity)
{
    int64_t *larger = realloc(array, capacity * sizeof array[0]);

    if (larger == NULL)
        must_memory(capacity * sizeof array[0]);
    return larger;
}

static void scratch_reserve(struct run_scratch *scratch, size_t count)
{
    if (count <= scratch->capacity)
        return;
    scratch->rows = grown(scratch->rows, count);
    scratch->residuals = grown(scratch->residuals, count);
    scratch->trial = grown(scratch->trial, count);
    scratch->capacity = count;
}

void run_scratch_done(struct run_scratch *scratch)
{
    free(scratch->rows);
    free(scratch->residuals);
    free(scratch->trial);
    *scratch = (struct run_scratch){0};
}

/* ---- lanes ---- */

struct lanes {
    unsigned count;
    size_t stride; /* Residuals in each but the last. */
    size_t total;  /* Residuals in all. */
};

static struct lanes lanes_of(size_t count)
{
    size_t total = count - 1;

    if (count <= RUN_LANE_ROWS)
        return (struct lanes){.count = 1, .stride = total, .total = total};
    return (struct lanes){.count = RESIDUAL_LANES,
                          .stride = (total + RESIDUAL_LANES - 1) / RESIDUAL_LANES,
                          .total = total};
}

static size_t lane_size(const struct lanes *lanes, unsigned lane)
{
    size_t first = lane * lanes->stride;

    return lanes->total - first < lanes->stride ? lanes->total - first : lanes->stride;
}

/* ---- predicting ---- */

static uint64_t divisor_of(int64_t *rows, size_t count)
{
    uint64_t divisor = 0;

    for (size_t i = 1; i < count && divisor != 1; i++) {
        uint64_t a = rows[i] < 0 ? -(uint64_t)rows[i] : (uint64_t)rows[i];

        if (divisor == 0 || a == 0) {
            divisor |= a;
            continue;
        }
        a %= divisor;
        while (a != 0) {
            uint64_t remainder = divisor % a;

            divisor = a;
            a = remainder;
        }
    }
    return divisor == 0 ? 1 : divisor;
}

/* Exact, so faster by a shift and a multiplication with the inverse of the odd part. */
static void rows_divide(int64_t *rows, size_t count, uint64_t divisor)
{
    unsigned shift = (unsigned)__builtin_ctzll(divisor);
    uint64_t odd = divisor >> shift;
    uint64_t inverse = odd; /* Right in 3 bits; each step doubles them. */

    for (int i = 0; i < 5; i++)
        inverse *= 2 - odd * inverse;
    for (size_t i = 0; i < count; i++)
        rows[i] = (int64_t)((uint64_t)(rows[i] >> shift) * inverse);
}

static void residuals_line(const int64_t *rows, size_t count, int64_t slope, int64_t *residuals)
{
    int64_t line = 0;

    for (size_t i = 1; i < count; i++) {
        line = add_wrap(line, slope);
        residuals[i - 1] = sub_wrap(rows[i], line);
    }
}

static void residuals_delta(const int64_t *rows, size_t count, int64_t *residuals)
{
    for (size_t i = 1; i < count; i++)
        residuals[i - 1] = sub_wrap(rows[i], rows[i - 1]);
}

/* One step of the average; the reader does the same. */
static inline int64_t ema_step(int64_t average, int64_t residual)
{
    return add_wrap(average, residual);
}

static void residuals_ema(const int64_t *rows, size_t count, unsigned shift, int64_t slope,
                          int64_t *residuals)
{
    struct lanes lanes = lanes_of(count);
    size_t i = 1;

    for (unsigned lane = 0; lane < lanes.count; lane++) {
        int64_t average = (int64_t)((uint64_t)slope << shift);

        for (size_t left = lane_size(&lanes, lane); left > 0; left--, i++) {
            int64_t step = sub_wrap(rows[i], rows[i - 1]);
            int64_t residual = sub_wrap(step, average >> shift);

            residuals[i - 1] = residual;
            average = ema_step(average, residual);
        }
    }
}

static void residuals_make(const struct run_plan *plan, const int64_t *rows, int64_t *residuals)
{
    if (plan->predictor == RUN_LINE)
        residuals_line(rows, plan->count, plan->slope, residuals);
    else if (plan->predictor == RUN_DELTA)
        residuals_delta(rows, plan->count, residuals);
    else
        residuals_ema(rows, plan->count, ema_shift(plan->predictor), plan->slope, residuals);
}

/* The commonest kind of row, or of step, by a spread of samples. */
static void typical(const int64_t *rows, size_t count, int64_t *ret_row, int64_t *ret_step)
{
    int64_t some_rows[STEP_SAMPLES];
    int64_t some_steps[STEP_SAMPLES];
    size_t samples = count - 1 < STEP_SAMPLES ? count - 1 : STEP_SAMPLES;

    for (size_t i = 0; i < samples; i++) {
        size_t at = 1 + i * (count - 1) / samples;

        some_rows[i] = rows[at];
        some_steps[i] = sub_wrap(rows[at], rows[at - 1]);
    }
    *ret_row = residual_median(some_rows, samples);
    *ret_step = residual_median(some_steps, samples);
}

/* ---- choosing ---- */

static inline unsigned cost(int64_t residual)
{
    return bits_width(residual < 0 ? -(uint64_t)residual : (uint64_t)residual);
}

/* A predictor that may do, and about how many bits it leaves. */
struct candidate {
    enum run_predictor predictor;
    int64_t slope;
    uint64_t cost;
};

#define CANDIDATES 5

/* The five most useful, in one pass; the cost is the sum of the widths of what they leave. */
SCAN_CLONES static void candidates_cost(const int64_t *rows, size_t count, int64_t row,
                                        int64_t step, struct candidate candidates[CANDIDATES])
{
    uint64_t line_cost = 0, flat_cost = 0, delta_cost = 0, ema_0_cost = 0, ema_2_cost = 0;
    int64_t before = 0;
    int64_t average = (int64_t)((uint64_t)step << 2);
    int64_t line = 0;

    for (size_t i = 1; i < count; i++) {
        int64_t now = sub_wrap(rows[i], rows[i - 1]);
        int64_t left = sub_wrap(now, average >> 2);

        line = add_wrap(line, step);
        line_cost += cost(sub_wrap(rows[i], line));
        flat_cost += cost(sub_wrap(rows[i], row));
        delta_cost += cost(sub_wrap(now, step));
        ema_0_cost += cost(sub_wrap(now, before));
        ema_2_cost += cost(left);
        average = ema_step(average, left);
        before = now;
    }
    candidates[0] = (struct candidate){RUN_DELTA, 0, delta_cost};
    candidates[1] = (struct candidate){RUN_EMA_2, step, ema_2_cost};
    candidates[2] = (struct candidate){RUN_LINE, 0, flat_cost};
    candidates[3] = (struct candidate){RUN_EMA_0, step, ema_0_cost};
    candidates[4] = (struct candidate){RUN_LINE, step, line_cost};
}

static void candidates_sort(struct candidate candidates[CANDIDATES])
{
    for (size_t i = 1; i < CANDIDATES; i++) {
        struct candidate candidate = candidates[i];
        size_t j = i;

        for (; j > 0 && candidates[j - 1].cost > candidate.cost; j--)
            candidates[j] = candidates[j - 1];
        candidates[j] = candidate;
    }
}

/* Who else is worth a try, if any: whoever is nearly as good, and where few bits are left and the
 * estimate is rough, the best of the other sort, lines or steps. */
static const struct candidate *runner_up(const struct candidate candidates[CANDIDATES],
                                         size_t count)
{
    uint64_t best = candidates[0].cost;
    bool line = candidates[0].predictor == RUN_LINE;

    if (best >= 2 * count)
        return candidates[1].cost - best <= best / 64 ? &candidates[1] : NULL;
    for (size_t i = 1; i < CANDIDATES; i++)
        if ((candidates[i].predictor == RUN_LINE) != line)
            return candidates[i].cost - best <= count / 8 ? &candidates[i] : NULL;
    return NULL;
}

/* Keeps the trial in *plan when it is shorter. */
static void plan_try(struct run_scratch *scratch, enum run_predictor predictor, int64_t slope,
                     struct run_plan *plan)
{
    struct run_plan trial = *plan;
    int64_t *residuals;

    trial.predictor = predictor;
    trial.slope = slope;
    residuals_make(&trial, scratch->rows, scratch->trial);
    residual_plan(scratch->trial, plan->count - 1, &trial.residual);
    if (plan->residuals != NULL && trial.residual.bits >= plan->residual.bits)
        return;
    *plan = trial;
    residuals = scratch->trial;
    scratch->trial = scratch->residuals;
    scratch->residuals = residuals;
    plan->residuals = residuals;
}

void run_plan_make(struct run_scratch *scratch, const int64_t *values, size_t count, bool thorough,
                   struct run_plan *ret_plan)
{
    struct run_plan plan = {.count = count, .first = values[0], .predictor = RUN_LINE};
    struct candidate candidates[CANDIDATES];
    const struct candidate *second;
    int64_t row, step;

    MUST(count >= 1);
    scratch_reserve(scratch, count);
    for (size_t i = 0; i < count; i++)
        scratch->rows[i] = sub_wrap(values[i], values[0]);
    plan.rows = scratch->rows;
    plan.divisor = divisor_of(scratch->rows, count);
    if (plan.divisor > 1)
        rows_divide(scratch->rows, count, plan.divisor);
    if (count > 1) {
        typical(scratch->rows, count, &row, &step);
        candidates_cost(scratch->rows, count, row, step, candidates);
        candidates_sort(candidates);
        plan_try(scratch, candidates[0].predictor, candidates[0].slope, &plan);
        second = runner_up(candidates, count);
        if (plan.residual.coding != RESIDUAL_NONE && second != NULL)
            plan_try(scratch, second->predictor, second->slope, &plan);
        if (thorough && plan.residual.coding != RESIDUAL_NONE) {
            plan_try(scratch, RUN_LINE, 0, &plan);
            plan_try(scratch, RUN_DELTA, 0, &plan);
            for (unsigned ema = RUN_EMA_0; ema <= RUN_EMA_5; ema++)
                plan_try(scratch, (enum run_predictor)ema, step, &plan);
        }
    }
    *ret_plan = plan;
}

/* ---- writing ---- */

void run_head_write(const struct run_plan *plan, bool flag, struct buf *out)
{
    unsigned kind = (unsigned)plan->predictor | (unsigned)plan->residual.coding << 3;

    kind |= plan->divisor > 1 ? KIND_DIVISOR : 0;
    kind |= plan->slope != 0 ? KIND_SLOPE : 0;
    kind |= flag ? KIND_FLAG : 0;
    buf_byte(out, (uint8_t)kind);
    buf_varint(out, zigzag(plan->first));
    if (plan->divisor > 1)
        buf_varint(out, plan->divisor);
}

/* Where a straight line leads from one base to the next. */
static int64_t base_drift(enum run_predictor predictor, int64_t slope, int64_t centre,
                          const struct lanes *lanes)
{
    return mul_wrap(predictor == RUN_DELTA ? centre : slope, (int64_t)lanes->stride);
}

void run_body_write(const struct run_plan *plan, struct buf *out)
{
    struct lanes lanes = lanes_of(plan->count);
    struct buf streams = {0};
    struct bits_writer writer;
    size_t bits_before;

    if (plan->count == 1)
        return;
    if (plan->slope != 0)
        buf_varint(out, zigzag(plan->slope));
    residual_head_write(&plan->residual, out);
    if (plan->residual.coding == RESIDUAL_NONE && lanes.count == 1)
        return;
    if (lanes.count > 1 && plan->predictor != RUN_LINE) {
        int64_t drift = base_drift(plan->predictor, plan->slope, plan->residual.centre, &lanes);

        for (unsigned lane = 1; lane < lanes.count; lane++) {
            int64_t step =
                sub_wrap(plan->rows[lane * lanes.stride], plan->rows[(lane - 1) * lanes.stride]);

            buf_varint(out, zigzag(sub_wrap(step, drift)));
        }
    }
    if (plan->residual.coding == RESIDUAL_NONE)
        return;

    bits_begin(&writer, &streams);
    residual_table_write(&plan->residual, &writer);
    bits_before = bits_written(&writer);
    for (unsigned lane = 0; lane < lanes.count; lane++) {
        residual_lane_write(&plan->residual, plan->residuals + lane * lanes.stride,
                            lane_size(&lanes, lane), &writer);
        if (lane + 1 < lanes.count)
            buf_varint(out, bits_written(&writer) - bits_before);
        bits_before = bits_written(&writer);
    }
    bits_end(&writer);
    buf_append(out, streams.data, streams.size);
    buf_done(&streams);
}

/* ---- reading ---- */

enum err run_head_read(struct str *rest, size_t count, struct run_head *ret_head, struct why *why)
{
    unsigned kind;
    uint64_t first;

    if (rest->size == 0)
        return fail(why, ERR_CORRUPT, "column: a run of %zu rows without a head", count);
    kind = (uint8_t)rest->data[0];
    rest->data++;
    rest->size--;
    *ret_head = (struct run_head){
        .count = count,
        .divisor = 1,
        .predictor = kind & 7,
        .coding = kind >> 3 & 3,
        .has_slope = (kind & KIND_SLOPE) != 0,
        .flag = (kind & KIND_FLAG) != 0,
    };
    if (!buf_take_varint(rest, &first))
        return fail(why, ERR_CORRUPT, "column: the first value is cut off");
    ret_head->first = unzigzag(first);
    if ((kind & KIND_DIVISOR) != 0 && !buf_take_varint(rest, &ret_head->divisor))
        return fail(why, ERR_CORRUPT, "column: the divisor is cut off");
    return ERR_NONE;
}

/* Everything of the body but the streams. */
struct run_body {
    struct lanes lanes;
    int64_t slope;
    int64_t bases[RESIDUAL_LANES];
    struct residual_lane at[RESIDUAL_LANES];
    uint64_t ends[RESIDUAL_LANES]; /* Bit after each lane. */
    struct bits bits;
    struct residual_code code;
};

static enum err bases_read(const struct run_head *head, struct str *rest, struct run_body *body,
                           struct why *why)
{
    int64_t drift = base_drift(head->predictor, body->slope, body->code.centre, &body->lanes);

    body->bases[0] = 0;
    for (unsigned lane = 1; lane < body->lanes.count; lane++) {
        uint64_t step;

        body->bases[lane] = 0;
        if (head->predictor == RUN_LINE)
            continue;
        if (!buf_take_varint(rest, &step))
            return fail(why, ERR_CORRUPT, "column: the base of lane %u is cut off", lane);
        body->bases[lane] = add_wrap(body->bases[lane - 1], add_wrap(unzigzag(step), drift));
    }
    return ERR_NONE;
}

static enum err streams_read(struct str *rest, struct run_body *body, struct why *why)
{
    uint64_t sizes[RESIDUAL_LANES] = {0};
    uint64_t position = 0;
    uint64_t size_bits;

    for (unsigned lane = 0; lane + 1 < body->lanes.count; lane++)
        if (!buf_take_varint(rest, &sizes[lane]) || sizes[lane] / 8 > rest->size)
            return fail(why, ERR_CORRUPT, "column: lane %u is cut off", lane);
    body->bits = (struct bits){(const uint8_t *)rest->data, rest->size};
    size_bits = (uint64_t)rest->size * 8;
    TRY(residual_table_read(&body->code, body->bits, &position, why));
    for (unsigned lane = 0; lane < body->lanes.count; lane++) {
        body->at[lane] = (struct residual_lane){
            .position = position,
            .left = lane_size(&body->lanes, lane),
        };
        position += sizes[lane];
        body->ends[lane] = lane + 1 < body->lanes.count ? position : size_bits;
        if (position > size_bits)
            return fail(why, ERR_CORRUPT, "column: lane %u ends %llu bits behind the column", lane,
                        (unsigned long long)(position - size_bits));
    }
    return ERR_NONE;
}

static enum err run_body_parse(const struct run_head *head, struct str rest, struct run_body *body,
                               struct why *why)
{
    uint64_t slope = 0;

    body->lanes = lanes_of(head->count);
    if (head->has_slope && !buf_take_varint(&rest, &slope))
        return fail(why, ERR_CORRUPT, "column: the slope is cut off");
    body->slope = unzigzag(slope);
    TRY(residual_head_read(head->coding, &rest, &body->code, why));
    TRY(bases_read(head, &rest, body, why));
    if (head->coding != RESIDUAL_NONE)
        return streams_read(&rest, body, why);
    for (unsigned lane = 0; lane < body->lanes.count; lane++) {
        body->at[lane] = (struct residual_lane){.left = lane_size(&body->lanes, lane)};
        body->ends[lane] = 0;
    }
    return rest.size == 0 ? ERR_NONE
                          : fail(why, ERR_CORRUPT, "column: %zu bytes too many", rest.size);
}

/* Lanes end where the head says; the last within seven bits of the end. */
static enum err lane_check(const struct run_body *body, unsigned lane, struct why *why)
{
    uint64_t position = body->at[lane].position;
    uint64_t slack = lane + 1 == body->lanes.count ? 7 : 0;

    if (position > body->ends[lane] || position + slack < body->ends[lane])
        return fail(why, ERR_CORRUPT, "column: lane %u ends at bit %llu instead of %llu", lane,
                    (unsigned long long)position, (unsigned long long)body->ends[lane]);
    return ERR_NONE;
}

/* What a predictor remembers between two chunks of a lane. */
struct memory {
    int64_t row;     /* The last one. */
    int64_t average; /* EMA: shifted. */
    size_t next;     /* Index of the next row. */
};

static struct memory memory_start(const struct run_head *head, const struct run_body *body,
                                  unsigned lane)
{
    return (struct memory){
        .row = body->bases[lane],
        .average = head->predictor >= RUN_EMA_0
                       ? (int64_t)((uint64_t)body->slope << ema_shift(head->predictor))
                       : 0,
        .next = lane * body->lanes.stride + 1,
    };
}

static void restore_line(int64_t slope, struct memory *memory, int64_t *rows, size_t count)
{
    uint64_t line = (uint64_t)slope * memory->next;

    for (size_t i = 0; i < count; i++)
        rows[i] = (int64_t)((uint64_t)rows[i] + line + (uint64_t)slope * i);
    memory->next += count;
}

static void restore_delta(struct memory *memory, int64_t *rows, size_t count)
{
    int64_t row = memory->row;

    for (size_t i = 0; i < count; i++) {
        row = add_wrap(row, rows[i]);
        rows[i] = row;
    }
    memory->row = row;
}

static void restore_ema(unsigned shift, struct memory *memory, int64_t *rows, size_t count)
{
    int64_t row = memory->row;
    int64_t average = memory->average;

    for (size_t i = 0; i < count; i++) {
        row = add_wrap(row, add_wrap(rows[i], average >> shift));
        average = ema_step(average, rows[i]);
        rows[i] = row;
    }
    memory->row = row;
    memory->average = average;
}

/* Residuals become rows, in place. */
static void restore(const struct run_head *head, int64_t slope, struct memory *memory,
                    int64_t *rows, size_t count)
{
    if (head->predictor == RUN_LINE) {
        if (slope != 0)
            restore_line(slope, memory, rows, count);
    } else if (head->predictor == RUN_DELTA) {
        restore_delta(memory, rows, count);
    } else {
        restore_ema(ema_shift(head->predictor), memory, rows, count);
    }
}

static enum err body_read_all(const struct run_head *head, struct run_body *body, int64_t *rows,
                              struct why *why)
{
    struct residual_lane *at = body->at;
    bool good;

    rows[0] = 0;
    if (body->lanes.count == 1)
        good = residual_lane_read(&body->code, body->bits, at, rows + 1, at->left);
    else
        good = residual_lanes_read(&body->code, body->bits, at, rows + 1, body->lanes.stride);
    if (!good)
        return fail(why, ERR_CORRUPT, "column: a gap of zeros leads behind its last row");
    for (unsigned lane = 0; lane < body->lanes.count; lane++) {
        struct memory memory = memory_start(head, body, lane);

        TRY(lane_check(body, lane, why));
        restore(head, body->slope, &memory, rows + 1 + lane * body->lanes.stride,
                lane_size(&body->lanes, lane));
        if (head->predictor != RUN_LINE && lane + 1 < body->lanes.count &&
            memory.row != body->bases[lane + 1])
            return fail(why, ERR_CORRUPT, "column: lane %u does not lead to the next", lane);
    }
    return ERR_NONE;
}

/* The part of rows [first, end) that lies in this lane, by way of a chunk on the stack. */
static enum err body_read_lane(const struct run_head *head, struct run_body *body, unsigned lane,
                               size_t first, size_t end, int64_t *rows, struct why *why)
{
    struct residual_lane *at = &body->at[lane];
    struct memory memory = memory_start(head, body, lane);
    size_t next = lane * body->lanes.stride + 1;
    size_t lane_end = next + at->left;

    if (lane_end > end)
        lane_end = end;
    while (next < lane_end) {
        int64_t chunk[CHUNK_ROWS];
        size_t count = lane_end - next < CHUNK_ROWS ? lane_end - next : CHUNK_ROWS;
        size_t skip = first <= next ? 0 : first - next < count ? first - next : count;

        if (!residual_lane_read(&body->code, body->bits, at, chunk, count))
            return fail(why, ERR_CORRUPT, "column: a gap of zeros leads behind its last row");
        restore(head, body->slope, &memory, chunk, count);
        if (count > skip)
            memcpy(rows + (next + skip - first), chunk + skip, (count - skip) * sizeof chunk[0]);
        next += count;
    }
    if (at->left == 0)
        return lane_check(body, lane, why);
    return at->position <= body->ends[lane]
               ? ERR_NONE
               : fail(why, ERR_CORRUPT, "column: lane %u leads behind its end", lane);
}

enum err run_body_read(const struct run_head *head, struct str rest, size_t first_row,
                       size_t rows_count, int64_t *rows, struct why *why)
{
    struct run_body body;
    size_t end = first_row + rows_count;

    MUST(rows_count >= 1 && end <= head->count);
    if (head->count == 1) {
        rows[0] = 0;
        return rest.size == 0 ? ERR_NONE
                              : fail(why, ERR_CORRUPT, "column: %zu bytes too many", rest.size);
    }
    TRY(run_body_parse(head, rest, &body, why));
    if (rows_count == head->count)
        return body_read_all(head, &body, rows, why);
    if (first_row == 0)
        rows[0] = 0;
    for (unsigned lane = 0; lane < body.lanes.count; lane++) {
        size_t lane_first = lane * body.lanes.stride + 1;

        if (lane_first < end && lane_first + lane_size(&body.lanes, lane) > first_row)
            TRY(body_read_lane(head, &body, lane, first_row, end, rows, why));
    }
    return ERR_NONE;
}
