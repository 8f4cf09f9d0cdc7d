/* SPDX-License-Identifier: Apache-2.0 */
/* import_priv - a request on its way into a scenario file. */
#pragma once
#include "io/http.h"
#include "load/import.h"

enum { DRAFT_HEADERS_MAX = 100, DRAFT_PARTS_MAX = 100 };

struct draft_part {
    struct str name;
    struct str value;
    bool is_file;
};

struct draft {
    struct str name; /* STR_NONE: none. */
    struct str method;
    struct str url; /* Whole, or a path behind base. */
    bool url_has_holes;
    struct http_header headers[DRAFT_HEADERS_MAX];
    size_t headers_count;
    struct http_header query[DRAFT_HEADERS_MAX]; /* Values may have holes. */
    size_t query_count;
    struct str body;
    bool body_is_file;
    struct str json; /* A body as JSON, which YAML reads too. */
    struct draft_part parts[DRAFT_PARTS_MAX];
    size_t parts_count;
    struct str user; /* "name:password". */
    unsigned status; /* That is expected; 0: none in particular. */
};

/* A text in quotes, as YAML and JSON read it; holes are made plain. */
void import_text(struct str text, struct buf *out);
void import_plain_text(struct str text, struct buf *out); /* The same with its holes. */
bool import_key_fits(struct str key);                     /* Can it be a key of a YAML map? */
/* A step of the list under `steps:`. ERR_UNSUPPORTED: the method has no word in scenarios. */
CHECKED enum err import_draft(const struct draft *draft, struct buf *out, struct why *why);
/* Where a URL's path begins: behind scheme and host. */
size_t import_host_size(struct str url);
/* Is it a field that the client makes by itself? */
bool import_is_own_field(struct str name);
