/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file is a map; nested keys are joined with dots and looked up among the settings:
 *
 *     retention:
 *       raw: 30d          retention.raw
 *
 * Two keys are lists of their own shape, `collectors` and `scrape`. The walk notes every problem
 * and goes on, so that a person mends a file in one round.
 *
 * The profile may be named by the file, the environment or a flag, and its values are weaker than
 * all of these: so it is applied last, as its own source. */
#include "cli/config.h"
#include "base/file.h"
#include "base/nearest.h"
#include "cli/exporting.h"
#include "cli/terminal.h"
#include "codec/yaml.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ARENA_BYTES_MAX = 16 << 20,
    KEY_SIZE_MAX = 200,
    PERIOD_MS_DEFAULT = 60000,
    TIMEOUT_MS_DEFAULT = 10000,
    SCRAPE_MS_DEFAULT = 15000,
};

/* ---- Problems. ---- */

static void note(struct config *config, bool warning, const struct why *why)
{
    if (config->problems_count == CONFIG_PROBLEMS_MAX)
        return; /* Enough to begin with. */
    config->problems[config->problems_count++] =
        (struct config_problem){.warning = warning, .why = *why};
}

static void *take(struct config *config, size_t count, size_t size)
{
    void *memory = arena_array(config->arena, count, size);

    /* The file is bounded by YAML_SIZE_MAX and the lists by their own bounds. */
    MUST(memory != NULL);
    return memory;
}

static const char *keep(struct config *config, struct str text)
{
    struct str kept = arena_str(config->arena, text);

    MUST(kept.data != NULL);
    return kept.data;
}

/* ---- Lists with a shape of their own. ---- */

static enum err read_command(struct config *config, const struct node *node,
                             struct config_collector *collector, struct why *why)
{
    size_t count = 0;

    if (node->kind == NODE_SCALAR) {
        const char **words = take(config, 4, sizeof(*words));
        words[0] = "/bin/sh";
        words[1] = "-c";
        words[2] = keep(config, node->text);
        collector->command = words;
        return ERR_NONE;
    }
    TRY(node_list(node, why));
    if (node->count == 0 || node->count > CONFIG_WORDS_MAX)
        return node_fail(node, why, "a command has 1 to %d words", CONFIG_WORDS_MAX);
    const char **words = take(config, node->count + 1, sizeof(*words));
    NODE_EACH(node, child)
    {
        struct str word;
        TRY(node_text(child, &word, why));
        words[count++] = keep(config, word);
    }
    collector->command = words;
    return ERR_NONE;
}

static enum err read_times(const struct node *node, int64_t *period_ms, int64_t *timeout_ms,
                           struct why *why)
{
    const struct node *every = node_get(node, "every");
    const struct node *timeout = node_get(node, "timeout");

    if (every != NULL)
        TRY(node_duration_ms(every, period_ms, why));
    if (every != NULL && *period_ms < 100)
        return node_fail(every, why, "shorter than 100ms");
    if (timeout != NULL)
        TRY(node_duration_ms(timeout, timeout_ms, why));
    if (timeout != NULL && *timeout_ms < 10)
        return node_fail(timeout, why, "shorter than 10ms");
    return ERR_NONE;
}

static enum err read_collector(struct config *config, const struct node *node, struct why *why)
{
    static const char *const keys[] = {"name", "command", "every", "timeout"};
    struct config_collector *collector = &config->collectors[config->collectors_count];
    const struct node *child;
    struct str name;

    TRY(node_only(node, keys, ARRAY_COUNT(keys), why));
    TRY(node_need(node, "name", &child, why));
    TRY(node_text(child, &name, why));
    if (name.size == 0)
        return node_fail(child, why, "the name is empty");
    for (size_t i = 0; i < config->collectors_count; i++) {
        if (str_eq(str_of(config->collectors[i].name), name))
            return node_fail(child, why, "two collectors are called '%.*s'", STR_ARG(name));
    }
    collector->name = keep(config, name);
    collector->period_ms = PERIOD_MS_DEFAULT;
    collector->timeout_ms = TIMEOUT_MS_DEFAULT;
    TRY(node_need(node, "command", &child, why));
    TRY(read_command(config, child, collector, why));
    TRY(read_times(node, &collector->period_ms, &collector->timeout_ms, why));
    config->collectors_count++;
    return ERR_NONE;
}

static enum err read_labels(struct config *config, const struct node *node,
                            struct config_target *target, struct why *why)
{
    TRY(node_map(node, why));
    if (node->count > LABEL_COUNT_MAX / 2)
        return node_fail(node, why, "more than %d labels", LABEL_COUNT_MAX / 2);
    struct label *labels = take(config, node->count, sizeof(*labels));
    NODE_EACH(node, child)
    {
        struct str value;
        TRY(node_text(child, &value, why));
        labels[target->labels_count].name = str_of(keep(config, child->key));
        labels[target->labels_count++].value = str_of(keep(config, value));
    }
    target->labels = labels;
    return ERR_NONE;
}

