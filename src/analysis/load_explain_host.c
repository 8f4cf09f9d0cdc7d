/* SPDX-License-Identifier: Apache-2.0 */
/* The machine: utilisation, saturation and errors of each resource, during the run and before it.
 *
 * A resource that is much used is what a load is for; it is a finding only when work waited for it.
 * Bounds are those of health_checks.c where it has the same, on a shorter window: a run may last
 * seconds only. */
#include "analysis/load_explain_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "model/label.h"
#include "query/promql.h"

#include <assert.h>
#include <math.h>

#define PEAK_WINDOW_S    5 /* Of the peak; four samples of a second at least lie within. */
#define BEFORE_S_MIN     10
#define BEFORE_S_MAX     300
#define PEAK_STEPS_MAX   300
#define TIMEOUT_MS       10000
#define EXPR_BYTES_MAX   1024
#define CPU_FULL         0.90
#define CPU_WAITING      0.30
#define TASKS_A_CORE     1.5
#define STEAL            0.10
#define MEMORY_FULL      0.95
#define STALLED          0.05
#define SWAP_PAGES       250.0
#define IO_WAITING       0.30
#define DISK_BUSY        0.80
#define RETRANSMITTED    0.01
#define ONE_CORE_LEAST   0.90
#define ONE_CORE_MOST    1.10
#define PROCESS_CORE_MIN 0.01
#define MIB              1048576.0
#define GROWTH_RUN_MS    (INT64_C(60) * CLOCK_MS_PER_S) /* A shorter run shows no leak. */
#define GROWTH_BYTES     (16 * MIB)
#define GROWTH_FACTOR    1.1
#define GROWTH_STEADY    0.3 /* Each step has so much of an equal share at least. */

enum { GROWTH_LOOKS = 5 };

/* $o: this machine in braces, $i: the same behind another matcher; $w: the window. */
struct measure {
    const char *key;
    const char *title;
    const char *expr;
    const char *subject; /* Label that names the device. */
    enum load_unit unit;
};

enum {
    CPU,
    CPU_WAIT,
    RUNNABLE,
    CPU_STEAL,
    MEMORY,
    MEMORY_STALLED,
    SWAP,
    DISK,
    IO_WAIT,
    NETWORK,
    RETRANSMITS,
    OVERFLOWS,
    MEASURES
};

#define CORES "count(node_cpu_seconds_total{mode=\"idle\"$i})"

static const struct measure measures[MEASURES] = {
    [CPU] = {"cpu", "CPU in use",
             "1 - sum(rate(node_cpu_seconds_total{mode=~\"idle|iowait\"$i}[$w])) / " CORES, NULL,
             LOAD_RATIO},
    [CPU_WAIT] = {"cpu_waiting", "Time in which work waited for a core",
                  "max(rate(node_pressure_cpu_waiting_seconds_total$o[$w]))", NULL, LOAD_RATIO},
    [RUNNABLE] = {"runnable", "Tasks that ran or wanted to",
                  "max(avg_over_time(node_procs_running$o[$w]))", NULL, LOAD_COUNT},
    [CPU_STEAL] = {"steal", "CPU taken by the machine below",
                   "sum(rate(node_cpu_seconds_total{mode=\"steal\"$i}[$w])) / " CORES, NULL,
                   LOAD_RATIO},
    [MEMORY] = {"memory", "Memory in use",
                "max(1 - avg_over_time(node_memory_MemAvailable_bytes$o[$w]) / "
                "avg_over_time(node_memory_MemTotal_bytes$o[$w]))",
                NULL, LOAD_RATIO},
    [MEMORY_STALLED] = {"memory_stalled", "Time in which all waited for memory",
                        "max(rate(node_pressure_memory_stalled_seconds_total$o[$w]))", NULL,
                        LOAD_RATIO},
    [SWAP] = {"swap", "Pages swapped",
              "max(rate(node_vmstat_pswpin$o[$w]) + "
              "rate(node_vmstat_pswpout$o[$w]))",
              NULL, LOAD_RATE},
    [DISK] = {"disk", "Busiest disk", "topk(1, rate(node_disk_io_time_seconds_total$o[$w]))",
              "device", LOAD_RATIO},
    [IO_WAIT] = {"io_waiting", "Time in which work waited for disks",
                 "max(rate(node_pressure_io_waiting_seconds_total$o[$w]))", NULL, LOAD_RATIO},
    [NETWORK] = {"network", "Network, in and out",
                 "sum(rate(node_network_receive_bytes_total{device!=\"lo\"$i}[$w])) + "
                 "sum(rate(node_network_transmit_bytes_total{device!=\"lo\"$i}[$w]))",
                 NULL, LOAD_BYTES_RATE},
    [RETRANSMITS] = {"retransmits", "TCP segments sent again",
                     "max(rate(node_netstat_Tcp_RetransSegs$o[$w]) / "
                     "(rate(node_netstat_Tcp_OutSegs$o[$w]) > 0))",
                     NULL, LOAD_RATIO},
    [OVERFLOWS] = {"listen_overflows", "Connections turned away by full accept queues",
                   "max(rate(node_netstat_TcpExt_ListenOverflows$o[$w]))", NULL, LOAD_RATE},
};
static_assert(MEASURES <= LOAD_FIGURES_MAX, "figures have no room");

