/* SPDX-License-Identifier: Apache-2.0 */
/* A round: spans first, for they wait in a bounded ring, then statistics, then counters and gauges.
 * The first post that fails ends the round, and the next one waits for the back-off.
 *
 * An answer of 429, 502, 503 or 504, or none, means "later". Any other refusal would be repeated
 * for ever, so the spans it was about are given up and counted; statistics are only told later. */
#include "client/sender.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static int64_t now_ms(void)
{
    return client_now_ns() / 1000000;
}

/* ---- One post. ---- */

enum outcome { TAKEN, LATER, REFUSED };

static bool is_later(int status)
{
    return status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

static void note_failure(struct sender *sender, const struct post_answer *answer)
{
    (void)pthread_mutex_lock(&sender->lock); /* Ours alone; cannot fail. */
    if (answer->status == 0)
        memcpy(sender->last_error, sender->post.error, sizeof(sender->last_error));
    else
        (void)snprintf(sender->last_error, sizeof(sender->last_error), "%.90s:%s answered %d",
                       sender->post.host, sender->post.port, answer->status); /* Fits. */
    (void)pthread_mutex_unlock(&sender->lock);                                /* Locked above. */
    int64_t wait_ms = sender->retry_ms;
    if (answer->retry_after_s >= 0) {
        wait_ms = answer->retry_after_s > RETRY_AFTER_MS_MAX / 1000 ? RETRY_AFTER_MS_MAX
                                                                    : answer->retry_after_s * 1000;
    }
    sender->retry_at_ms = now_ms() + wait_ms;
    sender->retry_ms = sender->retry_ms * 2 > RETRY_MS_MAX ? RETRY_MS_MAX : sender->retry_ms * 2;
}

static enum outcome post(struct sender *sender, const char *path, const struct wire *wire)
{
    (void)atomic_fetch_add(&sender->posts, 1); /* The count is all. */
    struct post_answer answer =
        post_send(&sender->post, path, wire->data, wire->size, SENDER_TIMEOUT_MS);
    bool taken = answer.status >= 200 && answer.status < 300;
    atomic_store(&sender->is_away, !taken);
    if (taken) {
        sender->retry_ms = RETRY_MS_MIN;
        return TAKEN;
    }
    (void)atomic_fetch_add(&sender->posts_failed, 1); /* The count is all. */
    note_failure(sender, &answer);
    return is_later(answer.status) ? LATER : REFUSED;
}

/* ---- A round. ---- */

/* Those that are there now: what ends meanwhile waits for the next round, or statistics would wait
 * for a busy program to pause. */
static bool send_spans(struct sender *sender)
{
    uint64_t end = atomic_load(&sender->ring.head);
    struct wire wire;

    while (atomic_load(&sender->ring.tail) < end) {
        uint64_t count = client_encode_spans(sender, &wire);
        if (count == 0) /* Claimed, and still being written. */
            return true;
        enum outcome outcome = post(sender, "/v1/traces", &wire);
        if (outcome == LATER)
            return false;
        (void)atomic_fetch_add(outcome == TAKEN ? &sender->spans_sent : &sender->spans_dropped,
                               count); /* The count is all. */
        client_ring_free(&sender->ring, count);
    }
    return true;
}

static void note_told(struct sender *sender, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        if (sender->next[i].time_ms != 0)
            memcpy(&sender->told[i], &sender->next[i], sizeof(sender->told[i]));
    }
}

static bool send_operations(struct sender *sender)
{
    struct wire wire;

    for (uint32_t at = 0; at < atomic_load(&sender->sonde->operation_names.count);) {
        uint32_t from = at;
        if (!client_encode_operations(sender, &wire, &at, now_ms()))
            continue;
        if (post(sender, "/v1/metrics", &wire) != TAKEN)
            return false;
        note_told(sender, from, at);
    }
    return true;
}

static bool send_round(struct sender *sender)
{
    struct wire wire;

    return send_spans(sender) && send_operations(sender) &&
           (!client_encode_values(sender, &wire) || post(sender, "/v1/metrics", &wire) == TAKEN);
}

/* ---- The thread. ---- */

static void wait_a_period(struct sender *sender)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until); /* Cannot fail with this clock. */
    until.tv_sec += SENDER_PERIOD_MS / 1000;
    while (!sender->stopping && sender->flushes_asked == sender->flushes_done &&
           pthread_cond_timedwait(&sender->wake, &sender->lock, &until) == 0)
        ;
}

static void *sender_main(void *argument)
{
    struct sender *sender = argument;
    bool stopping = false;

    (void)pthread_mutex_lock(&sender->lock); /* Ours alone; cannot fail. */
    while (!stopping) {
        wait_a_period(sender);
        stopping = sender->stopping;
        uint64_t asked = sender->flushes_asked;
        bool forced = asked != sender->flushes_done;
        (void)pthread_mutex_unlock(&sender->lock); /* Locked here. */
        bool sent = (forced || now_ms() >= sender->retry_at_ms) && send_round(sender);
        (void)pthread_mutex_lock(&sender->lock); /* Ours alone; cannot fail. */
        sender->flushed = sent;
        sender->flushes_done = asked;
        (void)pthread_cond_broadcast(&sender->done); /* Cannot fail. */
    }
    (void)pthread_mutex_unlock(&sender->lock); /* Locked here. */
    return NULL;
}

