/* SPDX-License-Identifier: Apache-2.0 */
/* Each check is parsed once; a look evaluates all of them at one moment. What was found lives on in
 * the memory, one entry per check and subject:
 *
 *     value reaches a threshold ─► entered (since = now) ─► value calm by the margin ─► calm_since
 *                                       ▲  value back over the margin │          │ HEALTH_HOLD_MS
 *                                       └─────────────────────────────┘          ▼
 *                                                                             forgotten
 * While it is held, the last sentence is said again. */
#include "analysis/health.h"
#include "analysis/health_checks.h"
#include "query/promql.h"

#include "base/clock.h"
#include "base/map.h"
#include "model/label.h"

#include <math.h>
#include <stdlib.h>

#define CHECKS_MAX   64
#define SUBJECTS_MAX 64 /* Of one check, in one look. */
#define CALM_ABOVE   0.8
#define CALM_BELOW   1.25
#define MEMORY_BYTES (64 * 1024) /* For the texts of one held finding. */

struct memory {
    struct str id; /* In arena. */
    struct arena *arena;
    struct finding finding; /* As last said; texts in arena. */
    int64_t since_ms;
    int64_t calm_since_ms; /* 0: not calm. */
    int64_t seen_ms;       /* Of the last look that judged it. */
};

struct health {
    struct promql_expression *expressions[CHECKS_MAX];
    struct promql_expression *details[CHECKS_MAX];
    struct map memories;
};

/* ---- Values as people read them. ---- */

static void write_seconds(struct buf *out, double seconds)
{
    if (seconds < 1)
        buf_printf(out, "%.0f ms", seconds * 1e3);
    else if (seconds < 90)
        buf_printf(out, "%.1f s", seconds);
    else if (seconds < 90 * 60)
        buf_printf(out, "%.0f minutes", seconds / 60);
    else
        buf_printf(out, "%.0f hours", seconds / 3600);
}

