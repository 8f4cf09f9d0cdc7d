/* SPDX-License-Identifier: Apache-2.0 */
/* service - what a daemon says to systemd, and what it asks of the system for itself.
 *
 * Outside systemd (no NOTIFY_SOCKET) saying is nothing. One thread. */
#pragma once
#include <stdint.h>

/* "READY=1", "STOPPING=1", "RELOADING=1\nMONOTONIC_USEC=…", several lines at once. A supervisor
 * that cannot be reached is none of our business. */
void service_notify(const char *state);

/* How often the supervisor wants to hear WATCHDOG=1, in nanoseconds; 0: not at all. */
int64_t service_watchdog_ns(void);

/* As many descriptors as the hard limit allows, and an allocator that gives memory back: few
 * arenas, early trimming. Before threads start. */
void service_prepare(void);
