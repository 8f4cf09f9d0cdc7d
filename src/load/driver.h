/* SPDX-License-Identifier: Apache-2.0 */
/* driver - one thread of traffic: its loop, its share of the users, connections and arrivals, and
 * its tallies.
 *
 * Users and links are made before the run; while it runs nothing is allocated per request. The
 * thread that starts drivers may drain their tallies meanwhile (tally.h). */
#pragma once
#include "base/err.h"
#include "io/loop.h"
#include "load/backlog.h"
#include "load/link.h"
#include "load/pattern.h"
#include "load/plan.h"
#include "load/stream_tally.h"
#include "load/tally.h"
#include "load/trail.h"
#include "load/user.h"
#include "stats/random.h"

#include <pthread.h>
#include <stdatomic.h>

struct tls_client;
struct tls_peer;

enum { DRIVER_BUFFER_BYTES = 64 << 10 };

struct driver {
    /* The same for all. */
    const struct plan *plan;
    unsigned index;
    unsigned drivers; /* How many there are. */

    struct loop *loop;
    bool stamps;  /* The kernel tells when bytes came. */
    char *buffer; /* Where reads go. */
    struct head_memo heads[HEAD_MEMOS];
    struct buf scratch; /* Where changing requests are put together. */
    struct random random;
    struct random schedule;      /* The same for all drivers, everywhere: see draw_gap. */
    struct workers *resolvers;   /* NULL where names are resolved before the run. */
    bool closing;                /* The thread ends: what comes back is dropped. */
    struct tls_client *tls;      /* NULL where no origin wants TLS. */
    struct tls_peer **tls_peers; /* One for each origin. */

    struct user *users;
    uint32_t users_count;
    uint32_t users_wanted; /* Closed model: how many the pattern asks for now. */
    struct link *links;
    uint32_t links_count;
    struct user_list idle; /* Open model: users without an arrival. */
    uint32_t waiting;      /* Users that wait for an answer. */
    uint32_t iterating;    /* Users within an iteration. */

    /* Times, monotonic. */
    int64_t now_ns; /* Of the event under way: what is sent from within it is sent now. */
    int64_t start_ns;
    int64_t measured_from_ns; /* After the warm-up. */
    int64_t end_ns;           /* Of the pattern; earlier when stopped. */
    bool ending;
    bool finishing; /* … because all iterations asked for have been begun: they are finished. */

    /* Arrivals of the open model. */
    struct loop_timer arrival;
    double arrival_area; /* Of the next arrival, in the pattern. */
    int64_t arrival_ns;  /* Its intended start. */
    size_t pattern_hint;
    struct backlog backlog;

    struct loop_timer tick; /* Follows the pattern; ends the run. */
    struct loop_timer grace;
    uint64_t requests_left; /* Of the plan's requests_max, this driver's share. */
    bool counts_requests;

    /* Opening connections before the clock starts. */
    uint32_t opening_count;
    uint32_t opening_next;
    uint32_t opening;
    struct loop_task open_task;
    bool open_deferred;
    bool opened;

    struct tally *steps;          /* One for each step of the plan. */
    struct stream_tally *streams; /* The same; NULL where the plan has no streams. */
    struct tally *discarded;      /* What the warm-up and its answers count in. */
    struct tally_links *counts;
    struct trail trail; /* Ids of the steps that are traced, and the slowest by them. */

    pthread_t thread;
    bool thread_started;
    int64_t cpu_ns; /* Of the thread, over the measured time. */
    bool stop_at_once;
    atomic_uint *drivers_opened;
    atomic_uint *drivers_done;
    struct loop_task start_task;
    struct loop_task stop_task;
    enum err err;
    struct why why;
};

/* How many drivers carry out this machine's part of the plan. */
unsigned driver_count(const struct plan *plan);
/* Makes everything the driver needs; the thread is not started. */
CHECKED enum err driver_open(struct driver *driver, const struct plan *plan, unsigned index,
                             struct why *why);
void driver_close(struct driver *driver);

/* Starts the thread, which opens its connections first and then adds one to *drivers_opened. */
CHECKED enum err driver_start(struct driver *driver, struct why *why);
/* Any thread. The clock starts at start_ns, for all drivers alike. */
void driver_go(struct driver *driver, int64_t start_ns);
/* Any thread. No request is begun any more; those under way are waited for as the plan says, or
 * not at all. */
void driver_stop(struct driver *driver, bool at_once);
void driver_join(struct driver *driver);

/* ---- For users and links. ---- */

/* The number, over all threads of all machines, of this driver's thing number `index`. */
static inline uint32_t driver_number(const struct driver *driver, uint32_t index)
{
    const struct plan *plan = driver->plan;

    return (index * driver->drivers + driver->index) * plan->parts + plan->part;
}

/* The user's iteration is over. */
void driver_user_free(struct driver *driver, struct user *user, int64_t now_ns);
/* Where the user's request counts: its step's tally, or where nobody looks during the warm-up. */
static inline struct tally *driver_tally(struct driver *driver, const struct user *user)
{
    return user->intended_ns >= driver->measured_from_ns ? &driver->steps[user->step->index]
                                                         : driver->discarded;
}
/* The same for its token stream; NULL during the warm-up. */
static inline struct stream_tally *driver_streams(struct driver *driver, const struct user *user)
{
    return user->intended_ns >= driver->measured_from_ns ? &driver->streams[user->step->index]
                                                         : NULL;
}
/* A connection was made, or could not be: the next of those still to be opened has its turn. */
void driver_link_opened(struct driver *driver);
/* The connection is given up for another address, which keeps its turn. */
void driver_link_opening_again(struct driver *driver);
