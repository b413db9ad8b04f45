/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Q8_0 weights, scalar. */
#include <string.h>

#include "engine/kernels/versions.h"

#define BLOCK_BYTES 34          /* f16 scale, 32 int8 */

static inline gint32
block_dot (const guint8 *w, const gint8 *x)
{
  gint32 sum = 0;
  guint i;

  for (i = 0; i < 32; i++)
    sum += (gint8) w[i] * x[i];
  return sum;
}

static TERN_DECL_GEMM_Q8 (gemm_q8_c)
{
  gsize r, t, b;
  guint16 d;

  for (r = 0; r < rows; r++) {
    for (t = 0; t < n; t++) {
      float sum = 0;

      for (b = 0; b < blocks; b++) {
        const guint8 *p = w + r * row_bytes + b * BLOCK_BYTES;
        const TernQ8Block *q = &x[t * ldx + b];

        memcpy (&d, p, sizeof d);
        sum += tern_f16_to_f32 (GUINT16_FROM_LE (d)) * q->d * (float) block_dot (p + 2, q->q);
      }
      y[t * ldy + r] = sum;
    }
  }
}

void
tern_q8_init_c (TernKernels *k)
{
  k->gemm_q8 = gemm_q8_c;
}