/* ---- Asking. ---- */

static void write_expr(const struct load_look *look, struct buf *out, const char *expr,
                       int64_t window_s)
{
    for (struct str rest = str_of(expr); rest.size > 0;) {
        ptrdiff_t at = str_find(rest, '$');
        size_t size = at < 0 ? rest.size : (size_t)at;
        buf_append(out, rest.data, size);
        if (at < 0)
            return;
        bool is_alone = rest.data[size + 1] == 'o';
        if (rest.data[size + 1] == 'w') {
            buf_printf(out, "%llds", (long long)window_s);
        } else if (look->facts->instance.size > 0) {
            buf_text(out, is_alone ? "{instance=" : ",instance=");
            json_str(out, look->facts->instance);
            buf_text(out, is_alone ? "}" : "");
        }
        rest = (struct str){rest.data + size + 2, rest.size - size - 2};
    }
}

struct moment {
    int64_t from_ms; /* Of steps; the same as at_ms where there is one only. */
    int64_t at_ms;
    int64_t step_ms;
    int64_t window_s;
};

static enum err ask(const struct load_look *look, const char *expr, const struct moment *moment,
                    struct promql_result *ret_result, struct why *why)
{
    CLEANUP(promql_freep) struct promql_expression *expression = NULL;
    struct buf text CLEANUP(buf_done) = {0};
    const struct promql_query query = {
        .source = look->view,
        .start_ms = moment->from_ms,
        .end_ms = moment->at_ms,
        .step_ms = moment->step_ms,
        .timeout_ms = TIMEOUT_MS,
        .arena = look->arena,
    };

    write_expr(look, &text, expr, moment->window_s);
    TRY(promql_parse(buf_view(&text), &expression, why));
    return moment->step_ms == 0 ? promql_eval_instant(expression, &query, ret_result, why)
                                : promql_eval_range(expression, &query, ret_result, why);
}

static double first_value(const struct promql_result *result)
{
    if (result->type == PROMQL_SCALAR)
        return result->scalar;
    return result->series_count > 0 && result->series[0].count > 0 ? result->series[0].values[0]
                                                                   : NAN;
}

static double highest(const struct promql_result *result)
{
    double most = NAN;

    for (size_t i = 0; i < result->series_count; i++) {
        for (size_t k = 0; k < result->series[i].count; k++)
            most = fmax(most, result->series[i].values[k]); /* fmax passes NAN by. */
    }
    return most;
}

/* ---- The stretches of time. ---- */

static int64_t seconds_up(int64_t ms)
{
    return (ms + CLOCK_MS_PER_S - 1) / CLOCK_MS_PER_S;
}

/* A short run is looked at through a window that reaches back a little, or it would hold no two
 * samples. */
static struct moment during(const struct load_facts *facts)
{
    int64_t window_s = seconds_up(facts->to_ms - facts->from_ms);

