/* SPDX-License-Identifier: Apache-2.0 */
/* finding - one thing that an analysis holds to be true, said so that a person can act on it.
 *
 * Alerts, reports, the dashboard and language models all speak of findings, so a finding carries
 * its whole case: the claim, what it rests on, what to do next, and the question that shows it.
 * Plain data in the arena that was handed in. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum severity {
    SEVERITY_INFO,     /* Worth knowing; nothing is wrong. */
    SEVERITY_WARNING,  /* Will hurt, or hurts a little. */
    SEVERITY_CRITICAL, /* Hurts now. */
};

struct finding {
    struct str id; /* Stays the same as long as it is the same thing: "disk_full:/var". */
    enum severity severity;
    struct str claim;     /* One sentence in plain words. */
    struct str evidence;  /* The numbers behind it. */
    struct str next_step; /* What to do. */
    struct str expr;      /* PromQL that shows it. */
    double confidence;    /* 0 … 1. */
    int64_t since_ms;     /* When it was first found. */
};

#define FINDINGS_MAX 200

struct finding_list {
    struct finding items[FINDINGS_MAX];
    size_t count;
    size_t dropped_count; /* Over FINDINGS_MAX. */
};

const char *severity_name(enum severity severity); /* "critical" */

/* Appends, or counts as dropped. */
void finding_add(struct finding_list *list, const struct finding *finding);
/* Worst first; among equals the surer first, then by id. */
void finding_sort(struct finding_list *list);
/* The worst of the list: "ok" when there is nothing above info. */
const char *finding_status(const struct finding_list *list);
