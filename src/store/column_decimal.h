/* SPDX-License-Identifier: Apache-2.0 */
/* column_decimal - doubles that people wrote as decimals, as integers and one exponent, and back.
 *
 * Private to the column modules. 0.25 and 17.5 are 25 and 1750 hundredths; m / 10^e, correctly
 * rounded, is again the double that was there, which is verified for every single one. Pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 10^22 is the last power of ten that a double holds; beyond 18 an int64 has no room anyway. */
#define DECIMAL_EXPONENT_MAX 18

/* Tries to bring values[0 .. count) to one exponent. Those that refuse keep a mantissa of 0, and
 * their indices go to refused[0 .. *ret_refused). False: more than refused_max of them. */
bool decimals_from(const double *values, size_t count, int64_t *mantissas, unsigned *ret_exponent,
                   uint32_t *refused, size_t refused_max, size_t *ret_refused);

/* words[i], an int64, becomes the double (first + divisor * words[i]) / 10^exponent, in place.
 * wide: some mantissa has 51 bits or more. */
void decimals_to(void *words, size_t count, int64_t first, uint64_t divisor, unsigned exponent,
                 bool wide);

double decimal_to(int64_t mantissa, unsigned exponent);
double decimal_power(unsigned exponent);
bool decimal_is_wide(int64_t mantissa);
/* One value at one exponent. */
bool decimal_from(double value, unsigned exponent, int64_t *ret_mantissa);
