/* SPDX-License-Identifier: Apache-2.0 */
/* A piece is a trapezoid: with s seconds since its start, slope k and first level f, the level is
 * f + k s and the area f s + k s²/2. The time of an area is the root of that, taken in the form
 * 2a / (f + sqrt(f² + 2 k a)), which does not cancel when k is small and is a/f when k is 0. */
#include "load/pattern.h"

#include "base/clock.h"
#include "stats/random.h"

#include <math.h>
#include <stdlib.h>

enum { STEPS_MAX = 1000 };

static double seconds(int64_t ns)
{
    return (double)ns / (double)CLOCK_NS_PER_S;
}

void pattern_done(struct pattern *pattern)
{
    free(pattern->pieces);
    *pattern = (struct pattern){0};
}

static double piece_area(const struct pattern_piece *piece)
{
    return seconds(piece->length_ns) * (piece->from + piece->to) / 2;
}

enum err pattern_line(struct pattern *pattern, double from, double to, int64_t length_ns,
                      struct why *why)
{
    if (!(from >= 0 && to >= 0 && from <= PATTERN_LEVEL_MAX && to <= PATTERN_LEVEL_MAX))
        return fail(why, ERR_INVALID, "a level must be between 0 and %g", PATTERN_LEVEL_MAX);
    if (length_ns <= 0)
        return fail(why, ERR_INVALID, "a stage must take some time");
    if (pattern->count == PATTERN_PIECES_MAX)
        return fail(why, ERR_LIMIT, "the pattern has more than %d pieces", PATTERN_PIECES_MAX);
    if (pattern->count == pattern->capacity) {
        size_t capacity = pattern->capacity == 0 ? 8 : pattern->capacity * 2;
        struct pattern_piece *pieces = realloc(pattern->pieces, capacity * sizeof(*pieces));
        if (pieces == NULL)
            must_memory(capacity * sizeof(*pieces));
        pattern->pieces = pieces;
        pattern->capacity = capacity;
    }
    struct pattern_piece *piece = &pattern->pieces[pattern->count++];
    *piece = (struct pattern_piece){.length_ns = length_ns, .from = from, .to = to};
    if (pattern->count > 1) {
        const struct pattern_piece *before = piece - 1;
        piece->start_ns = before->start_ns + before->length_ns;
        piece->area = before->area + piece_area(before);
    }
    return ERR_NONE;
}

enum err pattern_steps(struct pattern *pattern, double from, double to, size_t steps,
                       int64_t length_ns, struct why *why)
{
    if (steps < 1 || steps > STEPS_MAX)
        return fail(why, ERR_INVALID, "there must be 1 to %d steps", STEPS_MAX);
    for (size_t i = 0; i < steps; i++) {
        double share = steps == 1 ? 1 : (double)i / (double)(steps - 1);
        double level = from + (to - from) * share;
        TRY(pattern_line(pattern, level, level, length_ns / (int64_t)steps, why));
    }
    return ERR_NONE;
}

enum err pattern_spike(struct pattern *pattern, double base, double peak, int64_t length_ns,
                       struct why *why)
{
    TRY(pattern_line(pattern, base, base, length_ns / 4, why));
    TRY(pattern_line(pattern, peak, peak, length_ns / 4, why));
    return pattern_line(pattern, base, base, length_ns - length_ns / 4 * 2, why);
}

enum err pattern_wave(struct pattern *pattern, double low, double high, int64_t period_ns,
                      int64_t length_ns, struct why *why)
{
    double middle = (low + high) / 2;
    double swing = (high - low) / 2;
    double before = middle;

    if (period_ns < PATTERN_WAVE_PIECES)
        return fail(why, ERR_INVALID, "a wave needs a period");
    int64_t piece_ns = period_ns / PATTERN_WAVE_PIECES;
    for (int64_t at = 0; at < length_ns; at += piece_ns) {
        int64_t end = at + piece_ns > length_ns ? length_ns : at + piece_ns;
        double after = middle + swing * sin(2 * M_PI * (double)end / (double)period_ns);
        TRY(pattern_line(pattern, before, after, end - at, why));
        before = after;
    }
    return ERR_NONE;
}

