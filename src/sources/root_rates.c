/* SPDX-License-Identifier: Apache-2.0 */
#include "sources/root_rates.h"

#include "base/map.h"

#include <stdlib.h>

#define SHARE_MIN      1e-6
#define NAME_MAX_BYTES 256
#define WEIGHT         0.5 /* Of the newest stretch in the rate: quiet and busy ones even out. */

struct root_rate {
    uint64_t count; /* Since the last turn. */
    double whole;   /* Traces a second, sampled or not; smoothed. */
    double share;
    double target; /* 0: nobody has asked. */
    bool known;    /* whole is a number. */
    size_t service_size;
    size_t key_size;
    char key[]; /* Service, NUL, operation. */
};

struct root_rates {
    struct map operations;
};

struct root_rates *root_rates_new(void)
{
    struct root_rates *rates = calloc(1, sizeof(*rates));

    if (rates == NULL)
        must_memory(sizeof(*rates));
    return rates;
}

struct root_rates *root_rates_free(struct root_rates *rates)
{
    if (rates == NULL)
        return NULL;
    MAP_EACH (&rates->operations, entry) {
        free(entry->value);
    }
    map_done(&rates->operations);
    free(rates);
    return NULL;
}

static struct str cut(struct str text)
{
    return (struct str){text.data, text.size < NAME_MAX_BYTES ? text.size : NAME_MAX_BYTES};
}

/* NULL: it is not known, and not to be made or there are as many as may be. */
static struct root_rate *find(struct root_rates *rates, struct str service, struct str operation,
                              bool make)
{
    char key[2 * NAME_MAX_BYTES + 1];
    size_t size;

    service = cut(service);
    operation = cut(operation);
    size = service.size + 1 + operation.size;
    if (service.size > 0)
        memcpy(key, service.data, service.size);
    key[service.size] = '\0';
    if (operation.size > 0)
        memcpy(key + service.size + 1, operation.data, operation.size);
    struct root_rate *rate = map_get(&rates->operations, (struct str){key, size});
    if (rate != NULL || !make || rates->operations.count == ROOT_RATES_MAX)
        return rate;
    rate = calloc(1, sizeof(*rate) + size);
    if (rate == NULL)
        must_memory(sizeof(*rate) + size);
    memcpy(rate->key, key, size);
    rate->key_size = size;
    rate->service_size = service.size;
    rate->share = 1;
    (void)map_put(&rates->operations, (struct str){rate->key, size}, rate);
    return rate;
}

void root_rates_add(struct root_rates *rates, const struct span *spans, size_t count)
{
    static const uint8_t none[SPAN_ID_BYTES];

    for (size_t i = 0; i < count; i++) {
        if (memcmp(spans[i].parent_span_id, none, SPAN_ID_BYTES) != 0)
            continue;
        struct root_rate *rate = find(rates, spans[i].resource->service_name, spans[i].name, true);
        if (rate != NULL)
            rate->count++;
    }
}

/* A share that let nothing through tells nothing: it is opened step by step. */
static void turn(struct root_rate *rate, double seconds)
{
    double whole = (double)rate->count / seconds / rate->share;

    rate->whole = rate->known ? WEIGHT * whole + (1 - WEIGHT) * rate->whole : whole;
    rate->known = rate->known || rate->count > 0;
    rate->count = 0;
    if (rate->target <= 0)
        return;
    double share = rate->whole > 0 ? rate->target / rate->whole : rate->share * 2;
    if (share > rate->share * 10)
        share = rate->share * 10; /* Not everything at once. */
    rate->share = share > 1 ? 1 : share < SHARE_MIN ? SHARE_MIN : share;
}

void root_rates_turn(struct root_rates *rates, double seconds)
{
    if (seconds <= 0)
        return; /* The clock was set. */
    MAP_EACH (&rates->operations, entry) {
        turn(entry->value, seconds);
    }
}

double root_rates_share(struct root_rates *rates, struct str service, struct str operation,
                        double per_second)
{
    struct root_rate *rate = find(rates, service, operation, false);

    if (rate == NULL)
        return 1;
    if (rate->target <= 0 && rate->known && rate->whole > per_second && per_second > 0)
        rate->share = per_second / rate->whole; /* Asked for the first time. */
    rate->target = per_second;
    return per_second <= 0 ? 0 : rate->share;
}

void root_rates_each(const struct root_rates *rates, struct str service,
                     void (*visit)(void *self, struct str operation), void *self)
{
    service = cut(service);
    MAP_EACH (&rates->operations, entry) {
        const struct root_rate *rate = entry->value;
        struct str own = {rate->key, rate->service_size};
        if (str_eq(own, service))
            visit(self, (struct str){rate->key + rate->service_size + 1,
                                     rate->key_size - rate->service_size - 1});
    }
}
