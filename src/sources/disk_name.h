/* SPDX-License-Identifier: Apache-2.0 */
/* disk_name - which lines of /proc/diskstats are disks of their own. Pure; any thread. */
#pragma once
#include "base/str.h"

/* False for ram0, loop1, fd0 and for partitions (sda1, hdb2, vdc3, xvda1, nvme0n1p2), which
 * node_exporter leaves out by default. */
bool disk_is_told(struct str name);
