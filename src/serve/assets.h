/* SPDX-License-Identifier: Apache-2.0 */
/* assets - the files of the dashboard, inside the binary.
 *
 * The table is made by tools/embed.py from web/assets.txt and lives as long as the program. Pure
 * functions; any thread. */
#pragma once
#include "base/str.h"

struct asset {
    struct str path;        /* "/assets/app.js"; NULL marks the end. */
    const char *media_type; /* With its charset. */
    const char *etag;       /* Quoted, from the hash of the plain bytes. */
    const unsigned char *gzip;
    size_t gzip_size;
    size_t plain_size;
    bool is_hashed; /* The URL names its content, so it may be kept for ever. */
};

extern const struct asset assets[]; /* Sorted by path. */
extern const size_t assets_count;

/* The asset of that path, or NULL. */
const struct asset *asset_find(struct str path);

/* What a browser's address bar may hold: the page itself for "/" and for the dashboard's own
 * addresses ("/processes"), which have no dot in their last segment. NULL when no page is
 * embedded, or when the path looks like a file or belongs to the API. */
const struct asset *asset_page(struct str path);