    return (struct moment){facts->to_ms, facts->to_ms, 0,
                           window_s < PEAK_WINDOW_S ? PEAK_WINDOW_S : window_s};
}

static struct moment peaks(const struct load_facts *facts)
{
    int64_t first_ms = facts->from_ms + PEAK_WINDOW_S * CLOCK_MS_PER_S;
    int64_t step_ms = (facts->to_ms - facts->from_ms) / PEAK_STEPS_MAX;

    return (struct moment){first_ms > facts->to_ms ? facts->to_ms : first_ms, facts->to_ms,
                           step_ms < CLOCK_MS_PER_S ? CLOCK_MS_PER_S : step_ms, PEAK_WINDOW_S};
}

static struct moment before(const struct load_facts *facts)
{
    int64_t window_s = seconds_up(facts->to_ms - facts->from_ms);
    int64_t at_ms = facts->from_ms - CLOCK_MS_PER_S;

    window_s = window_s < BEFORE_S_MIN ? BEFORE_S_MIN : window_s;
    return (struct moment){at_ms, at_ms, 0, window_s > BEFORE_S_MAX ? BEFORE_S_MAX : window_s};
}

/* ---- Figures. ---- */

static enum err read_figure(const struct load_look *look, const struct measure *measure,
                            struct why *why)
{
    const struct load_facts *facts = look->facts;
    const struct moment moments[] = {before(facts), during(facts), peaks(facts)};
    struct load_figure *figure = &look->explained->figures[look->explained->figures_count++];
    struct promql_result result;

    *figure = (struct load_figure){
        .key = measure->key, .title = measure->title, .unit = measure->unit, .subject = STR_NONE};
    TRY(ask(look, measure->expr, &moments[0], &result, why));
    figure->before = first_value(&result);
    TRY(ask(look, measure->expr, &moments[1], &result, why));
    figure->during = first_value(&result);
    if (measure->subject != NULL && result.series_count > 0)
        figure->subject = labels_get(result.series[0].labels, str_of(measure->subject));
    TRY(ask(look, measure->expr, &moments[2], &result, why));
    figure->peak = fmax(highest(&result), figure->during);
    return ERR_NONE;
}

static double value_of(const struct promql_result *result, struct str name)
{
    for (size_t i = 0; i < result->series_count; i++) {
        if (str_eq(labels_get(result->series[i].labels, STR("groupname")), name))
            return result->series[i].values[0];
    }
    return NAN;
}

static void judge_growth(const struct load_look *look, struct str name,
                         const double values[GROWTH_LOOKS])
{
    double first = values[0], last = values[GROWTH_LOOKS - 1];
    double steps_least = (last - first) / (GROWTH_LOOKS - 1) * GROWTH_STEADY;

    if (!(last - first >= GROWTH_BYTES) || last < first * GROWTH_FACTOR ||
        str_eq(name, STR("sonde")))
        return;
    for (size_t k = 1; k < GROWTH_LOOKS; k++) {
        if (!(values[k] - values[k - 1] >= steps_least))
            return;
    }
    double minutes = (double)(look->facts->to_ms - look->facts->from_ms) * 0.9 / 60000;
    struct load_finding finding = {.weight = 0.3};
    finding.finding = (struct finding){
        .id = load_text(look, "memory_grows:%.*s", STR_ARG(name)),
        .severity = SEVERITY_WARNING,
        .claim = load_text(look,
                           "Process %.*s grew all the time, from %.0f to %.0f MiB, %.1f MiB a "
                           "minute: it may leak.",
                           STR_ARG(name), first / MIB, last / MIB, (last - first) / MIB / minutes),
        .evidence =
            load_text(look, "Resident memory of all of that name at %d moments.", GROWTH_LOOKS),
        .next_step = STR("Run it for longer: what levels off is a cache, what does not is a leak."),
        .expr = load_text(look,
                          "namedprocess_namegroup_memory_bytes{memtype=\"resident\",groupname="
                          "\"%.*s\"}",
                          STR_ARG(name)),
        .confidence = 0.6,
    };
    load_finding_add(look, &finding);
}

