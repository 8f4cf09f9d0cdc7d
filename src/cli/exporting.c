/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/exporting.h"

#include "export/target.h"

static bool is_word(const struct exporter_route *route, const char *word)
{
    return route->urls_count == 1 && str_eq_nocase(route->urls[0], str_of(word));
}

static enum err check_urls(const struct exporter_route *route, size_t setting, struct why *why)
{
    for (size_t i = 0; i < route->urls_count; i++) {
        enum err err = target_check(route->urls[i], why);
        if (err != ERR_NONE)
            why_prefix(why, "%s", setting_rows[setting].name);
        TRY(err);
    }
    return ERR_NONE;
}

/* A signal's own targets, those of export.url, or none. */
static enum err read_route(const struct options *options, size_t setting, bool by_default,
                           struct exporter_route *ret_route, struct why *why)
{
    struct exporter_route common;
    struct exporter_route own;

    common.urls_count = options_list(options, SETTING_EXPORT_URL, &common.urls);
    own.urls_count = options_list(options, setting, &own.urls);
    TRY(check_urls(&common, SETTING_EXPORT_URL, why));
    if (is_word(&own, "off") || (own.urls_count == 0 && !by_default)) {
        *ret_route = (struct exporter_route){0};
        return ERR_NONE;
    }
    if (own.urls_count == 0 || is_word(&own, "on")) {
        if (own.urls_count > 0 && common.urls_count == 0)
            return fail(why, ERR_INVALID, "%s is on, but export.url says no target",
                        setting_rows[setting].name);
        *ret_route = common;
        return ERR_NONE;
    }
    TRY(check_urls(&own, setting, why));
    *ret_route = own;
    return ERR_NONE;
}

enum err exporting_read(const struct config *config, struct exporter_options *ret_options,
                        bool *ret_wanted, struct why *why)
{
    const struct options *options = config->options;
    struct exporter_options export = {
        .folder = config_data_path(config),
        .gzip = options_bool(options, SETTING_EXPORT_GZIP),
        .ca_file = options_cstr(options, SETTING_EXPORT_CA_FILE),
        .unverified = !options_bool(options, SETTING_EXPORT_VERIFY),
        .queue_bytes_max = (uint64_t)options_i64(options, SETTING_EXPORT_QUEUE_SIZE),
        .timeout_ms = options_ms(options, SETTING_EXPORT_TIMEOUT),
    };

    export.headers_count = options_list(options, SETTING_EXPORT_HEADERS, &export.headers);
    export.tenants_count = options_list(options, SETTING_EXPORT_TENANTS, &export.tenants);
    TRY(read_route(options, SETTING_EXPORT_TRACES, true, &export.routes[OTLP_TRACES], why));
    TRY(read_route(options, SETTING_EXPORT_METRICS, false, &export.routes[OTLP_METRICS], why));
    TRY(read_route(options, SETTING_EXPORT_LOGS, true, &export.routes[OTLP_LOGS], why));
    *ret_wanted = false;
    for (size_t i = 0; i < OTLP_SIGNAL_COUNT; i++)
        *ret_wanted |= export.routes[i].urls_count > 0;
    *ret_options = export;
    return ERR_NONE;
}
