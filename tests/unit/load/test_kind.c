/* SPDX-License-Identifier: Apache-2.0 */
/* Each kind of test, given outcomes whose verdict is known. */
#include "load/kind.h"

#include "base/clock.h"
#include "load/scaling.h"
#include "test.h"

#define MS INT64_C(1000000)

struct bench {
    struct plan *plan;
    const struct kind *kind;
    struct outcome outcome;
    struct arena *arena;
    struct judgement judgement;
};

static struct bench begin(const char *name, enum model model, double level)
{
    struct bench bench = {.plan = plan_new(1 << 20), .arena = arena_new(1 << 20)};

    bench.kind = kind_find(str_of(name));
    bench.plan->model = model;
    bench.plan->connections = (unsigned)level;
    if (bench.kind == NULL ||
        bench.kind->shape(bench.plan, level, 60 * CLOCK_NS_PER_S, NULL) != ERR_NONE)
        printf("# no shape\n");
    judgement_init(&bench.judgement, bench.arena);
    bench.outcome.plan = bench.plan;
    bench.outcome.points = calloc(OUTCOME_POINTS_MAX, sizeof(struct outcome_point));
    bench.outcome.duration_s = 60;
    bench.outcome.finished = true;
    return bench;
}

/* A stage for each piece of the pattern, as the engine makes them. */
static void add_stages(struct bench *bench)
{
    const struct pattern *pattern = &bench->plan->pattern;

    bench->outcome.stages = calloc(pattern->count, sizeof(struct outcome_stage));
    bench->outcome.stages_count = pattern->count;
    for (size_t i = 0; i < pattern->count; i++) {
        struct outcome_stage *stage = &bench->outcome.stages[i];
        stage->level = (pattern->pieces[i].from + pattern->pieces[i].to) / 2;
        stage->start_s = (double)pattern->pieces[i].start_ns / 1e9;
        stage->length_s = (double)pattern->pieces[i].length_ns / 1e9;
        stage->seconds = stage->length_s;
    }
}

static void fill_stage(struct bench *bench, size_t index, double rate, int64_t latency_ns)
{
    struct outcome_stage *stage = &bench->outcome.stages[index];

    stage->requests = stage->answers = (uint64_t)(rate * stage->seconds);
    for (int i = 0; i < 100; i++)
        histogram_add(&stage->latency, latency_ns);
    bench->outcome.total.requests += stage->requests;
}

static void add_point(struct bench *bench, double time_s, double p95_ms, uint64_t failures)
{
    struct outcome_point *point = &bench->outcome.points[bench->outcome.points_count++];

    *point = (struct outcome_point){.time_s = time_s,
                                    .length_s = 1,
                                    .requests = 100,
                                    .answers = 100 - failures,
                                    .failures = failures,
                                    .p50_ms = p95_ms / 2,
                                    .p95_ms = p95_ms,
                                    .p99_ms = p95_ms * 1.2,
                                    .max_ms = p95_ms * 2};
    bench->outcome.total.requests += 100;
    bench->outcome.total.failures += failures;
}

static bool says(const struct bench *bench, const char *words)
{
    for (size_t i = 0; i < bench->judgement.notes_count; i++) {
        if (strstr(bench->judgement.notes[i].text, words) != NULL)
            return true;
    }
    for (size_t i = 0; i < bench->judgement.notes_count; i++)
        printf("# %s\n", bench->judgement.notes[i].text);
    return false;
}

static double figure(const struct bench *bench, const char *key)
{
    for (size_t i = 0; i < bench->judgement.figures_count; i++) {
        if (strcmp(bench->judgement.figures[i].key, key) == 0)
            return bench->judgement.figures[i].value;
    }
    return NAN;
}

static void end(struct bench *bench)
{
    outcome_done(&bench->outcome);
    bench->plan = plan_free(bench->plan);
    bench->arena = arena_free(bench->arena);
}

