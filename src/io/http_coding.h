/* SPDX-License-Identifier: Apache-2.0 */
/* http_coding - Content-Encoding: undoes gzip, deflate and zstd, makes gzip.
 *
 * The bound is on what comes out, so a small bomb stays small. Any thread; a compressor is used by
 * one thread at a time. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

/* "gzip", "x-gzip", "deflate", "zstd", "identity" or "". */
bool http_coding_is_known(struct str coding);

/* Writes the plain bytes to *ret_body, which is overwritten. ERR_UNSUPPORTED: unknown coding;
 * ERR_TOO_LARGE: more than bytes_max come out; ERR_INVALID: broken, cut short or followed by
 * something else. */
CHECKED enum err http_decode_body(struct str coding, struct str body, size_t bytes_max,
                                  struct buf *ret_body, struct why *why);

struct http_gzip; /* Holds about 256 KiB between uses. */

struct http_gzip *http_gzip_new(void);
struct http_gzip *http_gzip_free(struct http_gzip *gzip); /* Always returns NULL. */

/* Appends the compressed form; fast rather than small. */
void http_gzip_compress(struct http_gzip *gzip, struct str plain, struct buf *out);
