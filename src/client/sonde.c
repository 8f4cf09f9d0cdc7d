/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing, levels, and what a fork does.
 *
 * One mapping holds it all:   | struct sonde | lanes | histograms |
 * After fork the child's lanes and histograms are given back to the kernel (they read as zero
 * again) and its ticker starts with the first record, so no count is told twice and no lock is
 * inherited in a state that nobody will end. */
#include "client/sender.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef SONDE_VERSION
#define SONDE_VERSION "0.1.0"
#endif

enum { PAGE = 4096 };

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

const char *sonde_version(void)
{
    return SONDE_VERSION;
}

static size_t pages(size_t size)
{
    return (size + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static bool level_parse(const char *name, enum sonde_level *ret_level)
{
    static const char *const names[] = {"disabled", "basic", "standard", "detailed"};

    for (size_t i = 0; name != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            *ret_level = (enum sonde_level)i;
            return true;
        }
    }
    return false;
}

void sonde_options_init(struct sonde_options *options)
{
    if (options == NULL)
        return;
    *options = (struct sonde_options){
        .size = sizeof(*options), .level = SONDE_STANDARD, .sample_ratio = 1};
    (void)level_parse(getenv("SONDE_LEVEL"), &options->level); /* Else the default stays. */
    const char *ratio = getenv("SONDE_SAMPLE_RATIO");
    char *end = NULL;
    double value = ratio == NULL ? 1 : strtod(ratio, &end);
    if (end != NULL && end != ratio && *end == '\0' && value >= 0 && value <= 1)
        options->sample_ratio = value;
}

static void make_locks(struct sonde *sonde)
{
    pthread_condattr_t attributes;

    (void)pthread_mutex_init(&sonde->lock, NULL);         /* Cannot fail with these attributes. */
    (void)pthread_mutex_init(&sonde->tick_lock, NULL);    /* Likewise. */
    (void)pthread_mutex_init(&sonde->collect_lock, NULL); /* Likewise. */
    (void)pthread_condattr_init(&attributes);             /* Likewise. */
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* Likewise. */
    (void)pthread_cond_init(&sonde->tick_stop, &attributes);       /* Likewise. */
    (void)pthread_condattr_destroy(&attributes);                   /* Likewise. */
}

/* In the child, where only the forking thread lives on. */
static void child_after_fork(void)
{
    client_reseed();
    for (uint32_t i = 0; i < HANDLES_MAX; i++) {
        struct sonde *sonde = client_handle(i);
        if (sonde == NULL)
            continue;
        make_locks(sonde);
        client_forget_lanes(sonde);
        /* Private anonymous pages read as zero afterwards: empty lanes, empty histograms. */
        (void)madvise((char *)sonde->lanes, sonde->wiped_bytes, MADV_DONTNEED);
        if (sonde->sender != NULL)
            client_sender_forked(sonde->sender);
        sonde->ticker_runs = false;
        sonde->stopping = false;
        atomic_store(&sonde->ticker_wanted, false);
        atomic_store(&sonde->lanes_used, 0);
        atomic_store(&sonde->histograms_used, 0);
        sonde_reset(sonde);
    }
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, child_after_fork); /* Without memory: children keep counts. */
}

static const char *service_name(const struct sonde_options *options)
{
    if (options->service_name != NULL)
        return options->service_name;
    const char *from_environment = getenv("OTEL_SERVICE_NAME");
    return from_environment != NULL ? from_environment : program_invocation_short_name;
}

static struct sonde *map_handle(void)
{
    size_t handle_bytes = pages(sizeof(struct sonde));
    size_t lanes_bytes = pages(sizeof(struct lane) * SONDE_THREADS_MAX);
    size_t histograms_bytes = pages(sizeof(struct histogram) * HISTOGRAMS_MAX);
    size_t size = handle_bytes + lanes_bytes + histograms_bytes;

    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    struct sonde *sonde = (struct sonde *)memory;
    sonde->memory_bytes = size;
    sonde->wiped_bytes = lanes_bytes + histograms_bytes;
    sonde->lanes = (struct lane *)(memory + handle_bytes);
    sonde->histograms = (struct histogram *)(memory + handle_bytes + lanes_bytes);
    return sonde;
}

/* Without memory for it nothing is sent, and all else works. */
static void open_sender(struct sonde *sonde, const struct sonde_options *options)
{
    const char *endpoint = options->endpoint != NULL ? options->endpoint : getenv("SONDE_ENDPOINT");

    if (endpoint != NULL && endpoint[0] != '\0')
        sonde->sender = client_sender_new(sonde, endpoint);
}

