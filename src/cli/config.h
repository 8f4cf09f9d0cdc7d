/* SPDX-License-Identifier: Apache-2.0 */
/* config - what this daemon shall do: the settings with their origins, and the lists that have no
 * place in a table (collectors, scrape targets).
 *
 * Made from, weakest first: defaults, the profile, the file, the environment, flags. Everything
 * that is wrong is found in one go, not the first mistake only. One thread; read-only afterwards.
 */
#pragma once
#include "base/option.h"
#include "cli/settings.h"
#include "model/label.h"

#define CONFIG_COLLECTORS_MAX 256
#define CONFIG_TARGETS_MAX    256
#define CONFIG_WORDS_MAX      64
#define CONFIG_PROBLEMS_MAX   64

/* A program that prints Prometheus text, run again and again. */
struct config_collector {
    const char *name;
    const char *const *command; /* Program and arguments, ended by NULL. */
    int64_t period_ms;
    int64_t timeout_ms;
};

/* A page of Prometheus text, fetched again and again. */
struct config_target {
    struct str url;
    int64_t period_ms;
    int64_t timeout_ms;
    const struct label *labels;
    size_t labels_count;
};

struct config_problem {
    bool warning; /* Else the configuration cannot be used. */
    struct why why;
};

struct config {
    struct options *options; /* By enum setting. */
    struct arena *arena;     /* Of all that follows. */
    const char *path;        /* The file that was read, or NULL. */
    struct config_collector *collectors;
    size_t collectors_count;
    struct config_target *targets;
    size_t targets_count;
    struct config_problem *problems;
    size_t problems_count;
};

/* path: the file to read; NULL: SONDE_CONFIG, /etc/sonde/sonde.yaml or ~/.config/sonde/sonde.yaml,
 * or none. flags: options of which those set by a flag are taken over by name; may be NULL.
 * Always returns a config; what is wrong is in its problems. */
struct config *config_new(const char *path, const struct options *flags,
                          const char *const *environment);
struct config *config_free(struct config *config); /* Always returns NULL. */
void config_freep(struct config **config);         /* For CLEANUP. */

/* The first problem that is no warning, as an error. */
CHECKED enum err config_check(const struct config *config, struct why *why);

/* The data folder: the setting, or the default of this user. Lives as long as the config. */
const char *config_data_path(const struct config *config);

struct terminal;

/* A line each, with its next step, for people. */
void config_write_problems(const struct config *config, const struct terminal *terminal,
                           struct buf *out);

/* "/etc/sonde/sonde.yaml:12", "environment SONDE_LISTEN", "default". */
void config_write_origin(const struct config *config, size_t setting, struct buf *out);
