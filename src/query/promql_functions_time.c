/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a date, in UTC, of values that are seconds since 1970; without an argument, of the
 * step's own time. */
#include "query/promql_eval_priv.h"

#include "query/promql_functions.h"
#include "query/promql_labels.h"

struct date {
    int64_t days; /* Since 1970-01-01. */
    int64_t second;
    int64_t year;
    unsigned month;
    unsigned day;
};

typedef double date_part(const struct date *date);

static bool date_of(double seconds, struct date *ret_date)
{
    /* Beyond this the year leaves what a calendar is good for. */
    if (!(fabs(seconds) < 1e15))
        return false;
    int64_t whole = (int64_t)seconds; /* Towards zero, as Prometheus converts. */
    int64_t days = whole / 86400;
    if (whole % 86400 < 0)
        days--;
    ret_date->days = days;
    ret_date->second = whole - days * 86400;
    clock_civil_from_days(days, &ret_date->year, &ret_date->month, &ret_date->day);
    return true;
}

static enum err step_times(struct eval *eval, const struct grid *grid, struct operand *ret_value)
{
    TRY(eval_columns(eval, grid, 1, ret_value));
    ret_value->columns[0].labels = labels_empty(eval->arena);
    if (ret_value->columns[0].labels == NULL)
        return eval_spent(eval);
    for (size_t i = 0; i < grid->steps; i++)
        ret_value->columns[0].values[i] = (double)grid_time(grid, i) / 1000;
    return ERR_NONE;
}

static enum err parts(struct eval *eval, const struct grid *grid, const struct node *node,
                      date_part *part, struct operand *ret_value)
{
    struct date date;

    if (node->call.arguments_count == 0)
        TRY(step_times(eval, grid, ret_value));
    else
        TRY(eval_vector(eval, grid, node->call.arguments[0], ret_value));
    for (size_t c = 0; c < ret_value->count; c++) {
        struct column *column = &ret_value->columns[c];
        column->drop_name = true;
        for (size_t i = 0; i < grid->steps; i++) {
            if (is_absent(column->values[i]))
                continue;
            column->values[i] = date_of(column->values[i], &date) ? part(&date) : (double)NAN;
        }
    }
    return ERR_NONE;
}

static double minute_of(const struct date *date)
{
    return (double)(date->second / 60 % 60);
}

static double hour_of(const struct date *date)
{
    return (double)(date->second / 3600);
}

static double day_of_month_of(const struct date *date)
{
    return date->day;
}

static double day_of_week_of(const struct date *date)
{
    int64_t day = (date->days + 4) % 7; /* 1970-01-01 was a Thursday; Sunday is 0. */

    return (double)(day < 0 ? day + 7 : day);
}

static double day_of_year_of(const struct date *date)
{
    return (double)(date->days - clock_days_from_civil(date->year, 1, 1) + 1);
}

static double days_in_month_of(const struct date *date)
{
    int64_t first = clock_days_from_civil(date->year, date->month, 1);
    int64_t next = date->month == 12 ? clock_days_from_civil(date->year + 1, 1, 1)
                                     : clock_days_from_civil(date->year, date->month + 1, 1);

    return (double)(next - first);
}

static double month_of(const struct date *date)
{
    return date->month;
}

static double year_of(const struct date *date)
{
    return (double)date->year;
}

enum err call_minute(struct eval *eval, const struct grid *grid, const struct node *node,
                     struct operand *ret_value)
{
    return parts(eval, grid, node, minute_of, ret_value);
}

enum err call_hour(struct eval *eval, const struct grid *grid, const struct node *node,
                   struct operand *ret_value)
{
    return parts(eval, grid, node, hour_of, ret_value);
}

enum err call_day_of_month(struct eval *eval, const struct grid *grid, const struct node *node,
                           struct operand *ret_value)
{
    return parts(eval, grid, node, day_of_month_of, ret_value);
}

enum err call_day_of_week(struct eval *eval, const struct grid *grid, const struct node *node,
                          struct operand *ret_value)
{
    return parts(eval, grid, node, day_of_week_of, ret_value);
}

enum err call_day_of_year(struct eval *eval, const struct grid *grid, const struct node *node,
                          struct operand *ret_value)
{
    return parts(eval, grid, node, day_of_year_of, ret_value);
}

enum err call_days_in_month(struct eval *eval, const struct grid *grid, const struct node *node,
                            struct operand *ret_value)
{
    return parts(eval, grid, node, days_in_month_of, ret_value);
}

enum err call_month(struct eval *eval, const struct grid *grid, const struct node *node,
                    struct operand *ret_value)
{
    return parts(eval, grid, node, month_of, ret_value);
}

enum err call_year(struct eval *eval, const struct grid *grid, const struct node *node,
                   struct operand *ret_value)
{
    return parts(eval, grid, node, year_of, ret_value);
}
