/* SPDX-License-Identifier: Apache-2.0 */
/* Names of files in a tenant's folder, and the list made of them:
 *
 *   2026-11-20.db             samples of that UTC day as they came
 *   rollup-1m-2026-11.db      steps of one minute, a month to a file
 *   rollup-1h-2026.db         steps of one hour, a year to a file
 *   *.corrupt                 set aside, not read any more
 *
 * The writer changes the list under the lock; readers copy what they need of it under the lock and
 * hold each file by count, so one that retention removes can be read to the end. */
#include "store/tenant.h"

#include "base/clock.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_SIZE = 64, PATH_SIZE = 4096, SENTENCE_SIZE = 1024, NOTICE_AGAIN_MS = 600000 };

static void lock(struct tenant *tenant)
{
    int code = pthread_mutex_lock(&tenant->lock);

    MUST(code == 0);
}

static void unlock(struct tenant *tenant)
{
    int code = pthread_mutex_unlock(&tenant->lock);

    MUST(code == 0);
}

void tenant_notice(struct tenant *tenant, const char *format, ...)
{
    char sentence[SENTENCE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, arguments); /* Cut is good enough. */
    va_end(arguments);
    uint64_t hash = str_hash(str_of(sentence), 0);
    if (hash == tenant->notice_hash && tenant->now_ms - tenant->notice_ms < NOTICE_AGAIN_MS)
        return; /* A trouble that lasts is told now and then, not each second. */
    tenant->notice_hash = hash;
    tenant->notice_ms = tenant->now_ms;
    if (tenant->options->notice != NULL)
        tenant->options->notice(tenant->options->notice_self, sentence);
}

void tenant_set_aside(struct tenant *tenant, const char *path, const struct why *reason)
{
    char aside[PATH_SIZE];
    char side_file[PATH_SIZE];

    (void)snprintf(aside, sizeof(aside), "%s.corrupt", path); /* Paths were checked to fit. */
    tenant->stats.damaged_files++;
    if (rename(path, aside) != 0) {
        tenant_notice(tenant, "%s is damaged (%s) and could not be set aside", path, reason->text);
        return;
    }
    for (int i = 0; i < 2; i++) { /* Its log and index go with it, where they are. */
        const char *suffix = i == 0 ? "-wal" : "-shm";
        (void)snprintf(side_file, sizeof(side_file), "%s%s", path, suffix);
        (void)snprintf(aside, sizeof(aside), "%s.corrupt%s", path, suffix);
        (void)rename(side_file, aside); /* Mostly not there. */
    }
    tenant_notice(tenant, "%s is damaged (%s); it was set aside as *.corrupt, the rest is served",
                  path, reason->text);
}

/* The days that a file of this step has, around `day`. */
static void span_of(int64_t step_ms, int32_t day, int32_t *ret_from, int32_t *ret_to)
{
    int64_t year;
    unsigned month;
    unsigned day_of_month;

    *ret_from = *ret_to = day;
    if (step_ms == 0)
        return;
    clock_civil_from_days(day, &year, &month, &day_of_month);
    if (step_ms < TENANT_STEP_HOUR_MS) {
        *ret_from = (int32_t)clock_days_from_civil(year, month, 1);
        *ret_to = (int32_t)clock_days_from_civil(month == 12 ? year + 1 : year,
                                                 month == 12 ? 1 : month + 1, 1) -
                  1;
    } else {
        *ret_from = (int32_t)clock_days_from_civil(year, 1, 1);
        *ret_to = (int32_t)clock_days_from_civil(year + 1, 1, 1) - 1;
    }
}

static void name_of(int64_t step_ms, int32_t from_day, char name[NAME_SIZE])
{
    int64_t year;
    unsigned month;
    unsigned day;

    clock_civil_from_days(from_day, &year, &month, &day);
    if (step_ms == 0)
        (void)snprintf(name, NAME_SIZE, "%04lld-%02u-%02u.db", (long long)year, month, day);
    else if (step_ms < TENANT_STEP_HOUR_MS)
        (void)snprintf(name, NAME_SIZE, "rollup-1m-%04lld-%02u.db", (long long)year, month);
    else
        (void)snprintf(name, NAME_SIZE, "rollup-1h-%04lld.db", (long long)year);
}

static bool parse_name(const char *name, int64_t *ret_step_ms, int32_t *ret_from_day)
{
    static const struct {
        const char *format;
        int64_t step_ms;
    } shapes[] = {
        {"%4d-%2u-%2u.db", 0},
        {"rollup-1m-%4d-%2u.db", TENANT_STEP_MINUTE_MS},
        {"rollup-1h-%4d.db", TENANT_STEP_HOUR_MS},
    };
    char again[NAME_SIZE];

    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++) {
        int year = 0;
        unsigned month = 1;
        unsigned day = 1;
        if (sscanf(name, shapes[i].format, &year, &month, &day) < 1 || month < 1 || month > 12 ||
            day < 1 || day > 31)
            continue;
        *ret_step_ms = shapes[i].step_ms;
        *ret_from_day = (int32_t)clock_days_from_civil(year, month, day);
        name_of(*ret_step_ms, *ret_from_day, again);
        if (strcmp(name, again) == 0)
            return true;
    }
    return false;
}

