/* SPDX-License-Identifier: Apache-2.0 */
/* A search takes minutes, so after each probe it says what that showed, and how much longer it may
 * take: a line for people, and one of JSON for programs. */
#include "base/clock.h"
#include "base/json.h"
#include "cli/load_capacity.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

/* " kept 780/s, broken 812/s": what of it is known. */
static void write_gap(const struct hunt *hunt, struct buf *out)
{
    struct capacity_answer answer = capacity_answer(&hunt->capacity);

    if (!isnan(answer.kept))
        buf_printf(out, "kept %s/s", rate_text(answer.kept).text);
    if (!isnan(answer.kept) && !isnan(answer.broken))
        buf_text(out, ", ");
    if (!isnan(answer.broken))
        buf_printf(out, "broken %s/s", rate_text(answer.broken).text);
}

static void write_time(const struct hunt *hunt, struct buf *out)
{
    buf_printf(out, "%.0f s of at most %.0f s", hunt_seconds(hunt),
               (double)hunt->limit_ns / (double)CLOCK_NS_PER_S);
}

const char *hunt_caption(const struct hunt *hunt, const struct capacity_probe *probe)
{
    struct buf text CLEANUP(buf_done) = {0};

    buf_printf(&text, "probe %zu, to %s: %s/s   ", hunt->steps_count + 1,
               capacity_phase_name(probe->phase), rate_text(probe->rate).text);
    write_gap(hunt, &text);
    buf_text(&text, hunt->steps_count == 0 ? "" : "   ");
    write_time(hunt, &text);
    return arena_printf(hunt->load->arena, "%s", buf_cstr(&text)); /* NULL: it is not shown. */
}

static void tell_person(const struct hunt *hunt, const struct capacity_step *step)
{
    struct buf gap CLEANUP(buf_done) = {0};
    struct buf time CLEANUP(buf_done) = {0};

    write_gap(hunt, &gap);
    write_time(hunt, &time);
    (void)fprintf(stderr, "%10s/s  %-7s  P99 %.1f ms  %s%s%s; %s\n", rate_text(step->rate).text,
                  step->limit == CAPACITY_LIMIT_NONE ? "kept" : "broken", step->p99_ms,
                  step->reason, step->reason[0] == '\0' ? "so far: " : "; so far: ", buf_cstr(&gap),
                  buf_cstr(&time));
}

static void tell_program(const struct hunt *hunt, const struct capacity_step *step)
{
    struct capacity_answer answer = capacity_answer(&hunt->capacity);
    struct buf line CLEANUP(buf_done) = {0};
    struct json json = json_begin(&line);

    json_open(&json, '{');
    json_put_u64(&json, "probe", hunt->steps_count);
    json_put_double(&json, "level", step->rate);
    json_put_text(&json, "phase", capacity_phase_name(hunt->phases[hunt->steps_count - 1]));
    json_put_bool(&json, "kept", step->limit == CAPACITY_LIMIT_NONE);
    json_put_text(&json, "reason", step->reason);
    json_put_double(&json, "highest_kept", answer.kept);
    json_put_double(&json, "lowest_broken", answer.broken);
    json_put_double(&json, "elapsed_s", hunt_seconds(hunt));
    json_put_double(&json, "within_s", (double)hunt->limit_ns / (double)CLOCK_NS_PER_S);
    json_close(&json, '}');
    buf_byte(&line, '\n');
    if (write(STDERR_FILENO, line.data, line.size) < 0)
        return; /* Nobody reads. */
}

void hunt_tell_step(const struct hunt *hunt, const struct capacity_step *step)
{
    if (hunt->load->tells)
        tell_program(hunt, step);
    else if (hunt->load->progress && hunt->load->view == NULL)
        tell_person(hunt, step);
}