static enum err read_target(struct config *config, const struct node *node, struct why *why)
{
    static const char *const keys[] = {"url", "every", "timeout", "labels"};
    struct config_target *target = &config->targets[config->targets_count];
    const struct node *child;
    struct str url;

    TRY(node_only(node, keys, ARRAY_COUNT(keys), why));
    TRY(node_need(node, "url", &child, why));
    TRY(node_text(child, &url, why));
    if (!str_starts(url, STR("http://")) && !str_starts(url, STR("https://")))
        return node_fail(child, why, "a URL begins with http:// or https://");
    target->url = str_of(keep(config, url));
    target->period_ms = SCRAPE_MS_DEFAULT;
    target->timeout_ms = TIMEOUT_MS_DEFAULT;
    TRY(read_times(node, &target->period_ms, &target->timeout_ms, why));
    child = node_get(node, "labels");
    if (child != NULL)
        TRY(read_labels(config, child, target, why));
    config->targets_count++;
    return ERR_NONE;
}

/* Each key that is no setting: how one item of its list is read. */
static const struct config_list {
    const char *key;
    uint32_t count_max;
    enum err (*read)(struct config *config, const struct node *item, struct why *why);
} lists[] = {
    {"collectors", CONFIG_COLLECTORS_MAX, read_collector},
    {"scrape", CONFIG_TARGETS_MAX, read_target},
};

static void read_list(struct config *config, const struct config_list *list,
                      const struct node *node)
{
    struct why why = WHY_INIT;

    if (node->kind == NODE_NULL)
        return;
    if (node_list(node, &why) != ERR_NONE) {
        note(config, false, &why);
        return;
    }
    if (node->count > list->count_max) {
        (void)node_fail(node, &why, "more than %u items", list->count_max);
        note(config, false, &why);
        return;
    }
    NODE_EACH(node, item)
    {
        if (list->read(config, item, &why) != ERR_NONE)
            note(config, false, &why);
    }
}

/* ---- Settings in the file. ---- */

/* "retention.raw" of the node at retention: raw. */
static bool key_of(const struct node *node, char key[KEY_SIZE_MAX])
{
    struct buf path CLEANUP(buf_done) = {0};

    node_write_path(node, &path);
    if (path.size >= KEY_SIZE_MAX)
        return false;
    memcpy(key, buf_cstr(&path), path.size + 1);
    return true;
}

/* Is there a setting below "retention"? */
static bool is_section(const char *key)
{
    size_t size = strlen(key);

    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (strncmp(setting_rows[i].name, key, size) == 0 && setting_rows[i].name[size] == '.')
            return true;
    }
    return false;
}

static void note_unknown(struct config *config, const struct node *node, const char *key)
{
    struct nearest nearest = nearest_begin(str_of(key));
    struct why why = WHY_INIT;

    for (size_t i = 0; i < SETTING_COUNT; i++) {
        struct str name = str_of(setting_rows[i].name);
        ptrdiff_t dot = str_find(name, '.');
        nearest_offer(&nearest, name);
        if (dot > 0)
            nearest_offer(&nearest, (struct str){name.data, (size_t)dot});
    }
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++)
        nearest_offer(&nearest, str_of(lists[i].key));
    struct str meant = nearest_found(&nearest);
    (void)node_fail(node, &why, "unknown key");
    if (meant.data != NULL)
        hint(&why, "did you mean '%.*s'?", STR_ARG(meant));
    else
        hint(&why, "'sonde serve --help' lists every setting");
    note(config, false, &why);
}

static enum err set_list(struct config *config, size_t setting, const struct node *node,
                         const struct option_origin *origin, struct why *why)
{
    struct str *items = take(config, node->count, sizeof(*items));
    size_t count = 0;

    NODE_EACH(node, child)
    TRY(node_text(child, &items[count++], why));
    return options_set_list(config->options, setting, items, count, origin, why);
}

static enum err set_setting(struct config *config, size_t setting, const struct node *node,
                            struct why *why)
{
    const struct option_row *row = &setting_rows[setting];
    const struct option_origin origin = {
        .source = OPTION_FROM_FILE,
        .name = config->path,
        .line = node->line,
        .column = node->column,
    };
    struct why plain = WHY_INIT;
    struct str text;

