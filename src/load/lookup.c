/* SPDX-License-Identifier: Apache-2.0 */
/* getaddrinfo blocks, so it runs on a few threads of its own; a lookup is a job that comes back to
 * the driver's loop. */
#include "load/lookup.h"

#include "io/workers.h"
#include "load/driver.h"
#include "load/link.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, WAITING_MAX = 100000, HOST_BYTES = 256, PORT_BYTES = 8 };

struct lookup {
    struct job job;
    struct link *link;
    char host[HOST_BYTES];
    char port[PORT_BYTES];
    struct addresses *addresses; /* NULL: there is none. */
};

enum err lookup_open(struct driver *driver, struct why *why)
{
    return workers_open(&(struct workers_options){.loop = driver->loop,
                                                  .threads = THREADS,
                                                  .jobs_max = WAITING_MAX},
                        &driver->resolvers, why);
}

static void run(struct job *job)
{
    struct lookup *lookup = CONTAINER_OF(job, struct lookup, job);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;

    if (getaddrinfo(lookup->host, lookup->port, &hints, &found) != 0)
        return;
    lookup->addresses = calloc(1, sizeof(*lookup->addresses));
    if (lookup->addresses == NULL)
        must_memory(sizeof(*lookup->addresses));
    for (struct addrinfo *at = found; at != NULL && lookup->addresses->count < LINK_ADDRESSES_MAX;
         at = at->ai_next) {
        if (at->ai_addrlen <= sizeof(lookup->addresses->items[0]))
            memcpy(&lookup->addresses->items[lookup->addresses->count++], at->ai_addr,
                   at->ai_addrlen);
    }
    freeaddrinfo(found);
}

static void done(struct job *job)
{
    struct lookup *lookup = CONTAINER_OF(job, struct lookup, job);
    struct link *link = lookup->link;
    struct addresses *addresses = lookup->addresses;

    free(lookup);
    if (link->driver->closing)
        free(addresses);
    else
        link_resolved(link, addresses, FAULT_DNS);
}

bool lookup_begin(struct link *link)
{
    const struct origin *origin = link->origin;
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    struct str host = origin->connect_host.size > 0 ? origin->connect_host : origin->host;

    if (lookup == NULL)
        must_memory(sizeof(*lookup));
    lookup->link = link;
    lookup->job.run = run;
    lookup->job.done = done;
    (void)snprintf(lookup->host, sizeof(lookup->host), "%.*s",
                   STR_ARG(host)); /* url.c bounds it. */
    (void)snprintf(lookup->port, sizeof(lookup->port), "%u",
                   origin->connect_port > 0 ? origin->connect_port : origin->port);
    if (workers_submit(link->driver->resolvers, &lookup->job) == ERR_NONE)
        return true;
    free(lookup);
    return false;
}
