/* SPDX-License-Identifier: Apache-2.0 */
/* self_watch - the daemon looks at itself: once a period it asks every part for its numbers and
 * sends them down the road that everything goes. Loop thread only. */
#pragma once
#include "base/err.h"
#include "hub/self.h"

struct hub;
struct loop;
struct self_watch;
struct sources;
struct store;

struct self_watch_options {
    struct loop *loop;
    struct hub *hub;
    int64_t period_ms;
    const char *instance; /* Label of every series; NULL: the host's name. */
};

struct self_watch *self_watch_new(const struct self_watch_options *options);
struct self_watch *self_watch_free(struct self_watch *watch); /* Always returns NULL. */

/* Before the loop runs. */
void self_watch_add(struct self_watch *watch, self_part collect, void *part);
void self_watch_start(struct self_watch *watch);
void self_watch_stop(struct self_watch *watch);

/* Parts of those who see no hub. part is the process (NULL), a store, its exemplars, a
 * sources. */
CHECKED enum err self_process(void *part, struct self_report *report, struct why *why);
CHECKED enum err self_store(void *part, struct self_report *report, struct why *why);
CHECKED enum err self_exemplars(void *part, struct self_report *report, struct why *why);
CHECKED enum err self_sources(void *part, struct self_report *report, struct why *why);
