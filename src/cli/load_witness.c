/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon that watches the target is asked, after the run, what it saw meanwhile: after a sweep
 * about the first level that broke, after a search for capacity about the lowest rate that did.
 *
 * One that was named (--daemon, SONDE_URL) is asked whatever the target is. Else one is looked for
 * at the usual address of this machine, and only asked about a target on this machine; where nobody
 * listens there, that costs one refused connection. */
#include "base/clock.h"
#include "base/json.h"
#include "cli/load.h"
#include "cli/remote.h"
#include "codec/json_tree.h"
#include "load/outcome_write.h"
#include "load/url.h"
#include "load/witness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define FOUND_TIMEOUT_MS 500   /* Nobody asked for that daemon, so nobody waits for it. */
#define NAMED_TIMEOUT_MS 10000 /* To be there. */
#define ASK_TIMEOUT_MS   60000
#define SPANS_WAIT_MS    7000 /* SDKs send every five seconds. */
#define LOOK_AGAIN_MS    500
#define SLO_SHARE_LEAST  0.9 /* Of the requests; else a level of a sweep is explained. */

enum { ANSWER_BYTES_MAX = 4 << 20, COUNT_BYTES_MAX = 64 << 10, PORT_DEFAULT = 7070 };

struct str load_daemon_url(const struct load *load)
{
    struct str told = options_text(load->invocation->options, LOAD_DAEMON);
    const char *variable = getenv("SONDE_URL");

    if (told.size > 0 && !str_eq(told, STR("none")))
        return told;
    return variable != NULL && variable[0] != '\0' ? str_of(variable) : STR(REMOTE_URL_DEFAULT);
}

/* ---- Is there one? ---- */

/* Does anybody listen at the usual place? */
static bool is_listening(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(PORT_DEFAULT),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    bool listens = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    (void)close(fd); /* Nothing was written. */
    return listens;
}

static enum err call_daemon(struct str url, const char *path, struct str json, int64_t timeout_ms,
                            size_t bytes_max, struct buf *answer, struct why *why)
{
    const struct remote_request request = {
        .url = url,
        .path = path,
        .json = json,
        .token = getenv("SONDE_TOKEN"),
        .timeout_ms = timeout_ms,
        .body_bytes_max = bytes_max,
    };
    int status;

    TRY(remote_ask(&request, &status, answer, why));
    return status == 200 ? ERR_NONE : remote_fail(status, buf_view(answer), why);
}

enum err load_witness_find(struct load *load, struct why *why)
{
    struct str told = options_text(load->invocation->options, LOAD_DAEMON);
    struct buf answer CLEANUP(buf_done) = {0};
    struct str url = load_daemon_url(load);
    const char *variable = getenv("SONDE_URL");
    struct why unheard = WHY_INIT;

    load->daemon = STR_NONE;
    load->daemon_is_named = told.size > 0 || (variable != NULL && variable[0] != '\0');
    if (str_eq(told, STR("none")) || (!load->daemon_is_named && !is_listening()))
        return ERR_NONE;
    enum err err = call_daemon(url, "/api/v1/load/runs?limit=1", STR_NONE,
                               load->daemon_is_named ? NAMED_TIMEOUT_MS : FOUND_TIMEOUT_MS,
                               ANSWER_BYTES_MAX, &answer, &unheard);
    if (err == ERR_NONE && str_starts(buf_view(&answer), STR("{\"runs\":")))
        load->daemon = url;
    if (load->daemon.size > 0 || told.size == 0)
        return ERR_NONE; /* SONDE_URL may be meant for other commands. */
    if (err == ERR_NONE)
        return fail(why, ERR_UPSTREAM, "--daemon: %.*s is no daemon of sonde", STR_ARG(url));
    *why = unheard;
    why_prefix(why, "--daemon");
    return err;
}

void load_witness_trace(const struct load *load, struct plan *plan)
{
    bool asked = options_bool(load->invocation->options, LOAD_TRACE);

    if (!asked && load->daemon.size == 0)
        return;
    plan->trace_run = trail_new_run();
    plan->trace_only_here = !asked && !load->daemon_is_named;
}

/* ---- Whose machine is it? ---- */

static bool is_loopback(struct str host)
{
    return str_eq_nocase(host, STR("localhost")) || str_starts(host, STR("127.")) ||
           str_eq(host, STR("::1"));
}

/* Is the target on the machine that the daemon watches? Names are compared as they were given. */
static bool is_beside(const struct plan *plan, struct str daemon, bool daemon_is_local)
{
    struct url url;

    if (daemon_is_local)
        return plan_is_local(plan);
    if (url_parse(daemon, &url, NULL) != ERR_NONE)
        return false;
    for (size_t i = 0; i < plan->origins_count; i++) {
        if (!str_eq_nocase(plan->origins[i]->host, url.host))
            return false;
    }
    return true;
}

/* ---- About what? ---- */

/* Did too few streams keep what --slo promises? It is no verdict, but worth an explanation. */
static bool breaks_slo(struct load_run *run)
{
    const struct stream_tally *streams = run->outcome.streams;
    uint64_t requests = run->outcome.total.requests;
    const struct slo *slo = &run->plan->slo;

    if (streams == NULL || requests == 0 || slo->ttft_ns + slo->tpot_ns + slo->e2e_ns == 0)
        return false;
    double share = (double)streams->good / (double)requests;
    if (share >= SLO_SHARE_LEAST)
        return false;
    run->judgement.failed_by =
        arena_printf(run->load->arena, "%.1f %% of the requests kept the promises of --slo",
                     share * 100); /* NULL: a reason less. */
    return true;
}

