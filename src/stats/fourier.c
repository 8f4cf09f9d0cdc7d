/* SPDX-License-Identifier: Apache-2.0 */
/* Cooley and Tukey's halving: reorder by reversed bits, then join blocks of 1, 2, 4, … Twiddle
 * factors come from a table of sines, so their error does not grow with the size. */
#include "stats/fourier.h"
#include "stats/array.h"

#include <math.h>

size_t fourier_size(size_t least)
{
    size_t size = 1;

    while (size < least)
        size *= 2;
    return size;
}

static void reorder(double *real, double *imaginary, size_t size)
{
    for (size_t i = 1, j = 0; i < size; i++) {
        size_t bit = size >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i >= j)
            continue;
        double swap = real[i];
        real[i] = real[j];
        real[j] = swap;
        swap = imaginary[i];
        imaginary[i] = imaginary[j];
        imaginary[j] = swap;
    }
}

void fourier(double *real, double *imaginary, size_t size)
{
    double *cosines CLEANUP(array_freep) = array_new(size / 2);
    double *sines CLEANUP(array_freep) = array_new(size / 2);

    MUST((size & (size - 1)) == 0);
    for (size_t i = 0; i < size / 2; i++) {
        cosines[i] = cos(2 * M_PI * (double)i / (double)size);
        sines[i] = -sin(2 * M_PI * (double)i / (double)size);
    }
    reorder(real, imaginary, size);
    for (size_t half = 1; half < size; half *= 2) {
        size_t step = size / (2 * half);
        for (size_t start = 0; start < size; start += 2 * half) {
            for (size_t k = 0; k < half; k++) {
                size_t low = start + k;
                size_t high = low + half;
                double c = cosines[k * step];
                double s = sines[k * step];
                double r = real[high] * c - imaginary[high] * s;
                double m = real[high] * s + imaginary[high] * c;
                real[high] = real[low] - r;
                imaginary[high] = imaginary[low] - m;
                real[low] += r;
                imaginary[low] += m;
            }
        }
    }
}
