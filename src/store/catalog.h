/* SPDX-License-Identifier: Apache-2.0 */
/* catalog - what a tenant knows beyond single days: its series by group, and what its metrics mean.
 *
 * One file, catalog.db; the writer's connection. A group's roster is committed here before any row
 * that uses its series. */
#pragma once
#include "model/metric.h"
#include "store/db.h"

#define CATALOG_FILE "catalog.db"

struct catalog {
    struct db db;
    sqlite3_stmt *put_group;
    sqlite3_stmt *put_days;
    sqlite3_stmt *put_info;
};

struct catalog_group {
    uint32_t number;
    int32_t first_day; /* Days since 1970 with blocks of it; INT32_MAX, INT32_MIN: none yet. */
    int32_t last_day;
    struct str roster; /* See store/roster.h. */
};

CHECKED enum err catalog_open(const char *folder, struct catalog *ret_catalog, struct why *why);
void catalog_close(struct catalog *catalog); /* All zero is closed already. */

CHECKED enum err catalog_begin(struct catalog *catalog, struct why *why);
CHECKED enum err catalog_commit(struct catalog *catalog, struct why *why);
void catalog_rollback(struct catalog *catalog);

/* Adds or replaces. */
CHECKED enum err catalog_put_group(struct catalog *catalog, const struct catalog_group *group,
                                   struct why *why);
CHECKED enum err catalog_put_days(struct catalog *catalog, const struct catalog_group *group,
                                  struct why *why);
CHECKED enum err catalog_put_info(struct catalog *catalog, const struct metric_info *info,
                                  struct why *why);

struct catalog_visitor {
    /* In order of numbers; checksums were good. */
    enum err (*group)(void *self, const struct catalog_group *group, struct why *why);
    enum err (*info)(void *self, const struct metric_info *info, struct why *why);
    void *self;
};
/* ERR_CORRUPT: a checksum does not match. */
CHECKED enum err catalog_load(struct catalog *catalog, const struct catalog_visitor *visitor,
                              struct why *why);
