/* SPDX-License-Identifier: Apache-2.0 */
/* prompt - the requests of an LLM load: prompts and answers of wanted lengths, shared beginnings,
 * or recorded conversations, in the words of the API that is asked.
 *
 * Part of the plan: made before the run, read-only from then on. A word of a made-up prompt is
 * about one token for common tokenizers; what is reported is what the server counts. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "load/plan.h"

struct random;
struct session;

enum prompt_api { PROMPT_OPENAI, PROMPT_ANTHROPIC, PROMPT_OLLAMA };

enum length_kind { LENGTH_FIXED, LENGTH_UNIFORM, LENGTH_NORMAL, LENGTH_LOGNORMAL };

/* A number of tokens, drawn for each request. */
struct length {
    enum length_kind kind;
    double a; /* The length; the least; the mean; the median. */
    double b; /* The most; the deviation; sigma. */
};

/* "200", "uniform(100, 300)", "normal(512, 100)", "lognormal(300, 0.6)". */
CHECKED enum err length_parse(struct str text, struct length *ret_length, struct why *why);
uint64_t length_draw(const struct length *length, struct random *random); /* At least 1. */

struct talk; /* A recorded conversation. */

struct prompt {
    enum prompt_api api;
    struct str model;
    struct length input;
    struct length output;
    uint64_t prefix_tokens; /* How much of the beginning is shared, */
    uint64_t prefixes;      /* … and how many such beginnings there are. */
    struct str extra;       /* More fields for the body: JSON without the outer braces; or NONE. */
    struct data *rows;      /* Prompts or lengths from a file; NULL: made up. */
    ptrdiff_t row_prompt, row_input, row_output; /* Columns; -1: none. */
    const struct talk *talks;                    /* Recorded conversations; NULL: none. */
    size_t talks_count;
};

enum { PROMPT_TOKENS_MAX = 1000000, PROMPT_TALKS_MAX = 100000, PROMPT_TURNS_MAX = 1000 };

/* "openai", "anthropic", "ollama"; or what the path of a URL tells. */
bool prompt_api_parse(struct str name, enum prompt_api *ret_api);
enum prompt_api prompt_api_of_path(struct str path);
struct str prompt_api_path(enum prompt_api api); /* "/v1/messages" … */

/* JSON lines, each {"messages": [{"role": …, "content": …}, …]}: each user turn is a request with
 * all that was said before. ERR_INVALID tells the line. */
CHECKED enum err prompt_read_talks(struct plan *plan, const char *path, struct prompt *prompt,
                                   struct why *why);
/* Rows with a column `prompt`, or `input_tokens`, and perhaps `output_tokens`. */
CHECKED enum err prompt_read_rows(struct plan *plan, const char *path, struct prompt *prompt,
                                  struct why *why);
/* `extra` as a JSON map; ERR_INVALID: it is none. */
CHECKED enum err prompt_set_extra(struct plan *plan, struct str extra, struct prompt *prompt,
                                  struct why *why);
/* How many requests an iteration makes at most: the turns of the longest conversation, else 1. */
size_t prompt_turns_max(const struct prompt *prompt);
/* Has the user more to say in this iteration? Without conversations, once. */
bool prompt_has_turn(const struct prompt *prompt, const struct session *session);

/* Appends the body of the session's next request. */
void prompt_write(const struct prompt *prompt, struct session *session, struct random *random,
                  struct buf *out);
