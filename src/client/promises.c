/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_priv.h"

#include <math.h>
#include <string.h>

static struct sla_targets *targets_of(struct sonde *sonde, const char *operation)
{
    if (operation == NULL)
        return &sonde->promises;
    return &sonde_operation(sonde, operation)->promises;
}

bool sonde_sla_set(struct sonde *sonde, const char *operation, const char *key, double value)
{
    if (sonde == NULL || key == NULL || value < 0)
        return false;
    for (int kind = 0; kind < SLA_KIND_COUNT; kind++) {
        if (strcmp(sla_key((enum sla_kind)kind), key) != 0)
            continue;
        if (kind == SLA_SUCCESS_RATE && value > 1) /* Percent, perhaps. */
            return false;
        struct sla_targets *targets = targets_of(sonde, operation);
        (void)pthread_mutex_lock(&sonde->lock); /* Ours alone; cannot fail. */
        *sla_target(targets, (enum sla_kind)kind) = value;
        (void)pthread_mutex_unlock(&sonde->lock); /* Locked above. */
        return true;
    }
    return false;
}

static struct sla_measure measure_of(const struct sonde_stats *stats)
{
    return (struct sla_measure){
        .count = stats->count,
        .p50_ms = stats->p50_ms,
        .p95_ms = stats->p95_ms,
        .p99_ms = stats->p99_ms,
        .throughput_rps = stats->throughput_rps,
        .success_rate = stats->success_rate,
    };
}

struct teller {
    sonde_violation tell;
    void *self;
};

struct sentence {
    const char *operation;
    const struct sla_violation *violation;
    struct buf text;
};

static void write_sentence(void *self)
{
    struct sentence *sentence = self;

    sla_write(&sentence->text, str_of(sentence->operation), sentence->violation);
    (void)buf_cstr(&sentence->text); /* Has the NUL behind it. */
}

static void tell_one(const struct teller *teller, const char *operation,
                     const struct sla_violation *violation)
{
    struct sentence sentence = {operation, violation, {0}};
    bool written = must_try(write_sentence, &sentence);

    teller->tell(teller->self, operation,
                 written ? buf_cstr(&sentence.text) : sla_key(violation->kind));
    buf_done(&sentence.text);
}

static size_t check(struct sonde *sonde, const struct sla_targets *promises, const char *operation,
                    const struct sonde_stats *stats, const struct teller *teller)
{
    struct sla_violation violations[SLA_KIND_COUNT];
    struct sla_measure measure = measure_of(stats);

    (void)pthread_mutex_lock(&sonde->lock); /* Ours alone; cannot fail. */
    struct sla_targets targets = *promises;
    (void)pthread_mutex_unlock(&sonde->lock); /* Locked above. */
    size_t count = sla_check(&targets, &measure, violations);
    for (size_t i = 0; i < count && teller->tell != NULL; i++)
        tell_one(teller, operation, &violations[i]);
    return count;
}

size_t sonde_sla_check(struct sonde *sonde, sonde_violation tell, void *self)
{
    const struct teller teller = {tell, self};
    struct sonde_stats stats;
    size_t broken = 0;

    if (sonde == NULL)
        return 0;
    if (sonde_overall_stats(sonde, &stats))
        broken += check(sonde, &sonde->promises, NULL, &stats, &teller);
    uint32_t known = atomic_load(&sonde->operation_names.count);
    for (uint32_t i = 0; i < known; i++) {
        struct sonde_operation *operation = &sonde->operations[i];
        if (sonde_operation_stats(operation, &stats))
            broken += check(sonde, &operation->promises, operation->name, &stats, &teller);
    }
    return broken;
}
