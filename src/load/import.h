/* SPDX-License-Identifier: Apache-2.0 */
/* import - scenario files out of what people have: a browser's recording (HAR 1.2), an OpenAPI
 * description (2.0, 3.0, 3.1; JSON or YAML), a curl command.
 *
 * Each appends a YAML text that scenario_read understands, for people to go on with. Sources are
 * foreign: what is not understood is refused with a sentence, or left out and said so in a comment.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* name is for messages. */
CHECKED enum err import_har(struct str source, const char *name, struct arena *arena,
                            struct buf *out, struct why *why);
CHECKED enum err import_openapi(struct str source, const char *name, struct arena *arena,
                                struct buf *out, struct why *why);

/* The words behind or with `curl`, or the command as a shell would read it: quotes, backslashes and
 * $'…', no variables. */
CHECKED enum err import_curl_words(const char *const *words, size_t count, struct buf *out,
                                   struct why *why);
CHECKED enum err import_curl_text(struct str command, struct arena *arena, struct buf *out,
                                  struct why *why);