enum err pattern_random(struct pattern *pattern, double low, double high, int64_t step_ns,
                        int64_t length_ns, uint64_t seed, struct why *why)
{
    struct random random = random_begin(seed);

    if (step_ns <= 0)
        return fail(why, ERR_INVALID, "random levels need a step");
    for (int64_t at = 0; at < length_ns; at += step_ns) {
        double level = low + (high - low) * random_unit(&random);
        int64_t end = at + step_ns > length_ns ? length_ns : at + step_ns;
        TRY(pattern_line(pattern, level, level, end - at, why));
    }
    return ERR_NONE;
}

/* ---- Reading. ---- */

/* What the words of one stage said. */
struct stage {
    struct str text; /* For messages. */
    struct str shape;
    double from, to;
    int64_t length_ns;
    int64_t every_ns;
    size_t steps;
};

static enum err bad_stage(const struct stage *stage, const char *what, struct why *why)
{
    enum err err = fail(why, ERR_INVALID, "stage '%.*s': %s", STR_ARG(stage->text), what);

    hint(why, "as in '50 for 30s', 'ramp 0..200 over 1m', 'step 10..100 in 10 over 5m', "
              "'spike 20..200 over 40s', 'wave 50..150 every 20s for 2m'");
    return err;
}

static struct str next_word(struct str *rest)
{
    *rest = str_trim(*rest);
    struct str word = str_split(rest, ' ');
    return word;
}

static bool read_duration(struct str word, int64_t *ret_ns)
{
    int64_t ms;

    if (!str_to_duration_ms(word, &ms) || ms <= 0)
        return false;
    *ret_ns = ms * CLOCK_NS_PER_MS;
    return true;
}

/* "10" or "10..200". */
static bool read_levels(struct str word, struct stage *stage)
{
    ptrdiff_t dots = str_find_str(word, STR(".."));

    if (dots < 0) {
        stage->to = NAN;
        return str_to_double(word, &stage->from);
    }
    return str_to_double((struct str){word.data, (size_t)dots}, &stage->from) &&
           str_to_double((struct str){word.data + dots + 2, word.size - (size_t)dots - 2},
                         &stage->to);
}

static enum err read_stage(struct str text, struct stage *stage, struct why *why)
{
    struct str rest = str_trim(text);

    *stage = (struct stage){.text = rest, .shape = STR("constant"), .steps = 5};
    struct str word = next_word(&rest);
    if (word.size > 0 && (word.data[0] < '0' || word.data[0] > '9')) {
        stage->shape = word;
        word = next_word(&rest);
    }
    if (!read_levels(word, stage))
        return bad_stage(stage, "a level such as 50 or 50..200 is missing", why);
    while (rest.data != NULL && (rest = str_trim(rest)).size > 0) {
        word = next_word(&rest);
        struct str value = next_word(&rest);
        uint64_t steps;
        bool good = false;
        if (str_eq(word, STR("for")) || str_eq(word, STR("over"))) {
            good = read_duration(value, &stage->length_ns);
        } else if (str_eq(word, STR("every"))) {
            good = read_duration(value, &stage->every_ns);
        } else if (str_eq(word, STR("in"))) {
            good = str_to_u64(value, &steps) && steps > 0 && steps <= STEPS_MAX;
            stage->steps = good ? (size_t)steps : 1;
        }
        if (!good)
            return bad_stage(stage, "what follows the level is not understood", why);
    }
    if (stage->length_ns == 0)
        return bad_stage(stage, "it does not say for how long", why);
    return ERR_NONE;
}

static enum err add_stage(const struct stage *stage, struct pattern *pattern, struct why *why)
{
    struct str shape = stage->shape;
    bool range = !isnan(stage->to);

