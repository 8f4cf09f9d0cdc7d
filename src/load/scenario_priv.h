/* SPDX-License-Identifier: Apache-2.0 */
/* scenario_priv - what the readers of a scenario file share. */
#pragma once
#include "codec/node.h"
#include "load/scenario.h"

struct step;

/* What holds for all steps below. */
struct scenario_scope {
    struct plan *plan;
    const char *folder; /* Of the file, with a slash, or "". */
    struct str base;    /* What URLs without a host begin with; STR_NONE: there is none. */
    const struct node *headers;
    const struct node *auth;
    const char *prefix; /* Of step names: the scenario's, with a dot, when there are several. */
};

/* Puts the node's place before what went wrong. */
enum err scenario_at(const struct node *node, enum err err, struct why *why);
#define TRY_AT(node, expression) TRY(scenario_at((node), (expression), why))

/* A path as the file says it, beside the file. */
CHECKED enum err scenario_path(const struct scenario_scope *scope, const struct node *node,
                               const char **ret_path, struct why *why);

/* scenario_step: one request. */
CHECKED enum err scenario_step(const struct scenario_scope *scope, const struct node *node,
                               struct step **ret_step, struct why *why);
/* Its names: variables that extracts of the step, and of those within it, set. */
CHECKED enum err scenario_declare(struct plan *plan, const struct node *steps, struct why *why);

/* scenario_body: body, json, form, multipart or file. False: it has none. */
CHECKED enum err scenario_body(const struct scenario_scope *scope, const struct node *node,
                               struct step *step, bool *ret_is_json, struct why *why);
/* Appends to target what query says. */
CHECKED enum err scenario_query(const struct scenario_scope *scope, const struct node *query,
                                struct str *target, struct why *why);

/* scenario_answer: check and extract. */
CHECKED enum err scenario_checks(const struct scenario_scope *scope, const struct node *check,
                                 struct step *step, struct why *why);
CHECKED enum err scenario_extracts(const struct scenario_scope *scope, const struct node *extract,
                                   struct step *step, struct why *why);

/* scenario_llm: a step that asks a model. */
CHECKED enum err scenario_llm(const struct scenario_scope *scope, const struct node *node,
                              struct step *step, struct why *why);

/* Appends a step's header. */
CHECKED enum err scenario_header(const struct scenario_scope *scope, struct step *step,
                                 struct str name, struct str value, struct why *why);