static enum err read_processes(const struct load_look *look, struct why *why)
{
    static const char cpu[] = "sort_desc(sum by (groupname) "
                              "(rate(namedprocess_namegroup_cpu_seconds_total$o[$w])))";
    static const char memory[] =
        "sum by (groupname) (max_over_time(namedprocess_namegroup_memory_bytes{"
        "memtype=\"resident\"$i}[$w]))";
    static const char count[] =
        "sum by (groupname) (max_over_time(namedprocess_namegroup_num_procs$o[$w]))";
    const struct moment now = during(look->facts);
    const struct moment earlier = before(look->facts);
    struct load_explained *explained = look->explained;
    struct promql_result used, used_before, held, counted;

    TRY(ask(look, cpu, &now, &used, why));
    TRY(ask(look, cpu, &earlier, &used_before, why));
    TRY(ask(look, memory, &now, &held, why));
    TRY(ask(look, count, &now, &counted, why));
    for (size_t i = 0; i < used.series_count && explained->processes_count < LOAD_PROCESSES_MAX;
         i++) {
        struct str name = labels_get(used.series[i].labels, STR("groupname"));
        if (used.series[i].values[0] < PROCESS_CORE_MIN)
            break;
        explained->processes[explained->processes_count++] = (struct load_process){
            .name = name,
            .cores = used.series[i].values[0],
            .cores_before = value_of(&used_before, name),
            .memory_bytes = value_of(&held, name),
            .count = value_of(&counted, name),
        };
    }
    return ERR_NONE;
}

/* Memory of a process at the start, in the middle and at the end: what climbs all the way in a run
 * long enough is likely kept for good. */
static enum err read_growth(const struct load_look *look, struct why *why)
{
    static const char memory[] =
        "sum by (groupname) (avg_over_time("
        "namedprocess_namegroup_memory_bytes{memtype=\"resident\"$i}[$w]))";
    const struct load_facts *facts = look->facts;
    int64_t length_ms = facts->to_ms - facts->from_ms;
    struct promql_result results[GROWTH_LOOKS];

    if (length_ms < GROWTH_RUN_MS || !facts->is_here)
        return ERR_NONE;
    /* The first tenth fills caches and pools. */
    for (int64_t i = 0; i < GROWTH_LOOKS; i++) {
        int64_t at_ms =
            facts->from_ms + length_ms / 10 + length_ms * 9 / 10 * i / (GROWTH_LOOKS - 1);
        const struct moment moment = {at_ms, at_ms, 0, PEAK_WINDOW_S};
        TRY(ask(look, memory, &moment, &results[i], why));
    }
    for (size_t i = 0; i < results[0].series_count; i++) {
        struct str name = labels_get(results[0].series[i].labels, STR("groupname"));
        double values[GROWTH_LOOKS];
        for (size_t k = 0; k < GROWTH_LOOKS; k++)
            values[k] = value_of(&results[k], name);
        judge_growth(look, name, values);
    }
    return ERR_NONE;
}

/* ---- Findings. ---- */

static const struct load_figure *figure(const struct load_look *look, size_t measure)
{
    return &look->explained->figures[measure];
}

/* "process app used 1.8 cores, postgres 0.3"; what the generator itself used is told as that. */
static void write_users(const struct load_look *look, struct buf *out)
{
    double generator = look->facts->generator_cores;
    size_t told = 0;

    for (size_t i = 0; i < look->explained->processes_count && told < 3; i++) {
        const struct load_process *process = &look->explained->processes[i];
        double cores = process->cores;
        if (str_eq(process->name, STR("sonde"))) /* The generator, and perhaps a daemon. */
            cores -= generator;
        if (cores < (str_eq(process->name, STR("sonde")) ? 0.2 : 0.05))
            continue;
        buf_printf(out, "%s%.*s used %.1f %s", told == 0 ? "process " : ", ",
                   STR_ARG(process->name), cores, told == 0 ? "cores" : "");
        while (out->size > 0 && out->data[out->size - 1] == ' ')
            out->size--;
        told++;
    }
    if (generator >= 0.05)
        buf_printf(out, "%sthe generator itself %.1f", told == 0 ? "" : ", ", generator);
}

static int percent(double ratio)
{
    return ratio < 1 && ratio > 0.99 ? 99 : (int)lround(ratio * 100);
}