struct day *tenant_day(struct tenant *tenant, int64_t step_ms, int32_t day)
{
    for (size_t i = 0; i < tenant->days_count; i++) {
        struct day *at = tenant->days[i];
        if (at->step_ms == step_ms && at->from_day <= day && day <= at->to_day)
            return at;
    }
    return NULL;
}

static bool day_is_before(const struct day *a, const struct day *b)
{
    return a->step_ms != b->step_ms ? a->step_ms < b->step_ms : a->from_day < b->from_day;
}

struct day *tenant_add_day(struct tenant *tenant, int64_t step_ms, int32_t number)
{
    struct day *day = tenant_day(tenant, step_ms, number);
    char name[NAME_SIZE];
    int32_t from_day;
    int32_t to_day;

    if (day != NULL)
        return day;
    span_of(step_ms, number, &from_day, &to_day);
    name_of(step_ms, from_day, name);
    day = day_new(tenant->folder, name, from_day, to_day, step_ms);
    day->touched_ms = tenant->now_ms;
    day->written_ms = tenant->now_ms;
    lock(tenant);
    if (tenant->days_count == tenant->days_capacity) {
        size_t capacity = tenant->days_capacity == 0 ? 32 : tenant->days_capacity * 2;
        tenant->days = reallocarray(tenant->days, capacity, sizeof(struct day *));
        if (tenant->days == NULL)
            must_memory(capacity * sizeof(struct day *));
        tenant->days_capacity = capacity;
    }
    size_t at = tenant->days_count++;
    for (; at > 0 && day_is_before(day, tenant->days[at - 1]); at--)
        tenant->days[at] = tenant->days[at - 1];
    tenant->days[at] = day;
    unlock(tenant);
    return day;
}

void tenant_drop_day(struct tenant *tenant, struct day *day)
{
    size_t at = 0;

    lock(tenant);
    while (tenant->days[at] != day)
        at++;
    tenant->days_count--;
    for (; at < tenant->days_count; at++)
        tenant->days[at] = tenant->days[at + 1];
    unlock(tenant);
    day_rest(day);
    day_unref(day);
}

size_t tenant_days(struct tenant *tenant, int64_t step_ms, int32_t from_day, int32_t to_day,
                   struct day ***ret_days)
{
    size_t count = 0;

    lock(tenant);
    struct day **days = calloc(tenant->days_count + 1, sizeof(struct day *));
    if (days == NULL)
        must_memory(tenant->days_count * sizeof(struct day *));
    for (size_t i = 0; i < tenant->days_count; i++) {
        struct day *day = tenant->days[i];
        if (day->step_ms == step_ms && day->from_day <= to_day && day->to_day >= from_day)
            days[count++] = day_ref(day);
    }
    unlock(tenant);
    *ret_days = days;
    return count;
}

bool tenant_takes_part(const struct tenant *tenant, const struct day *day)
{
    for (size_t i = 0; i < TENANT_DAYS_OPEN_MAX; i++) {
        if (tenant->stages[i].day == day)
            return true;
    }
    return false;
}

static enum err list_name(void *self, const char *name, struct why *why)
{
    struct tenant *tenant = self;
    int64_t step_ms;
    int32_t from_day;

    (void)why; /* Names of other files are no trouble. */
    if (parse_name(name, &step_ms, &from_day)) {
        struct day *day = tenant_add_day(tenant, step_ms, from_day);
        struct stat info;
        if (stat(day->path, &info) == 0)
            day->written_ms = (int64_t)info.st_mtim.tv_sec * 1000;
    }
    return ERR_NONE;
}

enum err tenant_list_days(struct tenant *tenant, struct why *why)
{
    return file_each(tenant->folder, list_name, tenant, why);
}

/* Counts what the disk gives, as du does. */
static enum err add_size(void *self, const char *name, struct why *why)
{
    struct {
        struct tenant *tenant;
        uint64_t bytes;
    } *sum = self;
    char path[PATH_SIZE];
    struct stat info;

    (void)why; /* A file that has just gone counts nothing. */
    (void)snprintf(path, sizeof(path), "%s/%s", sum->tenant->folder, name);
    if (stat(path, &info) == 0)
        sum->bytes += (uint64_t)info.st_blocks * 512;
    return ERR_NONE;
}

uint64_t tenant_disk_bytes(struct tenant *tenant)
{
    struct {
        struct tenant *tenant;
        uint64_t bytes;
    } sum = {tenant, 0};

    (void)file_each(tenant->folder, add_size, &sum, NULL); /* As far as it could be read. */
    return sum.bytes;
}
