/* SPDX-License-Identifier: Apache-2.0 */
/* port_owner - which process listens on a TCP port, as far as this user may see. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PORT_OWNER_NAME_BYTES 64

/* False when nobody listens there or the listener belongs to somebody whose files we may not see.
 */
bool port_owner_find(uint16_t port, pid_t *ret_pid, char name[PORT_OWNER_NAME_BYTES]);
