/* SPDX-License-Identifier: Apache-2.0 */
/* link_priv - what the two halves of a link ask of each other: link.c carries bytes and closes,
 * link_open.c opens. */
#pragma once
#include "load/link.h"

/* Something happened on it. */
void link_event(struct loop_watch *watch, uint32_t events);
/* The same while it opens. */
void link_open_on(struct link *link, uint32_t events);
/* Writes what waits. May fail the link. */
void link_flush(struct link *link);
/* The connection is gone; the lists stay. */
void link_drop(struct link *link);
/* Fails those who were on the link when it closed, and not those who join while this goes on. */
void link_fail_all(struct user_list users, enum fault fault);
