/* SPDX-License-Identifier: Apache-2.0 */
#include "stats/sla.h"

#include <assert.h>
#include <math.h>

struct kind_row {
    const char *key;
    const char *overall_name;   /* "Overall …" */
    const char *operation_name; /* "Operation 'x' …" */
    bool is_upper;              /* Exceeding is the violation. */
    double scale;               /* From our unit to the shown one. */
    const char *format;
};

static const struct kind_row kinds[SLA_KIND_COUNT] = {
    [SLA_P50] = {"max_p50_latency_ms", "P50 latency", "P50", true, 1, "%.1fms"},
    [SLA_P95] = {"max_p95_latency_ms", "P95 latency", "P95", true, 1, "%.1fms"},
    [SLA_P99] = {"max_p99_latency_ms", "P99 latency", "P99", true, 1, "%.1fms"},
    [SLA_THROUGHPUT] = {"min_throughput_rps", "throughput", "throughput", false, 1, "%.1f RPS"},
    [SLA_SUCCESS_RATE] = {"min_success_rate", "success rate", "success rate", false, 100, "%.1f%%"},
};

static_assert(sizeof(struct sla_targets) == SLA_KIND_COUNT * sizeof(double),
              "the kinds are the fields of the targets, in order");

const char *sla_key(enum sla_kind kind)
{
    MUST((unsigned)kind < SLA_KIND_COUNT);
    return kinds[kind].key;
}

double *sla_target(struct sla_targets *targets, enum sla_kind kind)
{
    MUST((unsigned)kind < SLA_KIND_COUNT);
    return &targets->max_p50_latency_ms + kind;
}

bool sla_is_set(const struct sla_targets *targets)
{
    struct sla_targets copy = *targets;
    bool any = false;

    for (int kind = 0; kind < SLA_KIND_COUNT; kind++)
        any |= !isnan(*sla_target(&copy, (enum sla_kind)kind));
    return any;
}

size_t sla_check(const struct sla_targets *targets, const struct sla_measure *measure,
                 struct sla_violation ret_violations[SLA_KIND_COUNT])
{
    const double measured[SLA_KIND_COUNT] = {measure->p50_ms, measure->p95_ms, measure->p99_ms,
                                             measure->throughput_rps, measure->success_rate};
    struct sla_targets copy = *targets;
    size_t count = 0;

    if (measure->count == 0)
        return 0;
    for (int kind = 0; kind < SLA_KIND_COUNT; kind++) {
        double target = *sla_target(&copy, (enum sla_kind)kind);
        bool broken = kinds[kind].is_upper ? measured[kind] > target : measured[kind] < target;
        if (broken) /* Never with NAN on either side. */
            ret_violations[count++] =
                (struct sla_violation){(enum sla_kind)kind, measured[kind], target};
    }
    return count;
}

void sla_write(struct buf *out, struct str operation, const struct sla_violation *violation)
{
    const struct kind_row *row = &kinds[violation->kind];

    if (operation.data == NULL)
        buf_printf(out, "Overall %s (", row->overall_name);
    else
        buf_printf(out, "Operation '%.*s' %s (", STR_ARG(operation), row->operation_name);
    buf_printf(out, row->format, violation->measured * row->scale);
    buf_text(out, row->is_upper ? ") exceeds target (" : ") below target (");
    buf_printf(out, row->format, violation->target * row->scale);
    buf_byte(out, ')');
}

/* To three digits, away from or towards zero. */
static double round_to(double value, bool up)
{
    if (!(value > 0) || !isfinite(value))
        return value;
    double unit = pow(10, floor(log10(value)) - 2);
    double digits = value / unit;
    double nearest = nearbyint(digits);
    /* What is three digits already must not step to the next for the sake of a rounding error. */
    if (fabs(digits - nearest) < 1e-9 * digits)
        return nearest * unit;
    return (up ? ceil(digits) : floor(digits)) * unit;
}

struct sla_targets sla_suggest(const struct sla_measure *measure, double latency_factor,
                               double throughput_factor)
{
    double allowed = fmax(1.5 * (1 - measure->success_rate), 0.001);

    return (struct sla_targets){
        .max_p50_latency_ms = round_to(measure->p50_ms * latency_factor, true),
        .max_p95_latency_ms = round_to(measure->p95_ms * latency_factor, true),
        .max_p99_latency_ms = round_to(measure->p99_ms * latency_factor, true),
        .min_throughput_rps = round_to(measure->throughput_rps * throughput_factor, false),
        .min_success_rate = fmax(0, floor((1 - allowed) * 1e4 + 1e-6) / 1e4),
    };
}