static void judge_cpu(const struct load_look *look)
{
    const struct load_figure *cpu = figure(look, CPU);
    const struct load_figure *wait = figure(look, CPU_WAIT);
    const struct load_figure *tasks = figure(look, RUNNABLE);
    double cores = look->explained->cores;
    struct buf users CLEANUP(buf_done) = {0};
    bool waits = wait->peak >= CPU_WAITING || tasks->peak >= TASKS_A_CORE * cores;

    if (!(cpu->peak >= CPU_FULL) || !waits)
        return;
    write_users(look, &users);
    /* A machine that was full before is so for another reason; still, the target went without. */
    bool was_full = cpu->before >= CPU_FULL;
    struct load_finding finding = {.weight = was_full ? cpu->during / 4 : cpu->during};
    finding.finding = (struct finding){
        .id = STR("cpu_saturated"),
        .severity = cpu->during >= CPU_FULL ? SEVERITY_CRITICAL : SEVERITY_WARNING,
        .claim = load_text(look,
                           "The host's CPU was saturated (%d %% of %.0f cores on average, %d %% at "
                           "its peak, run queue %.0f)%s: %.*s.",
                           percent(cpu->during), cores, percent(cpu->peak), tasks->peak,
                           was_full ? ", and was before the run" : "", STR_ARG(buf_view(&users))),
        .evidence =
            isnan(cpu->before)
                ? load_text(look, "Work waited for a core %d %% of the time.",
                            percent(isnan(wait->during) ? 0 : wait->during))
                : load_text(look,
                            "Work waited for a core %d %% of the time; before the run the "
                            "CPU was %d %% in use.",
                            percent(isnan(wait->during) ? 0 : wait->during), percent(cpu->before)),
        .next_step = was_full ? STR("End what else runs on that machine, then measure again.")
                     : look->facts->generator_cores > 0.25 * cores
                         ? STR("The generator takes part of the same cores: run it on another "
                               "machine to see what the target alone can do.")
                         : STR("Look at a profile of that process; or give it more cores."),
        .expr = STR("1 - avg(rate(node_cpu_seconds_total{mode=\"idle\"}[1m]))"),
        .confidence = 0.95,
    };
    load_finding_add(look, &finding);
}

/* A program with one thread of work ends at one core, however many there are. */
static void judge_single(const struct load_look *look)
{
    for (size_t i = 0; i < look->explained->processes_count; i++) {
        const struct load_process *process = &look->explained->processes[i];
        bool at_one = process->cores >= ONE_CORE_LEAST && process->cores <= ONE_CORE_MOST;
        if (!at_one || process->count != 1 || str_eq(process->name, STR("sonde")) ||
            !(look->explained->cores >= 2) ||
            (!isnan(process->cores_before) && process->cores_before > ONE_CORE_LEAST))
            continue;
        struct load_finding finding = {.weight = 0.9};
        finding.finding = (struct finding){
            .id = load_text(look, "one_core:%.*s", STR_ARG(process->name)),
            .severity = SEVERITY_WARNING,
            .claim = load_text(look,
                               "Process %.*s used %.2f cores, of %.0f: as one that works with a "
                               "single thread, it has no more to give.",
                               STR_ARG(process->name), process->cores, look->explained->cores),
            .evidence = STR("One process of that name, at one core for the whole run."),
            .next_step = STR("Run several workers of it, or look at a profile of what its thread "
                             "does."),
            .expr = load_text(look,
                              "rate(namedprocess_namegroup_cpu_seconds_total{groupname=\"%.*s\"}"
                              "[1m])",
                              STR_ARG(process->name)),
            .confidence = 0.8,
        };
        load_finding_add(look, &finding);
    }
}

