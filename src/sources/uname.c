/* SPDX-License-Identifier: Apache-2.0 */
/* uname.c - which kernel runs here, under which name. */
#include "sources/source.h"

#include <errno.h>
#include <sys/utsname.h>

static const struct column columns[] = {
    {"node_uname_info", "Labeled system information as provided by the uname system call.",
     METRIC_GAUGE, NULL, NULL},
};
static const char *const keys[] = {"sysname", "release",  "version",
                                   "machine", "nodename", "domainname"};

static enum err uname_open(struct source *source, struct why *why)
{
    (void)source_table(source, columns, ARRAY_COUNT(columns), keys, ARRAY_COUNT(keys));
    return ERR_NONE;
}

static enum err uname_collect(struct source *source, struct batch *out, struct why *why)
{
    struct utsname name;

    if (uname(&name) != 0)
        return fail_errno(why, errno, "uname");
    struct str values[] = {str_of(name.sysname), str_of(name.release),  str_of(name.version),
                           str_of(name.machine), str_of(name.nodename), str_of(name.domainname)};
    row_set(table_row(source->tables[0], values), 0, 1);
    return ERR_NONE;
}

const struct source_kind source_uname = {
    .name = "uname",
    .summary = "Kernel release and host name.",
    .period_ms = 60000,
    .open = uname_open,
    .collect = uname_collect,
};
