/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ternary matrices, scalar. */
#include <string.h>

#include "engine/kernels/versions.h"

void
tern_t2_pack_row (guint8 *w, gsize row, gsize cols, const gint8 *values)
{
  gsize groups = (cols + TERN_T2_COLS - 1) / TERN_T2_COLS;
  guint8 *p = w + row / TERN_T2_ROWS * groups * TERN_T2_BYTES + row % TERN_T2_ROWS * 4;
  gsize step, c;
  guint b, k;

  for (step = 0; step < groups * (TERN_T2_COLS / 16); step++, p += 64) {
    for (b = 0; b < 4; b++) {
      guint8 byte = 0;

      for (k = 0; k < 4; k++) {
        c = step * 16 + b + 4 * k;
        byte |= (c < cols ? values[c] + 1 : 1) << (2 * k);
      }
      p[b] = byte;
    }
  }
}

static inline gint32
step_dot (const guint8 *w, const gint8 *x)
{
  gint32 sum = 0;
  guint b, k;

  for (b = 0; b < 4; b++) {
    for (k = 0; k < 4; k++)
      sum += (w[b] >> (2 * k) & 3) * x[b + 4 * k];
  }
  return sum;
}

static TERN_DECL_GEMM_T2 (gemm_t2_c)
{
  gsize r, t, s;

  for (r = 0; r < rows; r++) {
    const guint8 *p = w + r / TERN_T2_ROWS * groups * TERN_T2_BYTES + r % TERN_T2_ROWS * 4;

    for (t = 0; t < n; t++) {
      gint32 acc = -xsum[t];    /* the digits are one too large */

      for (s = 0; s < groups * (TERN_T2_COLS / 16); s++)
        acc += step_dot (p + s * 64, x + t * ldx + s * 16);
      y[t * ldy + r] = (float) acc * xscale[t] * wscale;
    }
  }
}

const TernTernaryLayout tern_layout_t2 = { "t2", TERN_T2_ROWS, TERN_T2_BYTES };

void
tern_ternary_init_c (TernKernels *k)
{
  k->ternary = &tern_layout_t2;
  k->pack_ternary = NULL;
  k->gemm_t2 = gemm_t2_c;
}