TEST(there_are_seven_kinds_and_each_has_a_shape)
{
    static const char *const names[] = {"smoke",  "load",      "stress",     "spike",
                                        "volume", "endurance", "scalability"};

    EXPECT(kinds_count == 7);
    for (size_t i = 0; i < kinds_count; i++) {
        struct bench bench = begin(names[i], MODEL_CLOSED, 10);
        EXPECT(bench.kind != NULL && bench.kind->length_ns > 0);
        EXPECT(pattern_length_ns(&bench.plan->pattern) == 60 * CLOCK_NS_PER_S);
        EXPECT(pattern_peak(&bench.plan->pattern) <= 10);
        end(&bench);
    }
    EXPECT(kind_find(STR("bench")) == NULL);
}

TEST(a_smoke_test_allows_no_error)
{
    struct bench bench = begin("smoke", MODEL_CLOSED, 1);

    add_point(&bench, 1, 5, 0);
    kind_judge(bench.kind, &bench.outcome, &bench.judgement);
    EXPECT(!bench.judgement.failed);
    add_point(&bench, 2, 5, 1);
    kind_judge(bench.kind, &bench.outcome, &bench.judgement);
    EXPECT(bench.judgement.failed);
    end(&bench);
}

TEST(a_load_test_sees_latency_that_creeps_up)
{
    for (int creeps = 0; creeps < 2; creeps++) {
        struct bench bench = begin("load", MODEL_CLOSED, 10);
        for (int i = 1; i <= 60; i++)
            add_point(&bench, i, creeps ? 10 + i : 10 + i % 2, 0);
        kind_judge(bench.kind, &bench.outcome, &bench.judgement);
        EXPECT(bench.judgement.failed == (creeps == 1));
        EXPECT(says(&bench, creeps ? "does not hold" : "holds this load"));
        end(&bench);
    }
}

TEST(a_load_test_does_not_take_scatter_for_a_verdict)
{
    struct bench bench = begin("load", MODEL_CLOSED, 10);
    uint64_t chance = 1;

    /* Intervals that wander between 10 and 200 ms in stretches, the later ones a bit higher. */
    for (int i = 1; i <= 60; i++) {
        chance = i % 12 == 1 ? (uint64_t)(i * 7919 % 13) : chance;
        add_point(&bench, i, 10 + 15 * (double)chance + (i > 33 ? 40 : 0), 0);
    }
    kind_judge(bench.kind, &bench.outcome, &bench.judgement);
    EXPECT(!bench.judgement.failed);
    EXPECT(says(&bench, "may be chance"));
    end(&bench);
}

TEST(steps_of_users_are_whole)
{
    struct bench sixteen = begin("stress", MODEL_CLOSED, 16);
    struct bench three = begin("stress", MODEL_CLOSED, 3);

    for (size_t i = 0; i < sixteen.plan->pattern.count; i++) {
        double users = sixteen.plan->pattern.pieces[i].from;
        EXPECT(users == (double)(int)users && users >= 1);
    }
    EXPECT(sixteen.plan->pattern.count == 10 && pattern_peak(&sixteen.plan->pattern) == 16);
    EXPECT(three.plan->pattern.count == 3 && pattern_peak(&three.plan->pattern) == 3);
    end(&sixteen);
    end(&three);
}

TEST(numbers_of_verdicts_are_readable)
{
    char text[KIND_TEXT_SIZE];

    EXPECT_TEXT(kind_rate(text, 113620.4), "113,620");
    EXPECT_TEXT(kind_rate(text, 54.223), "54.2");
    EXPECT_TEXT(kind_ms(text, 0.053376), "0.053");
    EXPECT_TEXT(kind_ms(text, 0.206), "0.206");
    EXPECT_TEXT(kind_ms(text, 124.78), "125");
    EXPECT_TEXT(kind_ms(text, 12345.6), "12346");
}

