/* SPDX-License-Identifier: Apache-2.0 */
/* The table itself, and the functions that look at one value only. */
#include "query/promql_functions.h"

#include <math.h>

static const struct function_row rows[] = {
#define MAP(name, function) {#name, PROMQL_VECTOR, "v", function, NULL, NULL, 0, FIELD_LAST},
#define WINDOW(name, arguments, function, flags, field) \
    {#name, PROMQL_VECTOR, arguments, NULL, function, NULL, flags, field},
#define CALL(name, returns, arguments, function) \
    {#name, returns, arguments, NULL, NULL, function, 0, FIELD_LAST},
#include "query/promql_functions.def"
#undef MAP
#undef WINDOW
#undef CALL
};

const struct function_row *function_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_eq(name, str_of(rows[i].name)))
            return &rows[i];
    return NULL;
}

const struct function_row *function_rows(size_t *ret_count)
{
    *ret_count = ARRAY_COUNT(rows);
    return rows;
}

double map_abs(double value)
{
    return fabs(value);
}

double map_acos(double value)
{
    return acos(value);
}

double map_acosh(double value)
{
    return acosh(value);
}

double map_asin(double value)
{
    return asin(value);
}

double map_asinh(double value)
{
    return asinh(value);
}

double map_atan(double value)
{
    return atan(value);
}

double map_atanh(double value)
{
    return atanh(value);
}

double map_ceil(double value)
{
    return ceil(value);
}

double map_cos(double value)
{
    return cos(value);
}

double map_cosh(double value)
{
    return cosh(value);
}

double map_deg(double value)
{
    return value * 180 / M_PI;
}

double map_exp(double value)
{
    return exp(value);
}

double map_floor(double value)
{
    return floor(value);
}

double map_ln(double value)
{
    return log(value);
}

double map_log10(double value)
{
    return log10(value);
}

double map_log2(double value)
{
    return log2(value);
}

double map_rad(double value)
{
    return value * M_PI / 180;
}

double map_sgn(double value)
{
    return value < 0 ? -1 : value > 0 ? 1 : value;
}

double map_sin(double value)
{
    return sin(value);
}

double map_sinh(double value)
{
    return sinh(value);
}

double map_sqrt(double value)
{
    return sqrt(value);
}

double map_tan(double value)
{
    return tan(value);
}

double map_tanh(double value)
{
    return tanh(value);
}
