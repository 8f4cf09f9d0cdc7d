/* SPDX-License-Identifier: Apache-2.0 */
/* Names become indices. Looking up takes a hash and a probe without a lock; a new name takes the
 * handle's lock. Names are never removed, so an index stays good as long as the handle. */
#include "client/client_priv.h"

#include <string.h>

static _Atomic(struct sonde *) handles[HANDLES_MAX];

int client_register(struct sonde *sonde)
{
    static _Atomic uint64_t last_id;

    sonde->id = atomic_fetch_add(&last_id, 1) + 1;
    for (uint32_t i = 0; i < HANDLES_MAX; i++) {
        struct sonde *expected = NULL;
        sonde->index = i;
        if (atomic_compare_exchange_strong(&handles[i], &expected, sonde))
            return true;
    }
    return false;
}

void client_unregister(struct sonde *sonde)
{
    atomic_store(&handles[sonde->index], NULL);
}

struct sonde *client_handle(uint32_t index)
{
    return atomic_load(&handles[index]);
}

static uint32_t hash_of(const char *name, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)name[i]) * UINT64_C(0x100000001b3);
    return (uint32_t)(hash ^ (hash >> 32));
}

size_t client_cut(const char *text, size_t limit)
{
    size_t size = strnlen(text, limit + 1);

    if (size <= limit)
        return size;
    size = limit;
    while (size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80)
        size--;
    return size;
}

/* The name as it is kept. */
static size_t kept_size(struct sonde *sonde, const char *name)
{
    size_t size = client_cut(name, SONDE_NAME_BYTES_MAX);

    if (name[size] != '\0')
        (void)atomic_fetch_add(&sonde->names_cut, 1); /* The count is all. */
    return size;
}

/* What the three kinds of names have in common; name_at gives the NUL-ended name of an index. */
struct kind {
    struct names *names;
    uint32_t limit;
    const char *(*name_at)(struct sonde *sonde, uint32_t index);
    void (*make)(struct sonde *sonde, uint32_t index, const char *name, size_t size);
};

/* The index of the name, or `limit` with *ret_place at the free place where it would stand. */
static uint32_t probe(struct sonde *sonde, const struct kind *kind, const char *name, size_t size,
                      uint32_t *ret_place)
{
    uint32_t place = hash_of(name, size) % TABLE_SIZE;

    for (;; place = (place + 1) % TABLE_SIZE) {
        uint32_t entry = atomic_load_explicit(&kind->names->places[place], memory_order_acquire);
        if (entry == 0)
            break;
        const char *known = kind->name_at(sonde, entry - 1);
        if (strncmp(known, name, size) == 0 && known[size] == '\0')
            return entry - 1;
    }
    *ret_place = place;
    return kind->limit;
}

/* The index of the name, made when new; `limit` when there is no room. */
static uint32_t find(struct sonde *sonde, const struct kind *kind, const char *name)
{
    size_t size = kept_size(sonde, name);
    uint32_t place;
    uint32_t index = probe(sonde, kind, name, size, &place);

    if (index < kind->limit || atomic_load(&kind->names->count) >= kind->limit)
        return index;
    (void)pthread_mutex_lock(&sonde->lock);         /* Ours alone; cannot fail. */
    index = probe(sonde, kind, name, size, &place); /* Somebody may have been quicker. */
    uint32_t count = atomic_load(&kind->names->count);
    if (index == kind->limit && count < kind->limit) {
        index = count;
        kind->make(sonde, index, name, size);
        atomic_store_explicit(&kind->names->places[place], index + 1, memory_order_release);
        atomic_store_explicit(&kind->names->count, count + 1, memory_order_release);
    }
    (void)pthread_mutex_unlock(&sonde->lock); /* Locked above. */
    return index;
}

static void keep_name(char *place, const char *name, size_t size)
{
    memcpy(place, name, size);
    place[size] = '\0';
}

static const char *operation_name_at(struct sonde *sonde, uint32_t index)
{
    return sonde->operations[index].name;
}

static void operation_make(struct sonde *sonde, uint32_t index, const char *name, size_t size)
{
    struct sonde_operation *operation = &sonde->operations[index];

    operation->sonde = sonde;
    operation->index = index;
    operation->name_size = (uint32_t)size;
    operation->promises = SLA_TARGETS_NONE;
    atomic_flag_clear(&operation->slowest_busy);
    keep_name(operation->name, name, size);
}

struct sonde_operation *sonde_operation(struct sonde *sonde, const char *name)
{
    if (sonde == NULL || name == NULL)
        return NULL;
    const struct kind kind = {&sonde->operation_names, SONDE_OPERATIONS_MAX, operation_name_at,
                              operation_make};
    uint32_t index = find(sonde, &kind, name);
    if (index == SONDE_OPERATIONS_MAX) {
        (void)atomic_fetch_add(&sonde->names_shared, 1); /* The count is all. */
        index = OTHER;
    }
    return &sonde->operations[index];
}

const char *sonde_operation_name(const struct sonde_operation *operation)
{
    return operation == NULL ? "" : operation->name;
}

size_t sonde_operations(struct sonde *sonde, struct sonde_operation **ret_operations,
                        size_t capacity)
{
    size_t count = 0;

    if (sonde == NULL)
        return 0;
    uint32_t known = atomic_load(&sonde->operation_names.count);
    for (uint32_t i = 0; i < known; i++) {
        if (client_count(sonde, i, NULL) == 0)
            continue;
        if (count < capacity && ret_operations != NULL)
            ret_operations[count] = &sonde->operations[i];
        count++;
    }
    return count;
}

static const char *counter_name_at(struct sonde *sonde, uint32_t index)
{
    return sonde->counters[index].name;
}

static void counter_make(struct sonde *sonde, uint32_t index, const char *name, size_t size)
{
    keep_name(sonde->counters[index].name, name, size);
}

struct sonde_counter *sonde_counter(struct sonde *sonde, const char *name)
{
    if (sonde == NULL || name == NULL)
        return NULL;
    const struct kind kind = {&sonde->counter_names, VALUES_MAX, counter_name_at, counter_make};
    uint32_t index = find(sonde, &kind, name);
    return index == VALUES_MAX ? NULL : &sonde->counters[index];
}

static const char *gauge_name_at(struct sonde *sonde, uint32_t index)
{
    return sonde->gauges[index].name;
}

static void gauge_make(struct sonde *sonde, uint32_t index, const char *name, size_t size)
{
    keep_name(sonde->gauges[index].name, name, size);
}

struct sonde_gauge *sonde_gauge(struct sonde *sonde, const char *name)
{
    if (sonde == NULL || name == NULL)
        return NULL;
    const struct kind kind = {&sonde->gauge_names, VALUES_MAX, gauge_name_at, gauge_make};
    uint32_t index = find(sonde, &kind, name);
    return index == VALUES_MAX ? NULL : &sonde->gauges[index];
}

void sonde_count_add(struct sonde_counter *counter, uint64_t amount)
{
    if (counter != NULL)
        (void)atomic_fetch_add_explicit(&counter->value, amount, memory_order_relaxed); /* Old. */
}

uint64_t sonde_count_value(const struct sonde_counter *counter)
{
    return counter == NULL ? 0 : atomic_load_explicit(&counter->value, memory_order_relaxed);
}

void sonde_gauge_set(struct sonde_gauge *gauge, double value)
{
    if (gauge != NULL)
        atomic_store_explicit(&gauge->value, value, memory_order_relaxed);
}

double sonde_gauge_value(const struct sonde_gauge *gauge)
{
    return gauge == NULL ? 0 : atomic_load_explicit(&gauge->value, memory_order_relaxed);
}