TEST(a_stress_test_finds_the_last_step_that_was_kept)
{
    struct bench bench = begin("stress", MODEL_OPEN, 1000);

    add_stages(&bench);
    ASSERT(bench.outcome.stages_count == 10);
    for (size_t i = 0; i < 10; i++) {
        bool kept = i < 6; /* Capacity 600/s. */
        fill_stage(&bench, i, kept ? 100.0 * (double)(i + 1) : 600, kept ? 5 * MS : 900 * MS);
    }
    kind_judge(bench.kind, &bench.outcome, &bench.judgement);
    EXPECT_NEAR(figure(&bench, "knee_level"), 600, 1);
    EXPECT_NEAR(figure(&bench, "knee_rate"), 600, 5);
    end(&bench);
}

TEST(a_stress_test_that_never_breaks_says_so)
{
    struct bench bench = begin("stress", MODEL_OPEN, 1000);

    add_stages(&bench);
    for (size_t i = 0; i < bench.outcome.stages_count; i++)
        fill_stage(&bench, i, 100.0 * (double)(i + 1), 5 * MS);
    kind_judge(bench.kind, &bench.outcome, &bench.judgement);
    EXPECT(says(&bench, "never broke"));
    end(&bench);
}

TEST(users_that_bring_no_more_show_the_knee_too)
{
    struct bench bench = begin("stress", MODEL_CLOSED, 100);

    add_stages(&bench);
    for (size_t i = 0; i < bench.outcome.stages_count; i++)
        fill_stage(&bench, i, i < 4 ? 100.0 * (double)(i + 1) : 405 + (double)i, 5 * MS);
    kind_judge(bench.kind, &bench.outcome, &bench.judgement);
    EXPECT_NEAR(figure(&bench, "knee_level"), 40, 1);
    end(&bench);
}

TEST(scalability_says_how_many_users_are_best)
{
    struct bench bench = begin("scalability", MODEL_CLOSED, 64);
    const struct scaling truth = {.lambda = 100, .sigma = 0.02, .kappa = 0.001};

    add_stages(&bench);
    for (size_t i = 0; i < bench.outcome.stages_count; i++)
        fill_stage(&bench, i, scaling_at(&truth, bench.outcome.stages[i].level), 5 * MS);
    kind_judge(bench.kind, &bench.outcome, &bench.judgement);
    EXPECT_NEAR(figure(&bench, "usl_sigma"), 0.02, 0.01);
    EXPECT_NEAR(figure(&bench, "best_users"), 31, 5);
    end(&bench);
}

TEST(endurance_sees_what_climbs)
{
    for (int climbs = 0; climbs < 2; climbs++) {
        struct bench bench = begin("endurance", MODEL_CLOSED, 10);
        for (int i = 1; i <= 60; i++)
            add_point(&bench, i, 20 + (climbs ? i * 0.5 : 0) + (i * 7 % 5) * 0.2, 0);
        kind_judge(bench.kind, &bench.outcome, &bench.judgement);
        EXPECT(bench.judgement.failed == (climbs == 1));
        end(&bench);
    }
}

TEST(a_spike_tells_how_long_it_hurt)
{
    struct bench bench = begin("spike", MODEL_CLOSED, 100);

    add_stages(&bench);
    ASSERT(bench.outcome.stages_count == 3);
    fill_stage(&bench, 0, 100, 10 * MS);
    fill_stage(&bench, 1, 500, 80 * MS);
    fill_stage(&bench, 2, 100, 10 * MS);
    for (int i = 1; i <= 60; i++)
        add_point(&bench, i, i > 15 && i <= 36 ? 80 : 10, 0); /* The spike ends at 30 s. */
    kind_judge(bench.kind, &bench.outcome, &bench.judgement);
    EXPECT_NEAR(figure(&bench, "recovery_s"), 6, 0.01);
    EXPECT(!bench.judgement.failed);
    end(&bench);
}

TEST_MAIN
