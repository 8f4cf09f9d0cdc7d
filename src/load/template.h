/* SPDX-License-Identifier: Apache-2.0 */
/* template - text with holes: "/items/${id}?page=${random(1, 9)}", taken apart once, filled in for
 * each request.
 *
 * A hole names a variable of the plan or a function: user, iteration, now (seconds since 1970),
 * now_ms, uuid, random(LOW, HIGH), choice(A|B|C), base64(TEXT with holes). "$${" is a plain "${".
 * Templates live in the plan's arena and are read-only; any thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "load/plan.h"

struct random;
struct session;

enum template_escape {
    TEMPLATE_PLAIN,
    TEMPLATE_JSON,  /* JSON: escaped within quotes; elsewhere a number or word bare, else a text. */
    TEMPLATE_VALUE, /* One JSON value. */
    TEMPLATE_URL,   /* Percent-encoded. */
    TEMPLATE_TARGET, /* Percent-encoded behind a question mark. */
};

struct template_piece;

struct template
{
    const struct template_piece *pieces;
    size_t count; /* 0: empty text. */
    bool changes; /* It has holes. */
};

/* ERR_INVALID: a hole without an end, an unknown name (with the nearest), bad arguments. */
CHECKED enum err template_compile(struct plan *plan, struct str text, enum template_escape escape,
                                  struct template *ret_template, struct why *why);

/* What a template without holes says; data NULL: the plan's arena is spent. */
struct str template_plain(const struct plan *plan, const struct template *template);
/* Appends text so that no hole is seen in it. */
void template_quote(struct str text, struct buf *out);

/* Appends the filled-in text. */
void template_write(const struct template *template, const struct session *session,
                    struct random *random, struct buf *out);

/* ---- Conditions: "${state} == done", "${count} < 10". ---- */

struct condition;

/* ==, !=, <, <=, >, >=; the latter four compare numbers, and nothing that is none holds. */
CHECKED enum err condition_compile(struct plan *plan, struct str text,
                                   const struct condition **ret_condition, struct why *why);
bool condition_holds(const struct condition *condition, const struct session *session,
                     struct random *random);
