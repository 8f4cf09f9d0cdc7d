/* SPDX-License-Identifier: Apache-2.0 */
/* slow_mount - asks for the space of a file system that may answer late or never, by a thread of
 * its own, so that who wants to know never waits.
 *
 * new, ask and free belong to one thread. A thread that hangs in the kernel cannot be ended: it is
 * left to itself and frees what it holds when it comes back. */
#pragma once
#include <stdbool.h>
#include <sys/statvfs.h>

#define SLOW_MOUNTS_MAX 64 /* Callers keep to it: each is a thread. */

struct slow_mount;

/* NULL when no thread could be started. */
struct slow_mount *slow_mount_new(const char *point);
struct slow_mount *slow_mount_free(struct slow_mount *mount); /* Always returns NULL. */

/* The last answer if it is from the last ten seconds, and asks again. False: no answer, an error,
 * or an answer too old. */
bool slow_mount_ask(struct slow_mount *mount, struct statvfs *ret_space);
