/* SPDX-License-Identifier: Apache-2.0 */
/* `--agents`: what the command line and the files say is packed for the machines that carry it out;
 * without it the run is made here. */
#include "base/file.h"
#include "cli/load.h"
#include "io/sealed.h"
#include "load/agents.h"
#include "load/parcel.h"
#include "sonde_version.h"

#include <stdlib.h>
#include <string.h>

enum { SECRET_BYTES_MAX = 4096 };

/* ---- The secret. ---- */

enum err load_read_secret(const struct load *load, struct buf *out, struct why *why)
{
    const char *name = options_cstr(load->invocation->options, LOAD_TOKEN);

    buf_clear(out);
    if (name == NULL)
        return ERR_NONE;
    if (strchr(name, '/') != NULL) {
        TRY(file_read(name, SECRET_BYTES_MAX, out, why));
    } else {
        const char *value = getenv(name);
        if (value == NULL) {
            enum err err = fail(why, ERR_INVALID, "--token-from: the variable %s is not set", name);
            hint(why, "a file is named with a slash in it: ./%s", name);
            return err;
        }
        buf_text(out, value);
    }
    struct str secret = str_trim(buf_view(out));
    if (secret.size < SEALED_SECRET_MIN) {
        enum err err = fail(why, ERR_INVALID,
                            "--token-from: the secret in %s is shorter than %d "
                            "characters",
                            name, SEALED_SECRET_MIN);
        hint(why, "`openssl rand -hex 16` makes a good one");
        return err;
    }
    memmove(out->data, secret.data, secret.size);
    out->size = secret.size;
    return ERR_NONE;
}

static struct agents_options options_of(const struct load *load)
{
    struct agents_options options = {.secret = buf_view(&load->secret),
                                     .version = STR(SONDE_VERSION)};

    options.count = options_list(load->invocation->options, LOAD_AGENTS, &options.names);
    return options;
}

enum err load_agents_check(struct load *load, struct why *why)
{
    const struct agents_options options = options_of(load);

    if (options.count == 0)
        return ERR_NONE;
    TRY(load_read_secret(load, &load->secret, why));
    return agents_check(&options, why);
}

/* ---- Packing. ---- */

/* What matters only where the report is made, or goes as a figure of the plan. */
static bool stays_here(enum load_option option)
{
    static const enum load_option stay[] = {
        LOAD_CRITERION, LOAD_ABORT,  LOAD_SWEEP_RATE, LOAD_SWEEP_USERS, LOAD_CAPACITY,
        LOAD_AGENTS,    LOAD_LISTEN, LOAD_TOKEN,      LOAD_REPORT,      LOAD_KEEP,
        LOAD_PROGRESS,  LOAD_QUIET,  LOAD_DAEMON,     LOAD_TRACE,       LOAD_SEED,
    };

    for (size_t i = 0; i < ARRAY_COUNT(stay); i++) {
        if (stay[i] == option)
            return true;
    }
    return false;
}

static enum err pack_option(const struct load *load, enum load_option option, struct parcel *parcel,
                            struct why *why)
{
    const struct options *options = load->invocation->options;
    const struct option_row *row = options_row(options, option);
    struct buf text CLEANUP(buf_done) = {0};
    const struct str *items;

    if (row->type == OPTION_LIST) {
        size_t count = options_list(options, option, &items);
        for (size_t i = 0; i < count; i++)
            TRY(parcel_put(parcel, PARCEL_ITEM, str_of(row->name), items[i], why));
        return ERR_NONE;
    }
    options_write(options, option, &text);
    return parcel_put(parcel, PARCEL_SETTING, str_of(row->name), buf_view(&text), why);
}

enum err load_pack(struct load_run *run, struct why *why)
{
    const struct load *load = run->load;
    const struct agents_options agents = options_of(load);

    if (agents.count == 0)
        return ERR_NONE;
    run->parcel = parcel_new();
    run->parcel->figures = (struct parcel_figures){
        .target = load->target,
        .level_kind = !run->has_level      ? 0
                      : run->level_is_rate ? 2
                                           : 1,
        .level = run->level,
        .probe_ns = (uint64_t)run->probe_ns,
        .connections = run->probe_connections,
        .parts = agents.count,
    };
    TRY(parcel_put(run->parcel, PARCEL_SETTING, STR(""), str_of(load->where), why));
    for (size_t i = 0; i < LOAD_OPTIONS_COUNT; i++) {
        if (load_is_told(load, (enum load_option)i) && !stays_here((enum load_option)i))
            TRY(pack_option(load, (enum load_option)i, run->parcel, why));
    }
    run->plan->parcel = run->parcel;
    run->plan->parts = (unsigned)agents.count;
    run->plan->is_elsewhere = true;
    return ERR_NONE;
}

enum err load_unpack(const struct parcel *parcel, struct options *options, const char **ret_where,
                     struct why *why)
{
    const struct option_origin origin = {.source = OPTION_FROM_FLAG};
    const struct parcel_item *where = parcel_find(parcel, PARCEL_SETTING, STR(""));

    if (where == NULL)
        return fail(why, ERR_CORRUPT, "the plan that came has no target");
    *ret_where = where->text.data;
    for (size_t i = 0; i < parcel->items_count; i++) {
        const struct parcel_item *item = &parcel->items[i];
        struct str items[PARCEL_LIST_MAX];
        size_t count = 0;
        if (item == where || (item->kind != PARCEL_SETTING && item->kind != PARCEL_ITEM))
            continue;
        ptrdiff_t index = options_find(options, item->name);
        if (index < 0 || stays_here((enum load_option)index))
            return fail(why, ERR_CORRUPT, "the plan that came says '%.*s', which is nothing",
                        STR_ARG(item->name));
        if (item->kind == PARCEL_SETTING) {
            TRY(options_set(options, (size_t)index, item->text, &origin, why));
            continue;
        }
        for (size_t k = 0; k < parcel->items_count && count < PARCEL_LIST_MAX; k++) {
            if (parcel->items[k].kind == PARCEL_ITEM && str_eq(parcel->items[k].name, item->name))
                items[count++] = parcel->items[k].text;
        }
        TRY(options_set_list(options, (size_t)index, items, count, &origin, why));
    }
    return ERR_NONE;
}

/* ---- Running. ---- */

enum err load_engine_run(struct load_run *run, const struct engine_watch *watch, struct why *why)
{
    const struct agents_options agents = options_of(run->load);

    if (agents.count == 0)
        return engine_run(run->plan, watch, &run->outcome, why);
    return agents_run(&agents, run->plan, run->parcel, watch, &run->outcome, why);
}