    if ((row->flags & OPTION_SECRET) != 0) {
        (void)node_fail(node, why, "a secret does not belong in this file");
        hint(why,
             "put it into a file of its own and name that with %s_file, or into the "
             "environment",
             row->name);
        return ERR_INVALID;
    }
    if (node->kind == NODE_LIST && row->type == OPTION_LIST)
        return set_list(config, setting, node, &origin, why);
    TRY(node_text(node, &text, why));
    if (options_set(config->options, setting, text, &origin, &plain) == ERR_NONE)
        return ERR_NONE;
    /* The sentence names the key already; the place goes in front of it. */
    (void)fail(why, plain.err, "%s:%u:%u: %s", node->document, node->line, node->column,
               plain.text);
    hint(why, "%s", plain.hint);
    return plain.err;
}

static void read_map(struct config *config, const struct node *map);

static void read_key(struct config *config, const struct node *node)
{
    char key[KEY_SIZE_MAX] = "";
    struct why why = WHY_INIT;
    ptrdiff_t setting = key_of(node, key) ? options_find(config->options, str_of(key)) : -1;

    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        if (strcmp(lists[i].key, key) == 0) {
            read_list(config, &lists[i], node);
            return;
        }
    }
    if (setting >= 0 && node->kind != NODE_NULL) {
        if (set_setting(config, (size_t)setting, node, &why) != ERR_NONE)
            note(config, false, &why);
    } else if (setting < 0 && is_section(key) && node->kind == NODE_MAP) {
        read_map(config, node);
    } else if (setting < 0 && is_section(key) && node->kind != NODE_NULL) {
        (void)node_fail(node, &why, "this key holds further keys, such as '%s: {...}'", key);
        note(config, false, &why);
    } else if (setting < 0 && !is_section(key)) {
        note_unknown(config, node, key);
    }
}

static void read_map(struct config *config, const struct node *map)
{
    NODE_EACH(map, child)
    read_key(config, child);
}

static void read_file(struct config *config)
{
    struct buf text CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;
    const struct node *root;

    if (file_read(config->path, YAML_SIZE_MAX, &text, &why) != ERR_NONE ||
        yaml_read(buf_view(&text), config->path, config->arena, &root, &why) != ERR_NONE) {
        note(config, false, &why);
        return;
    }
    if (root->kind == NODE_NULL)
        return;
    if (node_map(root, &why) != ERR_NONE)
        note(config, false, &why);
    else
        read_map(config, root);
}

/* ---- The other sources. ---- */

static void apply_flags(struct config *config, const struct options *flags)
{
    for (size_t i = 0; flags != NULL && i < options_count(flags); i++) {
        const struct option_row *row = options_row(flags, i);
        const struct option_origin *origin = options_origin(flags, i);
        ptrdiff_t setting = options_find(config->options, str_of(row->name));
        struct buf text CLEANUP(buf_done) = {0};
        struct why why = WHY_INIT;
        if (setting < 0 || origin->source != OPTION_FROM_FLAG || !options_is_set(flags, i))
            continue;
        options_write(flags, i, &text);
        if (options_set(config->options, (size_t)setting, buf_view(&text), origin, &why) !=
            ERR_NONE)
            note(config, false, &why);
    }
}

static void apply_environment(struct config *config, const char *const *environment)
{
    struct buf complaints CLEANUP(buf_done) = {0};
    struct why why = WHY_INIT;

    if (options_read_environment(config->options, "SONDE", environment, &complaints, &why) !=
        ERR_NONE)
        note(config, false, &why);
    for (struct str rest = buf_view(&complaints); rest.size > 0;) {
        struct str line = str_split(&rest, '\n');
        (void)fail(&why, ERR_INVALID, "%.*s", STR_ARG(line));
        note(config, true, &why);
    }
}

static void apply_profile(struct config *config)
{
    struct str profile = options_text(config->options, SETTING_PROFILE);
    const struct option_origin origin = {
        .source = OPTION_FROM_PROFILE,
        .name = keep(config, profile),
    };
    struct why why = WHY_INIT;

    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const char *value = setting_profile_value(profile, setting_rows[i].name);
        if (value == NULL)
            continue;
        /* Our own table: a value that does not fit is our mistake. */
        MUST(options_set(config->options, i, str_of(value), &origin, &why) == ERR_NONE);
    }
}

/* What makes sense one by one but not together. */
static void check_together(struct config *config)
{
    const struct options *options = config->options;
    struct why why = WHY_INIT;

    if (options_is_set(options, SETTING_TLS_CERTIFICATE) !=
        options_is_set(options, SETTING_TLS_KEY)) {
        (void)fail(&why, ERR_INVALID, "tls.certificate and tls.key come together; only one is set");
        note(config, false, &why);
    }
    if (options_ms(options, SETTING_RETENTION_MINUTE) <
        options_ms(options, SETTING_RETENTION_RAW)) {
        (void)fail(&why, ERR_INVALID,
                   "retention.minute is shorter than retention.raw, so there "
                   "will be no steps of one minute to fall back to");
        note(config, true, &why);
    }
    struct exporter_options export;
    bool is_wanted;
    if (exporting_read(config, &export, &is_wanted, &why) != ERR_NONE)
        note(config, false, &why);
}

