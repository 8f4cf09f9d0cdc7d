/* SPDX-License-Identifier: Apache-2.0 */
/* witness - what a daemon saw of the target while the load was put on it: its answer to
 * POST /api/v1/load/explain, and how reports tell it. In the arena; one thread. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct document;
struct judgement;
struct outcome;
struct witness;

/* json is the daemon's answer, url where it was asked. ERR_INVALID: it is no such answer. */
CHECKED enum err witness_read(struct str json, struct str url, struct arena *arena,
                              struct witness **ret_witness, struct why *why);

/* One object: the answer, and "daemon" in it. */
struct str witness_json(const struct witness *witness);
/* Its sentences for the verdict. */
void witness_note(const struct witness *witness, struct judgement *judgement);
/* A section of its own; at: the load that it is about, as " at 812/s", where there were several. */
void witness_document(const struct witness *witness, const char *at, struct document *document);
/* The slowest requests by trace id, with links where there is a witness; nothing without ids. */
void witness_document_slowest(const struct witness *witness, const struct outcome *outcome,
                              struct document *document);
