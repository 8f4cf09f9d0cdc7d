/* SPDX-License-Identifier: Apache-2.0 */
/* snappy - unpacks Snappy's block format, as Prometheus' remote write sends it. Any thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

/* Appends the unpacked bytes to out. ERR_TOO_LARGE: they would be more than limit_bytes, which the
 * first bytes tell, so that nothing is unpacked then. ERR_INVALID: it is no Snappy block. */
CHECKED enum err snappy_unpack(struct str packed, size_t limit_bytes, struct buf *out,
                               struct why *why);
