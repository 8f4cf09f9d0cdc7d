/* SPDX-License-Identifier: Apache-2.0 */
/* trace - what the actions of `sonde trace` share: the options, asking, reading answers. One
 * thread.
 */
#pragma once
#include "base/arena.h"
#include "cli/command.h"
#include "codec/node.h"

enum {
    TRACE_OPTION_SERVICE,
    TRACE_OPTION_OPERATION,
    TRACE_OPTION_MIN_DURATION,
    TRACE_OPTION_MAX_DURATION,
    TRACE_OPTION_ERRORS,
    TRACE_OPTION_ATTRIBUTE,
    TRACE_OPTION_ORDER,
    TRACE_OPTION_RANGE,
    TRACE_OPTION_END,
    TRACE_OPTION_AT,
    TRACE_OPTION_LIMIT,
    TRACE_OPTION_ALL,
    TRACE_OPTION_URL,
    TRACE_OPTION_TOKEN,
    TRACE_OPTION_CA_FILE,
    TRACE_OPTIONS_COUNT
};

/* A question on its way: the path, "?", and parameters. */
struct trace_request {
    struct buf path;
    struct buf parameters;
};

void trace_request_init(struct trace_request *request, const char *path);
void trace_request_done(struct trace_request *request); /* For CLEANUP. */
void trace_request_add(struct trace_request *request, const char *name, struct str value);
void trace_request_add_time(struct trace_request *request, const char *name, int64_t time_ms);
void trace_request_add_count(struct trace_request *request, const char *name, int64_t count);
/* service, name, durations, errors and attributes as the flags say, and q when it is not empty. */
void trace_request_add_flags(struct trace_request *request, const struct invocation *invocation,
                             struct str query);

/* From and to: --range up to --end. ERR_INVALID. */
CHECKED enum err trace_range(const struct invocation *invocation, int64_t *ret_from_ms,
                             int64_t *ret_to_ms, struct why *why);

/* *ret_body is overwritten with the daemon's answer; a refusal is an error. */
CHECKED enum err trace_ask(const struct invocation *invocation, struct trace_request *request,
                           struct buf *ret_body, struct why *why);
CHECKED enum err trace_read(struct str body, struct arena *arena, const struct node **ret_root,
                            struct why *why);
/* The value under that key, or STR_NONE, 0, NAN when it is not there or null. */
struct str trace_text(const struct node *node, const char *key);
int64_t trace_integer(const struct node *node, const char *key);
double trace_number(const struct node *node, const char *key);

/* Up to 32 hexadecimal digits? */
bool trace_is_id(struct str text);

/* The argument behind the action, or STR_NONE. */
struct str trace_argument(const struct invocation *invocation, size_t index);

/* "80.3 ms" of ns; "-" for NAN. */
void trace_write_duration(struct buf *out, double ns);
/* Findings, told: mark, claim, evidence, next step. Returns how many are above info. */
size_t trace_tell_findings(const struct invocation *invocation, const struct node *findings,
                           struct buf *out);

/* The actions: trace_search.c, trace_show.c, trace_explain.c. */
enum exit_code trace_search_run(struct invocation *invocation);
enum exit_code trace_tail_run(struct invocation *invocation);
enum exit_code trace_show_run(struct invocation *invocation);
enum exit_code trace_explain_run(struct invocation *invocation);
enum exit_code trace_compare_run(struct invocation *invocation);