    if (str_eq(shape, STR("constant"))) {
        if (range)
            return bad_stage(stage, "a constant has one level", why);
        return pattern_line(pattern, stage->from, stage->from, stage->length_ns, why);
    }
    if (!range)
        return bad_stage(stage, "two levels, as in 50..200, are needed", why);
    if (str_eq(shape, STR("ramp")) || str_eq(shape, STR("ramp-up")) ||
        str_eq(shape, STR("ramp-down")))
        return pattern_line(pattern, stage->from, stage->to, stage->length_ns, why);
    if (str_eq(shape, STR("step")))
        return pattern_steps(pattern, stage->from, stage->to, stage->steps, stage->length_ns, why);
    if (str_eq(shape, STR("spike")))
        return pattern_spike(pattern, stage->from, stage->to, stage->length_ns, why);
    int64_t every_ns = stage->every_ns > 0 ? stage->every_ns : stage->length_ns / 4;
    if (str_eq(shape, STR("wave")))
        return pattern_wave(pattern, stage->from, stage->to, every_ns, stage->length_ns, why);
    if (str_eq(shape, STR("random")))
        return pattern_random(pattern, stage->from, stage->to, every_ns, stage->length_ns,
                              pattern->count + 1, why);
    return bad_stage(stage, "shapes are constant, ramp, step, spike, wave and random", why);
}

enum err pattern_parse(struct str text, struct pattern *pattern, struct why *why)
{
    struct str rest = text;

    while (rest.data != NULL) {
        struct str part = str_split(&rest, ',');
        struct stage stage;
        TRY(read_stage(part, &stage, why));
        enum err err = add_stage(&stage, pattern, why);
        if (err != ERR_NONE) {
            if (why != NULL && str_find_str(str_of(why->text), STR("stage ")) != 0)
                why_prefix(why, "stage '%.*s'", STR_ARG(stage.text));
            return err;
        }
    }
    return ERR_NONE;
}

/* ---- Questions. ---- */

int64_t pattern_length_ns(const struct pattern *pattern)
{
    if (pattern->count == 0)
        return 0;
    const struct pattern_piece *last = &pattern->pieces[pattern->count - 1];
    return last->start_ns + last->length_ns;
}

/* The piece that holds the time; count when it is over. */
static size_t find_piece(const struct pattern *pattern, int64_t at_ns)
{
    size_t low = 0;
    size_t high = pattern->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct pattern_piece *piece = &pattern->pieces[middle];
        if (piece->start_ns + piece->length_ns <= at_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static double slope(const struct pattern_piece *piece)
{
    return (piece->to - piece->from) / seconds(piece->length_ns);
}

double pattern_level(const struct pattern *pattern, int64_t at_ns)
{
    size_t index = find_piece(pattern, at_ns < 0 ? 0 : at_ns);

    if (index == pattern->count)
        return 0;
    const struct pattern_piece *piece = &pattern->pieces[index];
    int64_t inside = at_ns < 0 ? 0 : at_ns - piece->start_ns;
    return piece->from + slope(piece) * seconds(inside);
}

double pattern_peak(const struct pattern *pattern)
{
    double peak = 0;

    for (size_t i = 0; i < pattern->count; i++) {
        peak = fmax(peak, pattern->pieces[i].from);
        peak = fmax(peak, pattern->pieces[i].to);
    }
    return peak;
}

double pattern_area(const struct pattern *pattern, int64_t at_ns)
{
    size_t index = find_piece(pattern, at_ns);

    if (pattern->count == 0 || at_ns <= 0)
        return 0;
    if (index == pattern->count) {
        const struct pattern_piece *last = &pattern->pieces[pattern->count - 1];
        return last->area + piece_area(last);
    }
    const struct pattern_piece *piece = &pattern->pieces[index];
    double inside = seconds(at_ns - piece->start_ns);
    return piece->area + piece->from * inside + slope(piece) * inside * inside / 2;
}

int64_t pattern_time_of(const struct pattern *pattern, double area, size_t *hint)
{
    size_t index = *hint;

    while (index < pattern->count &&
           pattern->pieces[index].area + piece_area(&pattern->pieces[index]) < area)
        index++;
    *hint = index;
    if (index == pattern->count)
        return INT64_MAX;
    const struct pattern_piece *piece = &pattern->pieces[index];
    double wanted = area - piece->area;
    if (wanted <= 0)
        return piece->start_ns;
    double root = sqrt(fmax(0, piece->from * piece->from + 2 * slope(piece) * wanted));
    double inside = 2 * wanted / (piece->from + root);
    int64_t inside_ns = (int64_t)llround(inside * (double)CLOCK_NS_PER_S);
    return piece->start_ns + (inside_ns > piece->length_ns ? piece->length_ns : inside_ns);
}
