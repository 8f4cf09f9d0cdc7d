/* SPDX-License-Identifier: Apache-2.0 */
/* stream - reads a language model's answer as it comes: when each token chunk came, how many tokens
 * it says there were, and whether it came to its end.
 *
 * Understands, without being told which, OpenAI chat completions, completions and responses,
 * Anthropic messages (server-sent events) and Ollama chat and generate (JSON lines). Reasoning and
 * the arguments of tool calls are tokens too. Bytes are foreign: lines are bounded, and what is not
 * understood is no token. One thread. */
#pragma once
#include "base/buf.h"
#include "load/histogram.h"

enum { STREAM_LINE_BYTES_MAX = 4 << 20 };

struct stream {
    struct buf line;  /* The start of one that is cut off. */
    struct buf event; /* The last one with a token, empty: it had none. The next differs from it by
                         the token alone, so it need not be read again: */
    size_t before, after;      /* Bytes of it that stand around the token. */
    int64_t first_ns, last_ns; /* Of token chunks; 0: none yet. */
    uint64_t chunks;           /* With tokens. */
    /* As the server tells. */
    uint64_t tokens_in;
    uint64_t tokens_cached;        /* Of those. */
    uint64_t tokens_beside;        /* In, but not counted there: written to a cache, */
    uint64_t tokens_beside_cached; /* … or read from one. */
    uint64_t tokens_out;
    bool told;   /* It told how many came out. */
    bool ended;  /* Its last event was there. */
    bool failed; /* It told of an error. */
};

void stream_done(struct stream *stream);
void stream_begin(struct stream *stream); /* Empty again. */

/* Bytes of the body that came at now_ns. Gaps between token chunks go to gaps, unless it is NULL.
 * False: a line is longer than STREAM_LINE_BYTES_MAX. */
bool stream_feed(struct stream *stream, struct str bytes, int64_t now_ns, struct histogram *gaps);
/* The answer is complete: what is left is a line, or a whole JSON text. */
void stream_finish(struct stream *stream, int64_t now_ns, struct histogram *gaps);

uint64_t stream_tokens_in(const struct stream *stream);     /* All that went in. */
uint64_t stream_tokens_cached(const struct stream *stream); /* Of those, from a cache. */
/* Tokens that came out: as told, else one a chunk. */
uint64_t stream_tokens(const struct stream *stream);