static void make_locks(struct sender *sender)
{
    pthread_condattr_t attributes;

    (void)pthread_mutex_init(&sender->lock, NULL); /* Cannot fail with these attributes. */
    (void)pthread_condattr_init(&attributes);      /* Likewise. */
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* Likewise. */
    (void)pthread_cond_init(&sender->wake, &attributes);           /* Likewise. */
    (void)pthread_cond_init(&sender->done, &attributes);           /* Likewise. */
    (void)pthread_condattr_destroy(&attributes);                   /* Likewise. */
}

struct sender *client_sender_new(struct sonde *sonde, const char *endpoint)
{
    struct sender *sender = mmap(NULL, sizeof(*sender), PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (sender == MAP_FAILED)
        return NULL;
    sender->sonde = sonde;
    sender->retry_ms = RETRY_MS_MIN;
    make_locks(sender);
    sender->is_bad = !post_init(&sender->post, endpoint);
    memcpy(sender->last_error, sender->post.error, sizeof(sender->last_error));
    return sender;
}

void client_sender_start(struct sender *sender)
{
    sigset_t all;
    sigset_t before;

    if (sender->runs || sender->is_bad || sender->stopping)
        return;
    (void)sigfillset(&all); /* Cannot fail. */
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return;
    sender->runs = pthread_create(&sender->thread, NULL, sender_main, sender) == 0;
    if (sender->runs)
        (void)pthread_setname_np(sender->thread, "sonde-sender"); /* Only a name. */
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);            /* As it was. */
}

void client_sender_stop(struct sender *sender)
{
    atomic_store(&sender->post.hurry, true);
    (void)pthread_mutex_lock(&sender->lock); /* Ours alone; cannot fail. */
    sender->stopping = true;
    (void)pthread_cond_signal(&sender->wake);  /* Cannot fail. */
    (void)pthread_mutex_unlock(&sender->lock); /* Locked above. */
    if (sender->runs)
        (void)pthread_join(sender->thread, NULL); /* Its own thread: cannot fail. */
    sender->runs = false;
}

void client_sender_free(struct sender *sender)
{
    post_hang_up(&sender->post);
    (void)munmap(sender, sizeof(*sender)); /* Mapped by us. */
}

void client_sender_forked(struct sender *sender)
{
    post_hang_up(&sender->post); /* The parent's connection goes on. */
    make_locks(sender);
    sender->runs = false;
    sender->stopping = false;
    sender->flushes_done = sender->flushes_asked;
    sender->retry_at_ms = 0;
    sender->retry_ms = RETRY_MS_MIN;
    atomic_store(&sender->spans_sent, 0);
    atomic_store(&sender->spans_dropped, 0);
    /* Private anonymous pages read as zero afterwards. */
    (void)madvise(&sender->ring, sizeof(*sender) - offsetof(struct sender, ring), MADV_DONTNEED);
}

bool sonde_flush(struct sonde *sonde, int64_t timeout_ms)
{
    struct timespec until;

    if (sonde == NULL || sonde->sender == NULL || sonde->sender->is_bad)
        return false;
    struct sender *sender = sonde->sender;
    (void)pthread_mutex_lock(&sonde->lock); /* Ours alone; cannot fail. */
    client_sender_start(sender);
    (void)pthread_mutex_unlock(&sonde->lock);     /* Locked above. */
    (void)clock_gettime(CLOCK_MONOTONIC, &until); /* Cannot fail with this clock. */
    int64_t end_ns = until.tv_nsec + (timeout_ms < 0 ? 0 : timeout_ms) % 1000 * 1000000;
    until.tv_sec += (timeout_ms < 0 ? 0 : timeout_ms) / 1000 + end_ns / 1000000000;
    until.tv_nsec = end_ns % 1000000000;
    (void)pthread_mutex_lock(&sender->lock); /* Ours alone; cannot fail. */
    uint64_t asked = ++sender->flushes_asked;
    (void)pthread_cond_signal(&sender->wake); /* Cannot fail. */
    while (sender->runs && sender->flushes_done < asked &&
           pthread_cond_timedwait(&sender->done, &sender->lock, &until) == 0)
        ;
    bool flushed = sender->flushes_done >= asked && sender->flushed;
    (void)pthread_mutex_unlock(&sender->lock); /* Locked above. */
    return flushed;
}

void sonde_read_delivery(struct sonde *sonde, struct sonde_delivery *ret_delivery)
{
    if (ret_delivery == NULL)
        return;
    *ret_delivery = (struct sonde_delivery){0};
    if (sonde == NULL || sonde->sender == NULL)
        return;
    struct sender *sender = sonde->sender;
    ret_delivery->posts = atomic_load(&sender->posts);
    ret_delivery->posts_failed = atomic_load(&sender->posts_failed);
    ret_delivery->spans_sent = atomic_load(&sender->spans_sent);
    ret_delivery->spans_dropped = atomic_load(&sender->spans_dropped);
    ret_delivery->spans_waiting = atomic_load(&sender->ring.head) - atomic_load(&sender->ring.tail);
    ret_delivery->is_away = atomic_load(&sender->is_away) || sender->is_bad;
    (void)pthread_mutex_lock(&sender->lock); /* Ours alone; cannot fail. */
    memcpy(ret_delivery->last_error, sender->last_error, sizeof(ret_delivery->last_error));
    (void)pthread_mutex_unlock(&sender->lock); /* Locked above. */
}