static void add(const struct load_look *look, const char *id, double weight, struct str claim,
                const char *next_step, size_t measure)
{
    struct buf expr CLEANUP(buf_done) = {0};
    struct load_finding finding = {.weight = weight > 1 ? 1 : weight};

    write_expr(look, &expr, measures[measure].expr, 60);
    finding.finding = (struct finding){
        .id = str_of(id),
        .severity = SEVERITY_WARNING,
        .claim = claim,
        .evidence = isnan(figure(look, measure)->before)
                        ? STR("")
                        : load_text(look, "%s before the run: %.3g.", measures[measure].title,
                                    figure(look, measure)->before),
        .next_step = str_of(next_step),
        .expr = load_text(look, "%.*s", STR_ARG(buf_view(&expr))),
        .confidence = 0.9,
    };
    load_finding_add(look, &finding);
}

static void judge_memory(const struct load_look *look)
{
    const struct load_figure *memory = figure(look, MEMORY);
    const struct load_figure *stalled = figure(look, MEMORY_STALLED);
    const struct load_figure *swap = figure(look, SWAP);

    if (memory->peak >= MEMORY_FULL)
        add(look, "memory_short", memory->peak,
            load_text(look, "The host's memory was nearly used up: %d %%.", percent(memory->peak)),
            "See which process of the table grew, and give it less, or the machine more.", MEMORY);
    if (stalled->peak >= STALLED)
        add(look, "memory_pressure", stalled->peak,
            load_text(look, "Everything stood still for memory, %d %% of the time at its peak.",
                      percent(stalled->peak)),
            "The kernel is busy reclaiming pages: add memory, or run less at the same time.",
            MEMORY_STALLED);
    if (swap->peak >= SWAP_PAGES)
        add(look, "swapping", 0.5,
            load_text(look, "The host swapped: %.0f pages a second at its peak.", swap->peak),
            "Give the largest process less memory to work with, or the machine more.", SWAP);
}

static void judge_others(const struct load_look *look)
{
    const struct load_figure *steal = figure(look, CPU_STEAL);
    const struct load_figure *disk = figure(look, DISK);
    const struct load_figure *io = figure(look, IO_WAIT);
    const struct load_figure *again = figure(look, RETRANSMITS);
    const struct load_figure *turned = figure(look, OVERFLOWS);

    if (steal->during >= STEAL)
        add(look, "cpu_steal", steal->during,
            load_text(look, "The machine below took %d %% of this virtual machine's CPU away.",
                      percent(steal->during)),
            "Repeat the run at another time, or on a machine with cores of its own.", CPU_STEAL);
    if (io->peak >= IO_WAITING && disk->peak >= DISK_BUSY)
        add(look, "disk_saturated", io->during,
            load_text(look,
                      "Disk %.*s was saturated: %d %% busy at its peak, and work waited for it "
                      "%d %% of the time.",
                      STR_ARG(disk->subject), percent(disk->peak), percent(io->during)),
            "See which process reads or writes so much; cache it, or take a faster disk.", DISK);
    if (turned->peak > 0 && turned->during > 0)
        add(look, "listen_overflow", 0.6,
            load_text(look,
                      "The kernel turned connections away, %.1f a second: an accept queue was "
                      "full.",
                      turned->peak),
            "The server accepts too slowly: raise its backlog (and net.core.somaxconn), or give "
            "it more workers.",
            OVERFLOWS);
    if (again->during >= RETRANSMITTED && !(again->before > again->during / 2))
        add(look, "retransmits", again->during,
            load_text(look, "%.1f %% of the TCP segments had to be sent again.",
                      again->during * 100),
            "Packets are lost on the way: look at the interfaces' drops and at the path.",
            RETRANSMITS);
}

enum err load_look_host(const struct load_look *look, struct why *why)
{
    static const char cores[] = CORES;
    const struct moment now = during(look->facts);
    struct promql_result result;

    look->explained->before_from_ms =
        before(look->facts).at_ms - before(look->facts).window_s * CLOCK_MS_PER_S;
    TRY(ask(look, cores, &now, &result, why));
    look->explained->cores = first_value(&result);
    for (size_t i = 0; i < MEASURES; i++)
        TRY(read_figure(look, &measures[i], why));
    TRY(read_processes(look, why));
    TRY(read_growth(look, why));
    if (!look->facts->is_here)
        return ERR_NONE;
    judge_cpu(look);
    judge_single(look);
    judge_memory(look);
    judge_others(look);
    return ERR_NONE;
}
