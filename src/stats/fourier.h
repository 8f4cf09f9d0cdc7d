/* SPDX-License-Identifier: Apache-2.0 */
/* fourier - the discrete Fourier transform, in place, for sizes that are powers of two. Pure; any
 * thread. */
#pragma once
#include <stddef.h>

size_t fourier_size(size_t least); /* The smallest power of two that is not below least. */

/* X_k = sum of x_j e^(-2 pi i jk / size); unscaled. */
void fourier(double *real, double *imaginary, size_t size);