static void write_bytes(struct buf *out, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;

    while (fabs(bytes) >= 1024 && unit + 1 < ARRAY_COUNT(units)) {
        bytes /= 1024;
        unit++;
    }
    buf_printf(out, bytes < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

static void write_number(struct buf *out, double value)
{
    buf_printf(out, fabs(value) < 10 && value != floor(value) ? "%.1f" : "%.0f", value);
}

static void write_value(struct buf *out, enum health_unit unit, double value)
{
    switch (unit) {
    case HEALTH_RATIO:
        /* A share just below one is not said as "100 %". */
        buf_printf(out, fabs(value) < 0.095 ? "%.1f %%" : "%.0f %%",
                   value < 1 && value > 0.99 ? 99.0 : value * 100);
        break;
    case HEALTH_SECONDS:
        write_seconds(out, value);
        break;
    case HEALTH_RATE:
        write_number(out, value);
        buf_text(out, "/s");
        break;
    case HEALTH_COUNT:
        write_number(out, value);
        break;
    case HEALTH_BYTES:
        write_bytes(out, value);
        break;
    case HEALTH_NONE:
        break;
    }
}

/* ---- Sentences. ---- */

struct subject {
    const struct health_check *check;
    const struct labels *labels;
    double value;
    struct str detail;
};

static void write_name(struct buf *out, const struct subject *subject, struct str name)
{
    if (str_eq(name, STR("value")))
        write_value(out, subject->check->unit, subject->value);
    else if (str_eq(name, STR("detail")))
        buf_str(out, subject->detail);
    else
        buf_str(out, labels_get(subject->labels, name));
}

/* A sentence that speaks of a detail which nobody has is left out. */
static bool is_empty_talk(const struct subject *subject, struct str sentence)
{
    return subject->detail.size == 0 && str_find_str(sentence, STR("{detail}")) >= 0;
}

static void write_sentence(struct buf *out, const struct subject *subject, struct str sentence)
{
    while (sentence.size > 0) {
        ptrdiff_t open = str_find(sentence, '{');
        ptrdiff_t close = open < 0 ? -1 : str_find(sentence, '}');
        if (close < open || open < 0) {
            buf_str(out, sentence);
            return;
        }
        buf_append(out, sentence.data, (size_t)open);
        write_name(out, subject,
                   (struct str){sentence.data + open + 1, (size_t)(close - open) - 1});
        sentence.data += close + 1;
        sentence.size -= (size_t)close + 1;
    }
}

static enum err fill_in(struct arena *arena, const struct subject *subject, const char *template,
                        struct str *ret_text, struct why *why)
{
    struct str rest = str_of(template);
    struct buf out = {0};

    while (rest.size > 0) {
        ptrdiff_t end = str_find_str(rest, STR(". "));
        struct str sentence = {rest.data, end < 0 ? rest.size : (size_t)end + 1};
        if (!is_empty_talk(subject, sentence)) {
            if (out.size > 0)
                buf_byte(&out, ' ');
            write_sentence(&out, subject, sentence);
        }
        size_t used = end < 0 ? rest.size : sentence.size + 1;
        rest = (struct str){rest.data + used, rest.size - used};
    }
    *ret_text = arena_str(arena, buf_view(&out));
    buf_done(&out);
    return ret_text->data == NULL ? arena_spent(arena, "findings", why) : ERR_NONE;
}

/* ---- Judging. ---- */

static bool reaches(const struct health_check *check, double threshold, double value)
{
    /* A threshold of NaN compares false either way: never reached. */
    return check->below ? value <= threshold : value >= threshold;
}

/* The threshold at which a finding of that kind ends, on the calm side of where it begins. */
static double calm_threshold(const struct health_check *check, double threshold)
{
    double factor = check->below ? CALM_BELOW : CALM_ABOVE;

    return threshold * (check->calm > 0 ? check->calm : factor);
}

/* The severity of the value; `held` is what was found before, which ends later than it began. */
static bool judge(const struct health_check *check, double value, const struct memory *held,
                  enum severity *ret_severity)
{
    const double thresholds[] = {check->info, check->warning, check->critical};

    for (int level = SEVERITY_CRITICAL; level >= SEVERITY_INFO; level--) {
        double threshold = thresholds[level];
        if (held != NULL && (int)held->finding.severity >= level)
            threshold = calm_threshold(check, threshold);
        if (reaches(check, threshold, value)) {
            *ret_severity = (enum severity)level;
            return true;
        }
    }
    return false;
}

static struct str subject_id(struct arena *arena, const struct subject *subject)
{
    const char *label = subject->check->subject;
    struct str name = label == NULL ? STR_NONE : labels_get(subject->labels, str_of(label));
    struct str instance = labels_get(subject->labels, STR("instance"));
    char *text;

    if (name.size > 0)
        text = arena_printf(arena, "%s:%.*s@%.*s", subject->check->id, STR_ARG(name),
                            STR_ARG(instance));
    else
        text = arena_printf(arena, "%s@%.*s", subject->check->id, STR_ARG(instance));
    return str_of(text);
}

static enum err say(struct arena *arena, const struct subject *subject, struct finding *finding,
                    struct why *why)
{
    const struct health_check *check = subject->check;

    finding->expr = str_of(check->expr);
    finding->confidence = check->confidence;
    TRY(fill_in(arena, subject, check->claim, &finding->claim, why));
    TRY(fill_in(arena, subject, check->evidence, &finding->evidence, why));
    return fill_in(arena, subject, check->next_step, &finding->next_step, why);
}

/* ---- Memory. ---- */

static struct memory *memory_free(struct memory *memory)
{
    if (memory != NULL) {
        arena_free(memory->arena);
        free(memory);
    }
    return NULL;
}

/* Remembers the finding, replacing what was said before. A full memory forgets to remember. */
static void remember(struct health *health, struct memory *held, struct finding *finding,
                     int64_t now_ms)
{
    if (held == NULL) {
        if (health->memories.count >= HEALTH_MEMORY_MAX)
            return;
        held = calloc(1, sizeof(*held));
        if (held == NULL)
            must_memory(sizeof(*held));
        held->since_ms = now_ms;
    } else {
        map_remove(&health->memories, held->id);
        arena_free(held->arena);
    }
    held->arena = arena_new(MEMORY_BYTES);
    held->seen_ms = now_ms;
    held->calm_since_ms = 0;
    finding->since_ms = held->since_ms;
    held->finding = *finding;
    held->id = held->finding.id = arena_str(held->arena, finding->id);
    held->finding.claim = arena_str(held->arena, finding->claim);
    held->finding.evidence = arena_str(held->arena, finding->evidence);
    held->finding.next_step = arena_str(held->arena, finding->next_step);
    if (held->id.data == NULL) {
        (void)memory_free(held); /* Longer than any name: it has no past then. */
        return;
    }
    map_put(&health->memories, held->id, held);
}

static struct str copy(struct arena *arena, struct str text)
{
    struct str copied = arena_str(arena, text);

    return copied.data == NULL ? STR("") : copied;
}

/* Findings that no sample spoke of any more: said again for a while, then forgotten. */
static void hold(struct health *health, const struct analysis_input *input,
                 struct finding_list *list)
{
    struct memory *gone[HEALTH_MEMORY_MAX];
    size_t gone_count = 0;

    MAP_EACH (&health->memories, entry) {
        struct memory *memory = entry->value;
        if (memory->seen_ms == input->now_ms)
            continue;
        if (memory->calm_since_ms == 0)
            memory->calm_since_ms = input->now_ms;
        if (input->now_ms - memory->calm_since_ms >= HEALTH_HOLD_MS) {
            gone[gone_count++] = memory;
            continue;
        }
        struct finding finding = memory->finding;
        finding.id = copy(input->arena, finding.id);
        finding.claim = copy(input->arena, finding.claim);
        finding.evidence = copy(input->arena, finding.evidence);
        finding.next_step = copy(input->arena, finding.next_step);
        finding_add(list, &finding);
    }
    for (size_t i = 0; i < gone_count; i++) {
        map_remove(&health->memories, gone[i]->id);
        memory_free(gone[i]);
    }
}

/* ---- One look. ---- */

static enum err ask(const struct promql_expression *expression, const struct analysis_input *input,
                    struct promql_result *ret_result, struct why *why)
{
    const struct promql_query query = {
        .source = input->view,
        .start_ms = input->now_ms,
        .end_ms = input->now_ms,
        .timeout_ms = input->timeout_ms,
        .cancelled = input->cancelled,
        .arena = input->arena,
    };

    return promql_eval_instant(expression, &query, ret_result, why);
}

/* "postgres 82 %, nginx 3 %"; empty when the question has no answer. */
static enum err ask_detail(struct health *health, size_t index, const struct analysis_input *input,
                           struct str *ret_text, struct why *why)
{
    const struct health_check *check = &health_checks[index];
    struct promql_result result;
    struct buf out = {0};

    *ret_text = STR_NONE;
    if (health->details[index] == NULL)
        return ERR_NONE;
    TRY(ask(health->details[index], input, &result, why));
    for (size_t i = 0; i < result.series_count; i++) {
        double value = result.series[i].values[0];
        if (isnan(value) || value <= 0)
            continue;
        buf_printf(&out, "%s%.*s ", out.size > 0 ? ", " : "",
                   STR_ARG(labels_get(result.series[i].labels, str_of(check->detail_label))));
        write_value(&out, check->detail_unit, value);
    }
    *ret_text = arena_str(input->arena, buf_view(&out));
    buf_done(&out);
    return ERR_NONE;
}

static enum err judge_sample(struct health *health, size_t index,
                             const struct promql_series *series, const struct analysis_input *input,
                             struct finding_list *list, struct why *why)
{
    const struct health_check *check = &health_checks[index];
    struct subject subject = {.check = check, .labels = series->labels, .value = series->values[0]};
    struct str id = subject_id(input->arena, &subject);
    struct memory *held = map_get(&health->memories, id);
    struct finding finding = {.id = id};

    if (id.data == NULL)
        return arena_spent(input->arena, "findings", why);
    if (isnan(subject.value) || !judge(check, subject.value, held, &finding.severity))
        return ERR_NONE;
    TRY(ask_detail(health, index, input, &subject.detail, why));
    TRY(say(input->arena, &subject, &finding, why));
    finding.since_ms = input->now_ms;
    remember(health, held, &finding, input->now_ms);
    finding_add(list, &finding);
    return ERR_NONE;
}

static enum err run_check(struct health *health, size_t index, const struct analysis_input *input,
                          struct finding_list *list, struct why *why)
{
    struct promql_result result;

    TRY(ask(health->expressions[index], input, &result, why));
    for (size_t i = 0; i < result.series_count && i < SUBJECTS_MAX; i++)
        TRY(judge_sample(health, index, &result.series[i], input, list, why));
    return ERR_NONE;
}

/* A question that failed is itself worth knowing, and does not silence the others. */
static void tell_failure(size_t index, const struct analysis_input *input,
                         struct finding_list *list, const struct why *why)
{
    struct finding finding = {
        .severity = SEVERITY_INFO,
        .since_ms = input->now_ms,
        .expr = str_of(health_checks[index].expr),
        .confidence = 1,
        .next_step = STR("Run the expression on the page Explore; narrow what is collected if it "
                         "is too wide."),
    };

    finding.id = str_of(arena_printf(input->arena, "check_failed:%s", health_checks[index].id));
    finding.claim = str_of(
        arena_printf(input->arena, "The check %s could not be made.", health_checks[index].id));
    finding.evidence = copy(input->arena, str_of(why->text));
    finding_add(list, &finding);
}

static enum err health_run(void *state, const struct analysis_input *input,
                           struct finding_list *list, struct why *why)
{
    struct health *health = state;

    for (size_t i = 0; i < health_checks_count; i++) {
        struct why check_why = WHY_INIT;
        enum err err = run_check(health, i, input, list, &check_why);
        if (err == ERR_CANCELLED || err == ERR_CLOSED) {
            if (why != NULL)
                *why = check_why;
            return err;
        }
        if (err != ERR_NONE)
            tell_failure(i, input, list, &check_why);
    }
    hold(health, input, list);
    finding_sort(list);
    return ERR_NONE;
}

/* The table is ours: an expression that does not parse is our own bug. */
static struct promql_expression *parse(const char *text)
{
    struct promql_expression *expression = NULL;
    struct why why = WHY_INIT;

    MUST(promql_parse(str_of(text), &expression, &why) == ERR_NONE);
    return expression;
}

static void *health_open(void)
{
    struct health *health = calloc(1, sizeof(*health));

    if (health == NULL)
        must_memory(sizeof(*health));
    MUST(health_checks_count <= CHECKS_MAX);
    for (size_t i = 0; i < health_checks_count; i++) {
        health->expressions[i] = parse(health_checks[i].expr);
        if (health_checks[i].detail_expr != NULL)
            health->details[i] = parse(health_checks[i].detail_expr);
    }
    return health;
}

static void health_close(void *state)
{
    struct health *health = state;

    if (health == NULL)
        return;
    for (size_t i = 0; i < health_checks_count; i++) {
        promql_free(health->expressions[i]);
        promql_free(health->details[i]);
    }
    MAP_EACH (&health->memories, entry)
        memory_free(entry->value);
    map_done(&health->memories);
    free(health);
}

const struct analysis_kind analysis_health = {
    .name = "health",
    .summary = "What is wrong with this machine now, worst first, and what to do.",
    .open = health_open,
    .close = health_close,
    .run = health_run,
};
