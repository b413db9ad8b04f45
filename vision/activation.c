/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The activations that an mmproj file can ask for. Files of this family ask for the first; the others are here because a
 * file without the key means the second, and are not on any fast path. */
#include "vision/internal.h"

#include <math.h>

void
tern_activation_gelu_erf (const TernKernels *kernels, float *x, gsize n)
{
  kernels->gelu_erf (x, n);
}

void
tern_activation_gelu_tanh (const TernKernels *kernels, float *x, gsize n)
{
  kernels->gelu_tanh (x, n);
}

/* x * sigmoid(1.702 x) (arXiv:1606.08415, section 2). */
void
tern_activation_quick_gelu (const TernKernels *kernels, float *x, gsize n)
{
  gsize i;

  for (i = 0; i < n; i++)
    x[i] = x[i] / (1.0f + expf (-1.702f * x[i]));
}

void
tern_activation_silu (const TernKernels *kernels, float *x, gsize n)
{
  gsize i;

  for (i = 0; i < n; i++)
    x[i] = x[i] / (1.0f + expf (-x[i]));
}