struct load_run *load_witness_choose(struct load_run *runs, size_t count)
{
    struct load_run *chosen = NULL;

    if (count == 1 && !runs[0].has_level)
        return &runs[0];
    for (size_t i = 0; i < count; i++) {
        struct load_run *run = &runs[i];
        if ((chosen == NULL || run->level < chosen->level) &&
            (run->judgement.failed || breaks_slo(run)))
            chosen = run;
    }
    return chosen;
}

/* ---- Asking. ---- */

static void nap(int64_t ms)
{
    struct timespec time = {ms / CLOCK_MS_PER_S, ms % CLOCK_MS_PER_S * CLOCK_NS_PER_MS};

    (void)nanosleep(&time, NULL); /* A signal may cut it short: then we look earlier. */
}

struct asking {
    const struct load_run *run;
    struct str report;
    const char *path; /* With where the two sides are. */
    struct arena *arena;
};

static double number_at(const struct node *root, const char *key)
{
    const struct node *node = node_get(root, key);
    double value;

    return node != NULL && node_double(node, &value, NULL) == ERR_NONE ? value : 0;
}

/* Are there spans that may still come? Where some of the run are there, until each answer has its
 * own; where none are and somebody sends spans, as long as a first batch may be on its way. */
static enum err is_waiting(const struct asking *asking, bool *ret_waits, struct why *why)
{
    const struct outcome *outcome = &asking->run->outcome;
    struct buf path CLEANUP(buf_done) = {0};
    struct buf answer CLEANUP(buf_done) = {0};
    const struct node *root;
    int64_t now_ms = clock_now_ms();

    buf_printf(&path, "%s&count=true", asking->path);
    TRY(call_daemon(asking->run->load->daemon, buf_cstr(&path), asking->report, ASK_TIMEOUT_MS,
                    COUNT_BYTES_MAX, &answer, why));
    TRY(json_read(buf_view(&answer), "the daemon's answer", COUNT_BYTES_MAX, asking->arena, &root,
                  why));
    double ours = number_at(root, "entry_spans");
    const struct node *senders = node_get(root, "has_senders");
    bool may_come = senders != NULL && str_eq(senders->text, STR("true"));
    *ret_waits = ours == 0 ? may_come && now_ms < outcome->started_ms + SPANS_WAIT_MS
                           : ours < (double)outcome->total.answers &&
                                 now_ms < outcome_ended_ms(outcome) + SPANS_WAIT_MS;
    return ERR_NONE;
}

static enum err wait_for_spans(const struct asking *asking, const atomic_int *interrupts,
                               struct why *why)
{
    int seen = atomic_load(interrupts);
    bool told = false;
    bool waits;

    for (;;) {
        TRY(is_waiting(asking, &waits, why));
        if (!waits || atomic_load(interrupts) > seen)
            break;
        if (asking->run->load->progress && !told)
            fprintf(stderr, "waiting for the target's traces …");
        told = asking->run->load->progress;
        nap(LOOK_AGAIN_MS);
    }
    if (told)
        fprintf(stderr, "\r\033[K");
    return ERR_NONE;
}

static enum err ask(struct load_run *run, const atomic_int *interrupts, struct why *why)
{
    struct load *load = run->load;
    struct buf report CLEANUP(buf_done) = {0};
    struct buf answer CLEANUP(buf_done) = {0};
    struct buf path CLEANUP(buf_done) = {0};
    struct witness *witness = NULL;
    struct url url;
    bool is_local = url_parse(load->daemon, &url, NULL) == ERR_NONE && is_loopback(url.host);

    outcome_write_json(&run->outcome, &run->judgement, &report);
    buf_printf(&path, "/api/v1/load/explain?here=%s&generator_here=%s",
               is_beside(run->plan, load->daemon, is_local) ? "true" : "false",
               is_local && !run->plan->is_elsewhere ? "true" : "false");
    const struct asking asking = {run, buf_view(&report), buf_cstr(&path), load->arena};
    /* Probes carry no ids unless told, but their spans are as late. */
    if (run->outcome.trail.run != 0 || run->probe_ns > 0)
        TRY(wait_for_spans(&asking, interrupts, why));
    TRY(call_daemon(load->daemon, asking.path, asking.report, ASK_TIMEOUT_MS, ANSWER_BYTES_MAX,
                    &answer, why));
    TRY(witness_read(buf_view(&answer), load->daemon, load->arena, &witness, why));
    run->judgement.witness = witness;
    witness_note(witness, &run->judgement);
    return ERR_NONE;
}

void load_witness_ask(struct load_run *run, const atomic_int *interrupts)
{
    struct load *load = run->load;
    struct why why = WHY_INIT;

    if (load->daemon.size == 0 || run->plan == NULL ||
        (!load->daemon_is_named && !plan_is_local(run->plan)))
        return;
    run->is_explained = true;
    if (ask(run, interrupts, &why) != ERR_NONE)
        judgement_note(&run->judgement, NOTE_INFO, "The daemon at %.*s did not say what it saw: %s",
                       STR_ARG(load->daemon), why.text);
}