struct sonde *sonde_open(const struct sonde_options *options)
{
    struct sonde_options defaults;

    if (options == NULL) {
        sonde_options_init(&defaults);
        options = &defaults;
    }
    if (options->size < offsetof(struct sonde_options, endpoint) ||
        options->size > sizeof(*options)) {
        errno = EINVAL;
        return NULL;
    }
    if (options->size < sizeof(*options)) { /* Of a program made with an older header. */
        sonde_options_init(&defaults);
        memcpy(&defaults, options, options->size);
        options = &defaults;
    }
    struct sonde *sonde = map_handle();
    if (sonde == NULL)
        return NULL;
    make_locks(sonde);
    atomic_store(&sonde->level, options->level);
    atomic_store(&sonde->epoch, 1); /* 0 is that of a histogram never used. */
    (void)strncpy(sonde->service_name, service_name(options), SONDE_NAME_BYTES_MAX); /* Cut. */
    sonde->promises = SLA_TARGETS_NONE;
    (void)sonde_operation(sonde, "other"); /* Index OTHER. */
    sonde->sample_ratio = options->sample_ratio;
    atomic_store(&sonde->since_unix_ns, client_unix_ns());
    open_sender(sonde, options);
    if (!client_register(sonde)) {
        if (sonde->sender != NULL)
            client_sender_free(sonde->sender);
        (void)munmap(sonde, sonde->memory_bytes); /* Just mapped. */
        errno = EMFILE;
        return NULL;
    }
    (void)pthread_once(&fork_once, watch_forks); /* watch_forks has no way to fail that matters. */
    return sonde;
}

void sonde_close(struct sonde *sonde)
{
    if (sonde == NULL)
        return;
    client_ticker_stop(sonde);
    if (sonde->sender != NULL)
        client_sender_stop(sonde->sender);
    client_forget_lanes(sonde);
    client_unregister(sonde);
    if (sonde->sender != NULL)
        client_sender_free(sonde->sender);
    for (uint32_t i = 0; i < SONDE_OPERATIONS_MAX; i++)
        free(sonde->operations[i].spill);
    (void)munmap(sonde, sonde->memory_bytes); /* Mapped by us. */
}

void sonde_set_level(struct sonde *sonde, enum sonde_level level)
{
    if (sonde == NULL || level < SONDE_DISABLED || level > SONDE_DETAILED)
        return;
    atomic_store(&sonde->level, level);
    (void)pthread_mutex_lock(&sonde->lock); /* Ours alone; cannot fail. */
    if (atomic_load(&sonde->lanes_used) > 0 || sonde->collector_count > 0)
        client_ticker_start(sonde);
    (void)pthread_mutex_unlock(&sonde->lock); /* Locked above. */
}

enum sonde_level sonde_get_level(const struct sonde *sonde)
{
    return sonde == NULL ? SONDE_DISABLED : (enum sonde_level)atomic_load(&sonde->level);
}

bool sonde_collect(struct sonde *sonde, sonde_collector collector, void *self)
{
    bool taken = false;

    if (sonde == NULL || collector == NULL)
        return false;
    (void)pthread_mutex_lock(&sonde->lock); /* Ours alone; cannot fail. */
    if (sonde->collector_count < SONDE_COLLECTORS_MAX) {
        sonde->collectors[sonde->collector_count++] = (struct collector){collector, self};
        client_ticker_start(sonde);
        taken = true;
    }
    (void)pthread_mutex_unlock(&sonde->lock); /* Locked above. */
    return taken;
}

void sonde_collect_stop(struct sonde *sonde, sonde_collector collector, void *self)
{
    if (sonde == NULL)
        return;
    (void)pthread_mutex_lock(&sonde->collect_lock); /* Ours alone; cannot fail. */
    (void)pthread_mutex_lock(&sonde->lock);         /* Likewise. */
    size_t kept = 0;
    for (size_t i = 0; i < sonde->collector_count; i++) {
        const struct collector *known = &sonde->collectors[i];
        if (known->collect != collector || known->self != self)
            sonde->collectors[kept++] = *known;
    }
    sonde->collector_count = kept;
    (void)pthread_mutex_unlock(&sonde->lock);         /* Locked above. */
    (void)pthread_mutex_unlock(&sonde->collect_lock); /* Likewise. */
}