/* ---- Paths. ---- */

static const char *folder_in_home(struct config *config, const char *variable, const char *below)
{
    const char *folder = getenv(variable);
    const char *home = getenv("HOME");
    char *path = NULL;

    if (folder != NULL && folder[0] == '/')
        path = arena_printf(config->arena, "%s/sonde", folder);
    else if (home != NULL && home[0] == '/')
        path = arena_printf(config->arena, "%s/%s/sonde", home, below);
    return path;
}

static const char *find_file(struct config *config, const char *const *environment)
{
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, "SONDE_CONFIG=", 13) == 0 && (*environment)[13] != '\0')
            return *environment + 13;
    }
    if (access("/etc/sonde/sonde.yaml", R_OK) == 0)
        return "/etc/sonde/sonde.yaml";
    const char *folder = folder_in_home(config, "XDG_CONFIG_HOME", ".config");
    const char *path = folder == NULL ? NULL : arena_printf(config->arena, "%s/sonde.yaml", folder);
    return path != NULL && access(path, R_OK) == 0 ? path : NULL;
}

const char *config_data_path(const struct config *config)
{
    return options_cstr(config->options, SETTING_DATA);
}

/* The default of `data` depends on who runs us, so no table can hold it. */
static void apply_data_default(struct config *config)
{
    const struct option_origin origin = {.source = OPTION_FROM_DEFAULT};
    const char *path = NULL;
    struct why why = WHY_INIT;

    if (options_is_set(config->options, SETTING_DATA))
        return;
    if (geteuid() != 0)
        path = folder_in_home(config, "XDG_DATA_HOME", ".local/share");
    if (path == NULL)
        path = "/var/lib/sonde";
    MUST(options_set(config->options, SETTING_DATA, str_of(path), &origin, &why) == ERR_NONE);
}

/* ---- The whole. ---- */

struct config *config_new(const char *path, const struct options *flags,
                          const char *const *environment)
{
    struct config *config = calloc(1, sizeof(*config));

    if (config == NULL)
        must_memory(sizeof(*config));
    config->arena = arena_new(ARENA_BYTES_MAX);
    config->options = options_new(setting_rows, SETTING_COUNT);
    config->collectors = take(config, CONFIG_COLLECTORS_MAX, sizeof(*config->collectors));
    config->targets = take(config, CONFIG_TARGETS_MAX, sizeof(*config->targets));
    config->problems = take(config, CONFIG_PROBLEMS_MAX, sizeof(*config->problems));
    config->path = path != NULL ? path : find_file(config, environment);
    if (config->path != NULL) {
        config->path = keep(config, str_of(config->path));
        read_file(config);
    }
    apply_environment(config, environment);
    apply_flags(config, flags);
    apply_profile(config);
    apply_data_default(config);
    check_together(config);
    return config;
}

struct config *config_free(struct config *config)
{
    if (config == NULL)
        return NULL;
    config->options = options_free(config->options);
    config->arena = arena_free(config->arena);
    free(config);
    return NULL;
}

void config_freep(struct config **config)
{
    *config = config_free(*config);
}

enum err config_check(const struct config *config, struct why *why)
{
    for (size_t i = 0; i < config->problems_count; i++) {
        if (config->problems[i].warning)
            continue;
        *why = config->problems[i].why;
        return why->err;
    }
    return ERR_NONE;
}

void config_write_origin(const struct config *config, size_t setting, struct buf *out)
{
    const struct option_origin *origin = options_origin(config->options, setting);

    switch (origin->source) {
    case OPTION_FROM_FILE:
        buf_printf(out, "%s:%u", origin->name, origin->line);
        break;
    case OPTION_FROM_ENVIRONMENT:
        buf_text(out, "environment ");
        option_write_variable(&setting_rows[setting], "SONDE", out);
        break;
    case OPTION_FROM_FLAG:
        buf_text(out, "flag ");
        option_write_flag(&setting_rows[setting], out);
        break;
    case OPTION_FROM_PROFILE:
        buf_printf(out, "profile %s", origin->name);
        break;
    default:
        buf_text(out, "default");
    }
}

void config_write_problems(const struct config *config, const struct terminal *terminal,
                           struct buf *out)
{
    for (size_t i = 0; i < config->problems_count; i++) {
        const struct config_problem *problem = &config->problems[i];
        terminal_styled(terminal, out, problem->warning ? STYLE_WARNING : STYLE_BAD,
                        "%s: ", problem->warning ? "warning" : "error");
        terminal_text(out, str_of(problem->why.text));
        buf_byte(out, '\n');
        if (problem->why.hint[0] == '\0')
            continue;
        buf_text(out, "    ");
        terminal_text(out, str_of(problem->why.hint));
        buf_byte(out, '\n');
    }
}
